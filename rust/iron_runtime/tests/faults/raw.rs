//! A server that answers every request with the same bytes, whatever they are.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use iron_runtime::Client;
use iron_runtime::budget::{Budget, Ledger};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::rig::{Wire, merge, nanos};

/// The server, a client of it, and a budget.
pub(crate) struct Raw {
    address: SocketAddr,
    pub(crate) client: Client,
    pub(crate) budget: Budget,
    /// The heads of the requests.
    seen: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Raw {
    /// A server in that format that closes each connection after so many repetitions of `part` after `start`; with
    /// settings for the client.
    pub(crate) async fn speaking(
        wire: Wire,
        start: impl Into<Vec<u8>>,
        part: Vec<u8>,
        times: usize,
        changes: Value,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (start, part): (Arc<[u8]>, Arc<[u8]>) = (start.into().into(), part.into());
        let mut serving = JoinSet::new();
        serving.spawn({
            let seen = seen.clone();
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(answer(stream, seen.clone(), start.clone(), part.clone(), times));
                }
            }
        });
        let ledger = Ledger::new();
        let url = format!("http://{address}/v1");
        let mut settings = wire.settings(&url);
        merge(&mut settings, changes);
        let client = crate::rig::client(&ledger, &url, settings).unwrap();
        let budget = Budget::new(&ledger, "test", nanos(1_000_000_000));
        Self { address, client, budget, seen, _serving: serving }
    }

    /// A server that answers so, and closes the connection.
    pub(crate) async fn new(answer: impl Into<Vec<u8>>) -> Self {
        Self::answering(Wire::OpenAi, answer).await
    }

    /// The same, to requests in that format.
    pub(crate) async fn answering(wire: Wire, answer: impl Into<Vec<u8>>) -> Self {
        Self::speaking(wire, answer, Vec::new(), 0, json!({})).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The heads of the requests that came.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<String>>>,
    start: Arc<[u8]>,
    part: Arc<[u8]>,
    times: usize,
) {
    let Some(head) = read(&mut stream).await else { return };
    seen.lock().unwrap().push(head);
    // A client that has read enough leaves.
    let mut written = stream.write_all(&start).await;
    for _ in 0..times {
        if written.is_err() {
            return;
        }
        written = stream.write_all(&part).await;
    }
    drop(stream.shutdown().await);
    // Closed with bytes unread it would be reset, and what was written could be lost.
    drop(stream.read(&mut [0; 1024]).await);
}

/// Read one request: its head.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        if body.len() >= length.parse().ok()? {
            return Some(head.to_owned());
        }
    }
}
