//! The memory of a call to an upstream that sends what is small on the wire and large when it is read.
#![expect(clippy::unwrap_used, reason = "what is not expected fails the test")]

use std::time::Duration;

use iron_runtime::budget::Ledger;
use iron_runtime::config::{Config, Sources};
use iron_runtime::{CallContext, ChatRequest, Client, Error, Message};
use iron_simulator::{Coding, Fault, PaddingFault, Settings, Simulator};
use peak_alloc::PeakAlloc;
use serde_json::json;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
const BOMB: usize = 192 * MIB;
/// A reply of 64 MiB at most, and the half of it again while its buffer grows.
const MOST_PLAIN: usize = 128 * MIB;
/// An event of 16 MiB at most, in a buffer that doubles.
const MOST_STREAM: usize = 64 * MIB;

fn client(simulator: &Simulator) -> Client {
    let (url, api_key) = (simulator.url(), "sk-test");
    let root = url.trim_end_matches("/v1");
    let settings = json!({"providers": {
        "openai": {"base_url": url, "api_key": api_key},
        "anthropic": {"base_url": root, "api_key": api_key},
    }});
    let sources = Sources { overrides: Some(settings.to_string()), ..Sources::default() };
    Client::new(Config::load(&sources).unwrap(), &Ledger::new()).unwrap()
}

async fn call(client: &Client, model: &str, stream: bool) -> Result<(), Error> {
    let request = ChatRequest::new(model, vec![Message::user("Hello")]);
    if !stream {
        return client.chat(request, CallContext::new()).await.map(drop);
    }
    client.stream(request, CallContext::new()).await?.reply().await.map(drop)
}

#[tokio::test]
async fn bombs_of_every_coding_go_off_in_a_bounded_room() {
    let models = ["openai/gpt-5-mini", "anthropic/claude-haiku-4-5"];
    let codings = [Coding::Gzip, Coding::Deflate, Coding::Br, Coding::Zstd];
    for (model, coding) in models.into_iter().flat_map(|model| codings.map(|coding| (model, coding))) {
        for (stream, most) in [(false, MOST_PLAIN), (true, MOST_STREAM)] {
            let bomb = Fault::Padded(PaddingFault { bytes: BOMB as u64, coding: Some(coding) });
            let settings = Settings { rules: vec![bomb.into()], ..Settings::default() };
            let simulator = Simulator::start(settings).await.unwrap();
            let client = client(&simulator);
            MEMORY.reset_peak_usage();
            let before = MEMORY.current_usage();
            let called = tokio::time::timeout(Duration::from_secs(120), call(&client, model, stream)).await;
            let peak = MEMORY.peak_usage() - before;
            let Ok(Err(Error::UpstreamStatus { status: 200, message, body, .. })) = called else {
                panic!("{called:?}")
            };
            assert!(
                message.contains("larger than") || message.contains("too long"),
                "{model} {coding:?}: {message}"
            );
            assert!(body.is_empty());
            assert!(peak < most, "{model} {coding:?}, stream {stream}: {} MiB", peak / MIB);
            assert_eq!(simulator.stats().requests, 1);
        }
    }
}
