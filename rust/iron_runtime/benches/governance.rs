//! What governing costs by itself: no network, no Python.
//!
//! `cargo bench -p iron_runtime --features bench`

use std::sync::Arc;

use futures::FutureExt;
use iron_protocol::NanoUsd;
use iron_runtime::budget::{Ask, Budget, Ledger};
use iron_runtime::config::{Config, Sources};
use iron_runtime::{CallContext, ChatRequest, Client, Message};

fn main() {
    divan::main();
}

fn nanos(amount: i64) -> NanoUsd {
    NanoUsd::from_nanos(amount)
}

/// A client's budget, and two nested in it.
fn chain(ledger: &Ledger) -> Arc<[Budget]> {
    ["inner", "outer", "client"].map(|name| Budget::new(ledger, name, nanos(i64::MAX / 4))).into()
}

mod budget {
    use std::time::Duration;

    use iron_runtime::budget::{Shared, Window};

    use super::{Arc, Ask, Budget, FutureExt, Ledger, chain, nanos};

    #[divan::bench]
    fn reserve_and_settle_on_a_chain_of_three(bencher: divan::Bencher<'_, '_>) {
        let ledger = Ledger::new();
        let chain = chain(&ledger);
        bencher.bench_local(|| {
            let ask = Ask { least: nanos(100), most: nanos(1_000) };
            let reserve = ledger.reserve(chain.clone(), ask, None);
            if let Some(Ok(reservation)) = reserve.now_or_never() {
                reservation.settle(nanos(7));
            }
        });
    }

    /// The same, the outermost of them in a ledger file that processes share: each call is written to a journal, twice.
    #[divan::bench]
    fn reserve_and_settle_on_a_chain_with_a_ledger_file(bencher: divan::Bencher<'_, '_>) {
        let ledger = Ledger::new();
        // A bench has nobody to tell.
        let (Ok(directory), Ok(runtime)) =
            (tempfile::tempdir(), tokio::runtime::Builder::new_current_thread().build())
        else {
            std::process::abort()
        };
        let shared = Shared { ledger: directory.path().join("ledger.db"), window: Window::Lifetime };
        let Ok(leased) = Budget::shared(&ledger, "machine", nanos(i64::MAX / 4), shared) else {
            std::process::abort()
        };
        let chain: Arc<[Budget]> = chain(&ledger).iter().take(2).cloned().chain([leased]).collect();
        let ask = Ask { least: nanos(100), most: nanos(1_000) };
        bencher.bench_local(|| {
            // The first waits for its lease, and one in tens of thousands for the next.
            if let Ok(reservation) = runtime.block_on(ledger.reserve(chain.clone(), ask, None)) {
                reservation.settle(nanos(7));
            }
        });
        drop(chain);
        ledger.return_leases(Duration::from_secs(10));
    }

    /// Two threads on one ledger.
    #[divan::bench(threads = 2)]
    fn reserve_and_settle_side_by_side(bencher: divan::Bencher<'_, '_>) {
        let ledger = Ledger::new();
        let chain: Arc<[Budget]> = chain(&ledger);
        bencher.bench(|| {
            let reserve = ledger.reserve(chain.clone(), Ask::exactly(nanos(1_000)), None);
            if let Some(Ok(reservation)) = reserve.now_or_never() {
                reservation.settle(nanos(7));
            }
        });
    }

    #[divan::bench]
    fn look(bencher: divan::Bencher<'_, '_>) {
        let ledger = Ledger::new();
        let budget = Budget::new(&ledger, "b", nanos(1_000));
        bencher.bench_local(|| budget.snapshot());
    }

    #[divan::bench]
    fn open_and_forget(bencher: divan::Bencher<'_, '_>) {
        let ledger = Ledger::new();
        bencher.bench_local(|| Budget::new(&ledger, "b", nanos(1_000)));
    }
}

mod call {
    use super::{
        Budget, CallContext, ChatRequest, Client, Config, FutureExt, Ledger, Message, Sources, nanos,
    };
    use bytes::Bytes;
    use iron_runtime::bench::governed;

    const BODY: &[u8] =
        br#"{"id":"chatcmpl-1","object":"chat.completion","created":1762000000,"model":"gpt-5-mini",
        "choices":[{"index":0,"message":{"role":"assistant",
        "content":"A budget is a promise: it holds only if every call is weighed before it leaves.",
        "refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],
        "usage":{"prompt_tokens":412,"completion_tokens":37,"total_tokens":449,
        "prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},
        "completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,
        "rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":null}"#;

    /// A client with limits and a budget, two budgets within that, and a request of a 2 kB prompt.
    fn client(limit_usd: &str, audit: &str) -> (Client, Vec<Budget>, ChatRequest) {
        let overrides = format!(
            r#"{{"budget": {{"limit_usd": "{limit_usd}"}}, "audit": {audit},
                 "limits": {{"concurrency": 512, "requests_per_minute": 4000000000, "tokens_per_minute": 4000000000}},
                 "providers": {{"openai": {{"api_key": "sk-none"}}}}}}"#
        );
        let ledger = Ledger::new();
        let sources = Sources { overrides: Some(overrides), ..Sources::default() };
        let client = Config::load(&sources).and_then(|config| Client::new(config, &ledger));
        // A bench has nobody to tell.
        let Ok(client) = client else { std::process::abort() };
        let nested = ["agent", "team"].map(|name| Budget::new(&ledger, name, nanos(i64::MAX / 4)));
        let mut request = ChatRequest::new("openai/gpt-5-mini", vec![Message::user("word ".repeat(410))]);
        request.max_tokens = Some(200);
        (client, nested.into(), request)
    }

    fn bench(bencher: divan::Bencher<'_, '_>, limit_usd: &str, audit: &str, served: bool) {
        let (client, budgets, request) = client(limit_usd, audit);
        let body = Bytes::from_static(BODY);
        bencher
            .with_inputs(|| {
                let context = CallContext { budgets: budgets.clone(), ..CallContext::new() };
                (request.clone(), context, body.clone())
            })
            .bench_local_values(|(request, context, body)| {
                let outcome = governed(&client, request, context, body).now_or_never();
                assert_eq!(matches!(outcome, Some(Ok(_))), served, "{outcome:?}");
            });
    }

    /// From beginning to report: the call's id and its chain of budgets are made by its caller.
    #[divan::bench(sample_size = 200, sample_count = 200)]
    fn governed_with_a_prompt_of_2_kb(bencher: divan::Bencher<'_, '_>) {
        bench(bencher, "9000000000", "{}", true);
    }

    /// The same, recorded: what the call itself pays. Encoding and writing is another thread's, and goes on meanwhile.
    #[divan::bench(sample_size = 200, sample_count = 200)]
    fn governed_and_recorded(bencher: divan::Bencher<'_, '_>) {
        let Ok(directory) = tempfile::tempdir() else { std::process::abort() };
        let settings = serde_json::json!({ "directory": directory.path() }).to_string();
        bench(bencher, "9000000000", &settings, true);
    }

    #[divan::bench(sample_size = 200, sample_count = 200)]
    fn refused_by_its_budget(bencher: divan::Bencher<'_, '_>) {
        bench(bencher, "0", "{}", false);
    }
}
