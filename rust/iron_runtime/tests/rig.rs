//! The rig: a client, and the simulator that it calls.

use std::future::Future;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use iron_protocol::NanoUsd;
use iron_runtime::budget::{Budget, Ledger};
use iron_runtime::config::{Config, Sources};
use iron_runtime::{CallContext, ChatRequest, Client, Error, Events, Extensions, Json, Message};
use iron_simulator::{Rule, Settings, Simulator, Stats};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The model that every test calls.
pub(crate) const MODEL: &str = "sim/m";
/// What it costs, in nano-dollars a token.
pub(crate) const INPUT: u64 = 1_000;
pub(crate) const CACHED: u64 = 100;
pub(crate) const OUTPUT: u64 = 4_000;
/// What the published bound adds to the bytes of a prompt of one message.
pub(crate) const AROUND: u64 = 40;
/// Far longer than anything here takes, on a busy machine too.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Whose format an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    OpenAi,
    Anthropic,
}

pub(crate) const WIRES: [Wire; 2] = [Wire::OpenAi, Wire::Anthropic];

impl Wire {
    /// What a client is told of an upstream at `url` that speaks it.
    pub(crate) fn settings(self, url: &str) -> Value {
        let provider = match self {
            Self::OpenAi => json!({}),
            Self::Anthropic => json!({"vendor": "anthropic", "base_url": url.trim_end_matches("/v1")}),
        };
        json!({"providers": {"sim": provider, "other": provider}})
    }
}

pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) client: Client,
    pub(crate) ledger: Ledger,
}

impl Rig {
    pub(crate) async fn new(rules: Vec<Rule>) -> Self {
        Self::with(rules, json!({})).await
    }

    /// With `settings` above those of [`settings`].
    pub(crate) async fn with(rules: Vec<Rule>, changes: Value) -> Self {
        Self::of(simulator(rules).await, changes)
    }

    /// With what a program adds to its client.
    pub(crate) async fn extended(rules: Vec<Rule>, changes: Value, extensions: Extensions) -> Self {
        let (simulator, ledger) = (simulator(rules).await, Ledger::new());
        let config = config(&simulator.url(), changes).unwrap();
        let client = Client::extended(config, &ledger, &Events::new(), extensions).unwrap();
        Self { simulator, client, ledger }
    }

    /// The same, of an upstream that speaks that format.
    pub(crate) async fn speaking(wire: Wire, rules: Vec<Rule>, changes: Value) -> Self {
        let simulator = simulator(rules).await;
        let mut settings = wire.settings(&simulator.url());
        merge(&mut settings, changes);
        Self::of(simulator, settings)
    }

    pub(crate) fn of(simulator: Simulator, changes: Value) -> Self {
        let ledger = Ledger::new();
        let client = client(&ledger, &simulator.url(), changes).unwrap();
        Self { simulator, client, ledger }
    }

    pub(crate) fn budget(&self, limit: u64) -> Budget {
        Budget::new(&self.ledger, "test", nanos(limit))
    }

    /// The counters once nothing is in progress.
    pub(crate) async fn stats(&self) -> Stats {
        assert!(self.simulator.quiet(LONG).await, "the simulator is still busy");
        self.simulator.stats()
    }

    /// Nothing is held, and nothing goes on.
    pub(crate) fn at_rest(&self, budget: &Budget) {
        assert_eq!(budget.snapshot().held, NanoUsd::ZERO);
        assert_eq!(budget.snapshot().waiting, 0);
        assert_eq!(self.client.in_flight(), 0);
    }
}

pub(crate) async fn simulator(rules: Vec<Rule>) -> Simulator {
    Simulator::start(Settings { rules, record_limit: 5_000, ..Settings::default() }).await.unwrap()
}

pub(crate) fn client(ledger: &Ledger, url: &str, changes: Value) -> Result<Client, Error> {
    watched(ledger, url, changes, &Events::new())
}

/// A client whose events can be read.
pub(crate) fn watched(ledger: &Ledger, url: &str, changes: Value, events: &Events) -> Result<Client, Error> {
    Client::watched(config(url, changes)?, ledger, events)
}

pub(crate) fn config(url: &str, changes: Value) -> Result<Config, Error> {
    let mut settings = settings(url);
    merge(&mut settings, changes);
    Config::load(&Sources { overrides: Some(settings.to_string()), ..Sources::default() })
}

/// Two providers at `url`, the second for routes; waits between attempts of a millisecond.
fn settings(url: &str) -> Value {
    let price = json!({
        "input_usd": "1", "cached_input_usd": "0.1", "output_usd": "4",
        "context_tokens": 200_000_000, "max_output_tokens": 20_000,
    });
    json!({
        "providers": {
            "sim": {"base_url": url, "api_key": "sk-first-of-the-keys"},
            "other": {"base_url": url, "api_key": "sk-second-of-the-keys"},
        },
        "prices": {"sim/m": price, "other/m": price},
        "retry": {"initial_ms": 1, "max_ms": 2},
    })
}

pub(crate) fn merge(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

pub(crate) fn nanos(amount: u64) -> NanoUsd {
    NanoUsd::from_nanos(i64::try_from(amount).unwrap())
}

/// A prompt with a bound on the output.
pub(crate) fn ask(text: &str, max_tokens: u32) -> ChatRequest {
    let mut request = ChatRequest::new(MODEL, vec![Message::user(text.to_owned())]);
    request.max_tokens = Some(max_tokens);
    request
}

pub(crate) fn param(request: &mut ChatRequest, name: &str, value: &Value) {
    request.params.push((name.into(), Json::from_value(value).unwrap()));
}

/// What the published rule reserves for [`ask`].
pub(crate) fn reserved(text: &str, max_tokens: u32) -> NanoUsd {
    nanos((text.len() as u64 + AROUND) * INPUT + u64::from(max_tokens) * OUTPUT)
}

/// What a simulator served, at the model's price.
pub(crate) fn served(stats: &Stats) -> NanoUsd {
    nanos(
        (stats.input_tokens - stats.cached_tokens) * INPUT
            + stats.cached_tokens * CACHED
            + stats.output_tokens * OUTPUT,
    )
}

pub(crate) fn within(budgets: impl IntoIterator<Item = Budget>) -> CallContext {
    CallContext { budgets: budgets.into_iter().collect(), ..CallContext::new() }
}

/// What the future gives, unless it hangs.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("it hangs")
}

/// Look until it is so. Each look lets everything else go on first.
pub(crate) async fn until(mut so: impl FnMut() -> bool) {
    soon(async {
        while !so() {
            // Counters of the other side tell no event; a timer of the shortest kind lets sockets go on.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// The future's output, unless it is dropped after so many polls.
pub(crate) async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// An address that lets nobody in: its queue of connections is full.
pub(crate) struct FullHouse {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl FullHouse {
    pub(crate) async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        // A connection that a loopback has not let in by then is one that it does not let in.
        while let Ok(connected) =
            tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
        {
            queued.push(connected.unwrap());
        }
        Self { address, _listener: listener, _queued: queued }
    }
}
