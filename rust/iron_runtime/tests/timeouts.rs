//! The four timeouts, each under its own name, and what the whole call's bounds.

use std::time::Duration;

use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::budget::Ask;
use iron_runtime::{CallContext, Error, TimeoutPhase};
use iron_simulator::{At, Fault, Reply, Rule, StallFault};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::rig::{FullHouse, LONG, Rig, ask, reserved, simulator, soon, within};

const PROMPT: &str = "How long?";

fn stalled(at: At) -> Rule {
    Rule::from(Fault::Stall(StallFault { at, ms: None }))
}

/// Call once: the phase that passed, its bound, and what was settled.
async fn passed(rule: Rule, timeouts: Value, timeout: Option<Duration>) -> (TimeoutPhase, u64, NanoUsd) {
    let rig = Rig::with(vec![rule], json!({"timeouts": timeouts})).await;
    let budget = rig.budget(1_000_000_000);
    let context = CallContext { timeout, ..within([budget.clone()]) };
    let error = soon(rig.client.chat(ask(PROMPT, 20), context)).await.unwrap_err();
    rig.at_rest(&budget);
    assert_eq!(rig.stats().await.requests, 1, "a slow upstream is not asked again");
    let Error::UpstreamTimeout { phase, after_ms, .. } = error else { panic!("{error}") };
    (phase, after_ms, budget.snapshot().settled)
}

#[tokio::test]
async fn no_first_byte() {
    let doubt = reserved(PROMPT, 20);
    for at in [At::BeforeHeaders, At::AfterHeaders] {
        let told = passed(stalled(at), json!({"ttft_ms": 60}), None).await;
        assert_eq!(told, (TimeoutPhase::FirstByte, 60, doubt), "{at:?}");
    }
}

#[tokio::test]
async fn no_next_byte() {
    let told = passed(stalled(At::AfterBytes(20)), json!({"idle_ms": 70}), None).await;
    assert_eq!(told, (TimeoutPhase::Idle, 70, reserved(PROMPT, 20)));
}

#[tokio::test]
async fn no_reply_in_all() {
    let doubt = reserved(PROMPT, 20);
    for at in [At::BeforeHeaders, At::AfterBytes(20)] {
        let told = passed(stalled(at), json!({"total_ms": 80}), None).await;
        assert_eq!(told, (TimeoutPhase::Total, 80, doubt));
        let told = passed(stalled(at), json!({}), Some(Duration::from_millis(90))).await;
        assert_eq!(told, (TimeoutPhase::Total, 90, doubt));
    }
}

#[tokio::test]
async fn no_connection() {
    let house = FullHouse::new().await;
    let changes = json!({
        "providers": {"sim": {"base_url": format!("http://{}/v1", house.address)}},
        "timeouts": {"connect_ms": 50},
    });
    let rig = Rig::with(vec![], changes).await;
    let budget = rig.budget(1_000_000_000);
    let error = soon(rig.client.chat(ask(PROMPT, 20), within([budget.clone()]))).await.unwrap_err();
    assert!(
        matches!(error, Error::UpstreamTimeout { phase: TimeoutPhase::Connect, after_ms: 50, .. }),
        "{error}"
    );
    assert_eq!(budget.snapshot().settled, NanoUsd::ZERO);
    rig.at_rest(&budget);
}

#[tokio::test]
async fn the_whole_call_bounds_a_connection_too() {
    let house = FullHouse::new().await;
    let changes = json!({"providers": {"sim": {"base_url": format!("http://{}/v1", house.address)}}});
    let rig = Rig::with(vec![], changes).await;
    let budget = rig.budget(1_000_000_000);
    let context = CallContext { timeout: Some(Duration::from_millis(50)), ..within([budget.clone()]) };
    let error = soon(rig.client.chat(ask(PROMPT, 20), context)).await.unwrap_err();
    assert!(
        matches!(error, Error::UpstreamTimeout { phase: TimeoutPhase::Total, after_ms: 50, .. }),
        "{error}"
    );
    assert_eq!(budget.snapshot().settled, NanoUsd::ZERO, "it never left");
    rig.at_rest(&budget);
}

#[tokio::test]
async fn the_whole_call_bounds_waiting_for_a_budget() {
    let rig = Rig::new(vec![Reply::tokens(3).into()]).await;
    let budget = rig.budget(10_000_000);
    let all = Ask::exactly(budget.snapshot().limit);
    let held = rig.ledger.reserve([budget.clone()].into(), all, None).await.unwrap();
    let context = CallContext { timeout: Some(Duration::from_millis(50)), ..within([budget.clone()]) };
    let start = Instant::now();
    let error = soon(rig.client.chat(ask(PROMPT, 20), context)).await.unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(50));
    let Error::BudgetExceeded(refusal) = &error else { panic!("{error}") };
    assert!(refusal.waited && error.retryable());
    assert_eq!(rig.stats().await.connections_opened, 0);
    held.release();
    rig.at_rest(&budget);
}

#[tokio::test]
async fn the_whole_call_bounds_waiting_for_a_place() {
    let rig = Rig::with(vec![stalled(At::BeforeHeaders)], json!({"limits": {"concurrency": 1}})).await;
    let budget = rig.budget(1_000_000_000);
    let mut first = Box::pin(rig.client.chat(ask(PROMPT, 20), within([budget.clone()])));
    let second = async {
        assert!(
            tokio::time::timeout(LONG, async {
                while rig.simulator.stats().requests == 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await
            .is_ok()
        );
        let context = CallContext { timeout: Some(Duration::from_millis(50)), ..within([budget.clone()]) };
        soon(rig.client.chat(ask(PROMPT, 20), context)).await.unwrap_err()
    };
    let error = tokio::select! {
        done = &mut first => panic!("{done:?}"),
        error = second => error,
    };
    assert_eq!(error.code(), ErrorCode::RateLimited, "{error}");
    assert_eq!(rig.simulator.stats().requests, 1);
    assert_eq!(budget.snapshot().held, reserved(PROMPT, 20), "the first one's alone");
    drop(first);
    rig.at_rest(&budget);
}

#[tokio::test]
async fn a_timeout_without_end_is_no_timeout() {
    let simulator = simulator(vec![Reply::tokens(3).into()]).await;
    let most = json!({"total_ms": u64::MAX >> 1, "ttft_ms": u64::MAX >> 1, "idle_ms": u64::MAX >> 1});
    let rig = Rig::of(simulator, json!({"timeouts": most}));
    for timeout in [None, Some(Duration::MAX)] {
        let context = CallContext { timeout, ..within([]) };
        soon(rig.client.chat(ask(PROMPT, 20), context)).await.unwrap();
    }
}

#[tokio::test]
async fn a_timeout_of_nothing_makes_no_request() {
    let rig = Rig::new(vec![Reply::tokens(3).into()]).await;
    let budget = rig.budget(1_000_000_000);
    let context = CallContext { timeout: Some(Duration::ZERO), ..within([budget.clone()]) };
    let error = soon(rig.client.chat(ask(PROMPT, 20), context)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::UpstreamTimeout);
    assert_eq!(budget.snapshot().settled, NanoUsd::ZERO);
    assert_eq!(rig.stats().await.requests, 0);
}
