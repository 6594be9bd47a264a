//! What the price table costs at first use, in time and in memory, and what a bound costs.
//!
//! `cargo bench -p iron_runtime --bench prices`

use iron_runtime::budget::Ledger;
use iron_runtime::config::{Config, Sources};
use iron_runtime::pricing::Catalog;
use iron_runtime::{ChatRequest, Client, Message};

/// Counts what is allocated beside the time.
#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// No entry is kept: each use is a first one.
#[divan::bench(args = ["openai/gpt-5-mini", "bedrock/zai.glm-5", "openai/not-a-model"])]
fn first_use(model: &str) -> bool {
    matches!(Catalog::default().find(model), Ok(Some(_)))
}

/// What `iron prices` does.
#[divan::bench]
fn every_model() -> usize {
    Catalog::default().models().map_or(0, |models| models.len())
}

#[divan::bench(args = [1_000, 1_000_000])]
fn estimate(bencher: divan::Bencher<'_, '_>, bytes: usize) {
    let sources = Sources {
        overrides: Some(r#"{"providers": {"openai": {"api_key": "sk-none"}}}"#.to_owned()),
        ..Sources::default()
    };
    let client = Config::load(&sources).and_then(|config| Client::new(config, &Ledger::new()));
    // A bench has nobody to tell.
    let Ok(client) = client else { std::process::abort() };
    let request = ChatRequest::new("openai/gpt-5-mini", vec![Message::user("x".repeat(bytes))]);
    bencher.bench(|| client.estimate(&request).is_ok());
}
