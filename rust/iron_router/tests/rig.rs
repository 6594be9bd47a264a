//! The rig: a router, the simulator behind it, and a client that reads every byte.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use iron_router::Router;
use iron_runtime::Client;
use iron_runtime::budget::Ledger;
use iron_runtime::config::{Config, Sources};
use iron_simulator::{Rule, Settings, Simulator};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Far longer than anything here takes, on a busy machine too.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) router: Router,
    pub(crate) client: Client,
    /// What reads and writes for connections; ended with the rig.
    wires: JoinSet<()>,
}

/// An answer that has been read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The data of each event.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = std::str::from_utf8(&self.body).unwrap();
        let events = text.strip_suffix("\n\n").unwrap().split("\n\n");
        events.map(|event| event.strip_prefix("data: ").unwrap().to_owned()).collect()
    }
}

impl Rig {
    pub(crate) async fn new(rules: Value) -> Self {
        Self::with(rules, json!({})).await
    }

    /// With tables of settings above the usual ones.
    pub(crate) async fn with(rules: Value, changes: Value) -> Self {
        let rules: Vec<Rule> = serde_json::from_value(rules).unwrap();
        let simulator = Simulator::start(Settings { rules, ..Settings::default() }).await.unwrap();
        let mut settings = json!({
            "providers": {"sim": {"base_url": simulator.url(), "api_key": "sk-provider"}},
            "models": {"m": {"upstreams": ["sim/m"]}},
            "prices": {"sim/m": {"input_usd": 1, "output_usd": 4, "max_output_tokens": 1000}},
            "retry": {"max_attempts": 1},
            "router": {"listen": "127.0.0.1:0"},
        });
        for (table, keys) in changes.as_object().unwrap() {
            for (key, value) in keys.as_object().unwrap() {
                settings[table][key] = value.clone();
            }
        }
        let sources = Sources { overrides: Some(settings.to_string()), ..Sources::default() };
        let config = Config::load(&sources).unwrap();
        let (serving, ledger) = (config.router().clone(), Ledger::new());
        let client = Client::new(config, &ledger).unwrap();
        let router = Router::start(&serving, client.clone(), &ledger).await.unwrap();
        Self { simulator, router, client, wires: JoinSet::new() }
    }

    /// A connection of its own.
    pub(crate) async fn connect(&mut self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(self.router.address()).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        self.wires.spawn(async move { drop(connection.await) });
        sender
    }

    /// Ask, and read to the end.
    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Answer {
        let mut connection = self.connect().await;
        read(connection.send_request(request).await.unwrap()).await
    }

    pub(crate) async fn chat(&mut self, body: Value) -> Answer {
        self.ask(post("/v1/chat/completions", &body)).await
    }
}

pub(crate) async fn read(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}

pub(crate) fn post(path: &str, body: &Value) -> Request<Full<Bytes>> {
    raw(Method::POST, path, body.to_string())
}

pub(crate) fn raw(method: Method, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("host", "localhost").header("content-type", "application/json");
    request.body(Full::new(body.into())).unwrap()
}

/// The body of a chat that asks the simulator to echo.
pub(crate) fn hello() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]})
}

/// The same, as a stream.
pub(crate) fn streamed() -> Value {
    let mut body = hello();
    body["stream"] = true.into();
    body
}
