//! Limits, as the provider sees them.

use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use iron_protocol::NanoUsd;
use iron_runtime::budget::{Ask, Budget};
use iron_runtime::{CallContext, Error};
use iron_simulator::{At, Fault, Millis, Reply, Rule, Simulator, StallFault};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::rig::{AROUND, LONG, Rig, ask, nanos, reserved, simulator, soon, until, within};

fn slow() -> Rule {
    Rule { latency_ms: Some(Millis::Between(1.0, 10.0)), ..Reply::tokens(3).into() }
}

#[tokio::test]
async fn no_more_calls_at_once_than_the_limit_and_no_fewer() {
    for concurrency in [1, 4] {
        let rig = Rig::with(vec![slow()], json!({"limits": {"concurrency": concurrency}})).await;
        let calls = (0..40).map(|nth| {
            let client = rig.client.clone();
            async move {
                if nth % 2 == 0 {
                    return client.chat(ask("x", 5), within([])).await.map(drop);
                }
                client.stream(ask("x", 5), within([])).await?.reply().await.map(drop)
            }
        });
        for outcome in soon(join_all(calls)).await {
            outcome.unwrap();
        }
        let stats = rig.stats().await;
        assert_eq!((stats.requests, stats.max_in_progress), (40, concurrency));
    }
}

#[tokio::test]
async fn attempts_of_one_call_take_one_place() {
    let failing = Rule { every: Some(2), ..Rule::from(iron_simulator::Fault::status(500)) };
    let rig = Rig::with(vec![failing, slow()], json!({"limits": {"concurrency": 2}})).await;
    let calls = (0..10).map(|_| rig.client.chat(ask("x", 5), within([])));
    soon(join_all(calls)).await;
    let stats = rig.stats().await;
    assert!(stats.requests > 10 && stats.max_in_progress == 2, "{stats:?}");
}

#[tokio::test]
async fn requests_of_a_minute_are_counted_and_the_rest_refused_before_they_are_sent() {
    let rig =
        Rig::with(vec![slow()], json!({"limits": {"requests_per_minute": 5, "on_limit": "fail"}})).await;
    let budget = rig.budget(1_000_000_000);
    let calls = (0..20).map(|_| rig.client.chat(ask("x", 5), within([budget.clone()])));
    let outcomes = soon(join_all(calls)).await;
    let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!((refused.len(), rig.stats().await.requests), (15, 5));
    for error in refused {
        let Error::RateLimited { upstream: None, retry_after, message, .. } = error else {
            panic!("{error}")
        };
        assert!(message.contains("limits.requests_per_minute"), "{message}");
        assert!(retry_after.is_none_or(|wait| wait <= Duration::from_secs(12)), "{retry_after:?}");
    }
    rig.at_rest(&budget);
}

#[tokio::test]
async fn tokens_of_a_minute_are_the_prompt_by_four_and_the_output_asked_for() {
    let prompt = "x".repeat(120);
    let tokens = (prompt.len() as u64 + AROUND) / 4 + 2 * 60;
    let limits = json!({"tokens_per_minute": 3 * tokens, "on_limit": "fail"});
    let rig = Rig::with(vec![slow()], json!({"limits": limits})).await;
    let calls = (0..10).map(|_| {
        let mut request = ask(&prompt, 60);
        request.n = Some(2);
        rig.client.chat(request, within([]))
    });
    let served = soon(join_all(calls)).await.into_iter().flatten().count();
    // What a minute gives back in the moments between is less than a call.
    assert_eq!((served, rig.stats().await.requests), (3, 3));
}

#[tokio::test]
async fn a_limit_that_would_take_too_long_refuses_at_once() {
    let rig = Rig::with(vec![slow()], json!({"limits": {"requests_per_minute": 1}})).await;
    soon(rig.client.chat(ask("x", 5), within([]))).await.unwrap();
    let context = CallContext { timeout: Some(Duration::from_secs(30)), ..within([]) };
    let start = Instant::now();
    let error = soon(rig.client.chat(ask("x", 5), context)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20));
    let Error::RateLimited { retry_after: Some(wait), .. } = error else { panic!("{error}") };
    assert!((Duration::from_secs(40)..=LONG).contains(&wait), "{wait:?}");
    assert_eq!(rig.stats().await.requests, 1);
}

#[tokio::test]
async fn a_call_refused_by_one_limit_keeps_nothing_of_another() {
    let limits = json!({"concurrency": 1, "requests_per_minute": 2, "on_limit": "fail"});
    let rig = Rig::with(vec![slow()], json!({"limits": limits})).await;
    let budget = rig.budget(1_000_000_000);
    for refused in [false, false, true, true] {
        let outcome = soon(rig.client.chat(ask("x", 5), within([budget.clone()]))).await;
        match outcome {
            Ok(_) => assert!(!refused),
            Err(error) => assert!(refused && error.to_string().contains("requests_per_minute"), "{error}"),
        }
        assert_eq!(budget.snapshot().held, NanoUsd::ZERO);
    }
}

/// A call to `model`, within a budget of that name if there is one.
async fn call(rig: &Rig, model: &str, budget: Option<&str>) -> Result<(), Error> {
    let budget = budget.map(|name| Budget::new(&rig.ledger, name, nanos(1_000_000_000)));
    let mut request = ask("x", 5);
    request.model = model.into();
    soon(rig.client.chat(request, within(budget))).await.map(drop)
}

/// Two providers, each with a simulator of its own, and a route over both.
async fn two(first: Vec<Rule>, second: Vec<Rule>, limits: Value) -> (Rig, Simulator) {
    let other = simulator(second).await;
    let changes = json!({
        "providers": {"other": {"base_url": other.url()}},
        "models": {"fast": {"upstreams": ["sim/m", "other/m"]}},
        "breaker": {"enabled": false},
        "limits": limits,
    });
    (Rig::with(first, changes).await, other)
}

#[tokio::test]
async fn a_provider_a_model_and_an_upstream_have_limits_of_their_own() {
    for table in ["providers", "models", "upstreams"] {
        let name = if table == "providers" { "sim" } else { "sim/m" };
        let (rig, other) = two(vec![slow()], vec![slow()], json!({table: {name: {"concurrency": 2}}})).await;
        let calls = (0..20).map(|nth| call(&rig, if nth % 2 == 0 { "sim/m" } else { "other/m" }, None));
        for outcome in soon(join_all(calls)).await {
            outcome.unwrap();
        }
        assert_eq!(rig.stats().await.max_in_progress, 2, "{table}");
        assert!(other.stats().max_in_progress > 2, "{table}");
    }
}

#[tokio::test]
async fn calls_within_a_budget_of_a_name_share_its_limit() {
    let limits = json!({"budgets": {"research": {"requests_per_minute": 3}}, "on_limit": "fail"});
    let rig = Rig::with(vec![slow()], json!({"limits": limits})).await;
    for (budget, served) in [(Some("research"), 3), (Some("other"), 10), (None, 10)] {
        let outcomes = soon(join_all((0..10).map(|_| call(&rig, "sim/m", budget)))).await;
        assert_eq!(outcomes.iter().flatten().count(), served, "{budget:?}");
        for error in outcomes.into_iter().filter_map(Result::err) {
            assert!(error.to_string().contains("limits.budgets.\"research\".requests_per_minute"), "{error}");
        }
    }
    assert_eq!(rig.stats().await.requests, 23);
}

#[tokio::test]
async fn each_attempt_counts_at_its_upstream_and_the_call_once_for_the_client() {
    let limits = json!({
        "requests_per_minute": 2, "on_limit": "fail",
        "models": {"sim/m": {"requests_per_minute": 4}, "other/m": {"requests_per_minute": 1}},
    });
    let failing = vec![Fault::status(503).into()];
    let (rig, other) = two(failing, vec![slow()], limits).await;
    // Three attempts at the first, one at the second; then one at the first, and the second has no room.
    call(&rig, "fast", None).await.unwrap();
    let error = call(&rig, "fast", None).await.unwrap_err();
    let Error::NoUpstream { failures, .. } = &error else { panic!("{error}") };
    assert!(matches!(failures[0], Error::UpstreamStatus { status: 503, .. }), "{error}");
    assert!(failures[1].to_string().contains("limits.models.\"other/m\".requests_per_minute"), "{error}");
    assert_eq!((rig.stats().await.requests, other.stats().requests), (4, 1));
    let error = call(&rig, "fast", None).await.unwrap_err();
    assert!(error.to_string().starts_with("limits.requests_per_minute is reached"), "{error}");
}

#[tokio::test]
async fn an_upstream_without_room_is_not_waited_for_while_another_has_some() {
    let stalled = Rule::from(Fault::Stall(StallFault { at: At::BeforeHeaders, ms: None }));
    let limits = json!({"models": {"sim/m": {"concurrency": 1}}});
    let (rig, other) = two(vec![stalled], vec![slow()], limits).await;
    let mut holding = Box::pin(call(&rig, "sim/m", None));
    until(|| (&mut holding).now_or_never().is_none() && rig.simulator.stats().requests == 1).await;
    for outcome in soon(join_all((0..10).map(|_| call(&rig, "fast", None)))).await {
        outcome.unwrap();
    }
    assert_eq!((rig.simulator.stats().requests, other.stats().requests), (1, 10));
}

#[tokio::test]
async fn a_line_for_one_provider_keeps_no_place_from_another() {
    let stalled = Rule::from(Fault::Stall(StallFault { at: At::BeforeHeaders, ms: None }));
    let limits = json!({"concurrency": 2, "providers": {"sim": {"concurrency": 1}}});
    let (rig, other) = two(vec![stalled], vec![slow()], limits).await;
    let mut line: Vec<_> = (0..8).map(|_| Box::pin(call(&rig, "sim/m", None))).collect();
    until(|| {
        assert!(line.iter_mut().all(|call| call.now_or_never().is_none()));
        rig.simulator.stats().requests == 1
    })
    .await;
    for _ in 0..3 {
        call(&rig, "other/m", None).await.unwrap();
    }
    drop(line);
    assert_eq!((rig.stats().await.requests, other.stats().requests), (1, 3));
    assert_eq!(rig.client.in_flight(), 0);
}

/// A client for one request at once, and a call that waits for the money of a budget of its own.
#[tokio::test]
async fn a_call_that_waits_for_money_holds_no_place() {
    let rig = Rig::with(vec![slow()], json!({"limits": {"concurrency": 1}})).await;
    let price = reserved("x", 5);
    let poor = Budget::new(&rig.ledger, "poor", price);
    let held = soon(rig.ledger.reserve([poor.clone()].into(), Ask::exactly(price), None)).await.unwrap();
    let mut waiting = Box::pin(rig.client.chat(ask("x", 5), within([poor.clone()])));
    until(|| (&mut waiting).now_or_never().is_none() && poor.snapshot().waiting == 1).await;
    for _ in 0..3 {
        soon(rig.client.chat(ask("x", 5), within([]))).await.unwrap();
    }
    held.release();
    soon(waiting).await.unwrap();
    let stats = rig.stats().await;
    assert_eq!((stats.requests, stats.max_in_progress), (4, 1));
    rig.at_rest(&poor);
}

#[tokio::test]
async fn a_call_that_has_waited_for_money_keeps_it_while_it_waits_for_a_place() {
    let stalled = Rule::from(Fault::Stall(StallFault { at: At::BeforeHeaders, ms: None }));
    let first = Rule { times: Some(1), ..stalled };
    let rig = Rig::with(vec![first, slow()], json!({"limits": {"concurrency": 1}})).await;
    let price = reserved("x", 5);
    let poor = Budget::new(&rig.ledger, "poor", price);
    let held = soon(rig.ledger.reserve([poor.clone()].into(), Ask::exactly(price), None)).await.unwrap();
    let mut waiting = Box::pin(rig.client.chat(ask("x", 5), within([poor.clone()])));
    until(|| (&mut waiting).now_or_never().is_none() && poor.snapshot().waiting == 1).await;
    let mut holding = Box::pin(rig.client.chat(ask("x", 5), within([])));
    until(|| (&mut holding).now_or_never().is_none() && rig.simulator.stats().requests == 1).await;
    held.release();
    until(|| (&mut waiting).now_or_never().is_none() && poor.snapshot().waiting == 0).await;
    assert_eq!((poor.snapshot().held, rig.simulator.stats().requests), (price, 1));
    drop(holding);
    soon(waiting).await.unwrap();
    assert_eq!(rig.simulator.stats().requests, 2);
    rig.at_rest(&poor);
}
