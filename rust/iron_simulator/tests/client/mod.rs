//! A client that sees the bytes as they come.
#![expect(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::unwrap_used, reason = "what it does not expect fails the test")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use iron_simulator::{Rule, Settings, Simulator};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A reply as received.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// The HTTP chunks, if it was chunked.
    pub(crate) chunks: Vec<Vec<u8>>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The data of each event.
    pub(crate) fn events(&self) -> Vec<String> {
        self.text()
            .replace("\r\n", "\n")
            .split("\n\n")
            .filter_map(|event| {
                let lines: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                (!lines.is_empty()).then(|| lines.join("\n"))
            })
            .collect()
    }

    /// The text that the events of a stream build.
    pub(crate) fn streamed_text(&self) -> String {
        let events = self.events().into_iter().filter_map(|event| serde_json::from_str::<Value>(&event).ok());
        events.filter_map(|e| e["choices"][0]["delta"]["content"].as_str().map(String::from)).collect()
    }
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: Vec::new() }
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head = format!("{head}{name}: {value}\r\n");
        }
        self.send_raw(format!("{head}\r\n{body}").as_bytes()).await;
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], &body.to_string()).await;
        self.reply().await
    }

    pub(crate) async fn chat(&mut self, change: Value) -> Reply {
        self.post("/v1/chat/completions", &chat(change)).await
    }

    pub(crate) async fn send_chat(&mut self, change: Value) {
        self.send("POST", "/v1/chat/completions", &[], &chat(change).to_string()).await;
    }

    /// Everything until the connection ends, and how it ended if not by FIN.
    pub(crate) async fn rest(&mut self) -> (Vec<u8>, Option<ErrorKind>) {
        let end = loop {
            match self.more().await {
                Ok(true) => {}
                Ok(false) => break None,
                Err(kind) => break Some(kind),
            }
        };
        (std::mem::take(&mut self.buffer), end)
    }

    /// One reply, read by its length or its chunks.
    pub(crate) async fn reply(&mut self) -> Reply {
        let (status, headers) = self.head().await;
        let mut chunks = Vec::new();
        let body = if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            while let Some(chunk) = self.chunk().await {
                chunks.push(chunk);
            }
            chunks.concat()
        } else {
            let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
            self.take(len).await
        };
        Reply { status, headers, body, chunks }
    }

    pub(crate) async fn head(&mut self) -> (u16, BTreeMap<String, String>) {
        let head = self.line_end(b"\r\n\r\n").await;
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers =
            lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.into(), v.into())).collect();
        (status, headers)
    }

    /// One HTTP chunk; none at the end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line_end(b"\r\n").await;
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = self.take(size + 2).await;
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    async fn line_end(&mut self, mark: &[u8]) -> String {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                let line = self.take(at + mark.len()).await;
                return String::from_utf8(line).unwrap();
            }
            assert_eq!(self.more().await, Ok(true), "{:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    async fn take(&mut self, len: usize) -> Vec<u8> {
        while self.buffer.len() < len {
            assert_eq!(self.more().await, Ok(true), "{:?}", String::from_utf8_lossy(&self.buffer));
        }
        let rest = self.buffer.split_off(len);
        std::mem::replace(&mut self.buffer, rest)
    }

    async fn more(&mut self) -> Result<bool, ErrorKind> {
        let read = self.stream.read_buf(&mut self.buffer).await.map_err(|error| error.kind())?;
        Ok(read > 0)
    }
}

/// A chat request, with changes.
pub(crate) fn chat(change: Value) -> Value {
    let mut body = json!({"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]});
    if let (Value::Object(body), Value::Object(change)) = (&mut body, change) {
        body.extend(change);
    }
    body
}

pub(crate) fn rules(rules: Value) -> Vec<Rule> {
    serde_json::from_value(rules).unwrap()
}

/// A simulator with settings given as JSON.
pub(crate) async fn simulator(settings: Value) -> Simulator {
    let settings: Settings = serde_json::from_value(settings).unwrap();
    Simulator::start(settings).await.unwrap()
}

/// A simulator with one rule, and a connection to it.
pub(crate) async fn with_rule(rule: Value) -> (Simulator, Client) {
    let simulator = simulator(json!({"rules": [rule]})).await;
    let client = Client::connect(simulator.address()).await;
    (simulator, client)
}
