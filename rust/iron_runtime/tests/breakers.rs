//! How many requests an upstream that fails sees from many calls: its circuit breaker, and its retry budget.

use futures::FutureExt;
use futures::future::join_all;
use iron_protocol::ErrorCode;
use iron_runtime::{BreakerState, CallContext, Error, UpstreamSnapshot};
use iron_simulator::{At, BreakFault, Fault, Reply, Rule, StallFault};
use serde_json::{Value, json};

use crate::rig::{MODEL, Rig, ask, soon, until, within};

fn replying() -> Rule {
    Reply::tokens(3).into()
}

fn failing(times: u64) -> Rule {
    Rule { times: Some(times), ..Rule::from(Fault::status(503)) }
}

/// Single attempts, and a breaker that opens after three failures.
fn settings(open_ms: u64) -> Value {
    json!({"retry": {"max_attempts": 1}, "breaker": {"failures": 3, "open_ms": open_ms}})
}

async fn call(rig: &Rig) -> Result<(), Error> {
    soon(rig.client.chat(ask("x", 5), within([]))).await.map(drop)
}

fn snapshot(rig: &Rig) -> UpstreamSnapshot {
    let [only]: [UpstreamSnapshot; 1] = rig.client.upstreams().try_into().unwrap();
    assert_eq!((&*only.name, only.in_flight), (MODEL, 0));
    only
}

#[tokio::test]
async fn an_open_breaker_sends_nothing_and_says_when_it_probes() {
    let rig = Rig::with(vec![Fault::status(503).into()], settings(60_000)).await;
    let mut errors = Vec::new();
    for _ in 0..7 {
        errors.push(call(&rig).await.unwrap_err());
    }
    assert_eq!(rig.stats().await.requests, 3);
    for error in &errors[..3] {
        assert!(matches!(error, Error::UpstreamStatus { status: 503, .. }), "{error}");
    }
    for error in &errors[3..] {
        let Error::BreakerOpen { upstream, probe_in } = error else { panic!("{error}") };
        assert!(upstream == MODEL && (1..=60).contains(&probe_in.as_secs()), "{probe_in:?}");
        assert!(error.code() == ErrorCode::NoUpstream && error.retryable());
    }
    let told = snapshot(&rig);
    assert_eq!((told.breaker, told.requests, told.failures), (BreakerState::Open, 3, 3));
}

#[tokio::test]
async fn a_probe_that_is_answered_closes_it() {
    let rig = Rig::with(vec![failing(3), replying()], settings(1)).await;
    for _ in 0..3 {
        call(&rig).await.unwrap_err();
    }
    assert_eq!(snapshot(&rig).breaker, BreakerState::Open);
    let mut probed = call(&rig).await;
    while let Err(error) = probed {
        // Each refusal is within the millisecond.
        assert!(matches!(error, Error::BreakerOpen { .. }), "{error}");
        probed = call(&rig).await;
    }
    assert_eq!(snapshot(&rig).breaker, BreakerState::Closed);
    assert_eq!(rig.stats().await.requests, 4);
}

#[tokio::test]
async fn of_many_calls_one_probes_and_a_probe_that_is_dropped_makes_room() {
    let stalled =
        Rule { times: Some(1), ..Fault::Stall(StallFault { at: At::BeforeHeaders, ms: None }).into() };
    let rig = Rig::with(vec![failing(3), stalled, replying()], settings(1)).await;
    for _ in 0..3 {
        call(&rig).await.unwrap_err();
    }
    let mut probe = Box::pin(rig.client.chat(ask("x", 5), within([])));
    // Dropped and made again while it is still refused.
    until(|| {
        if (&mut probe).now_or_never().is_some() {
            probe = Box::pin(rig.client.chat(ask("x", 5), within([])));
        }
        rig.simulator.stats().requests == 4
    })
    .await;
    for outcome in join_all((0..20).map(|_| call(&rig))).await {
        assert!(matches!(outcome, Err(Error::BreakerOpen { .. })), "{outcome:?}");
    }
    assert_eq!(rig.simulator.stats().requests, 4, "one probe at a time");
    drop(probe);
    call(&rig).await.unwrap();
    assert_eq!((rig.stats().await.requests, snapshot(&rig).breaker), (5, BreakerState::Closed));
}

#[tokio::test]
async fn what_an_upstream_refuses_and_calls_that_are_dropped_do_not_open_it() {
    let refused = Rule { times: Some(10), ..Rule::from(Fault::status(400)) };
    let limited = Rule { times: Some(10), ..Rule::from(Fault::status(429)) };
    let stalled = Rule::from(Fault::Stall(StallFault { at: At::BeforeHeaders, ms: None }));
    let rig = Rig::with(vec![refused, limited, stalled], settings(60_000)).await;
    for _ in 0..20 {
        let error = call(&rig).await.unwrap_err();
        assert!(matches!(error, Error::UpstreamStatus { .. } | Error::RateLimited { .. }), "{error}");
    }
    for sent in 1..=10 {
        let mut dropped = Box::pin(rig.client.chat(ask("x", 5), within([])));
        until(|| (&mut dropped).now_or_never().is_none() && rig.simulator.stats().requests == 20 + sent)
            .await;
    }
    assert_eq!((rig.stats().await.requests, snapshot(&rig).breaker), (30, BreakerState::Closed));
}

#[tokio::test]
async fn streams_that_break_off_open_it() {
    let broken = Fault::Reset(BreakFault { at: At::AfterChunks(2) });
    let rig = Rig::with(vec![broken.into()], settings(60_000)).await;
    for _ in 0..3 {
        let mut stream = soon(rig.client.stream(ask("x", 5), within([]))).await.unwrap();
        soon(stream.reply()).await.unwrap_err();
    }
    let error = soon(rig.client.stream(ask("x", 5), within([]))).await.unwrap_err();
    assert!(matches!(error, Error::BreakerOpen { .. }), "{error}");
    assert_eq!(rig.stats().await.requests, 3);
}

#[tokio::test]
async fn a_retry_budget_that_is_used_up_ends_a_call_at_once_and_says_so() {
    let budget =
        json!({"retry": {"budget_percent": 50, "budget_per_second": 0}, "breaker": {"enabled": false}});
    let rig = Rig::with(vec![Fault::status(503).into()], budget).await;
    let mut errors = Vec::new();
    for _ in 0..20 {
        errors.push(call(&rig).await.unwrap_err());
    }
    let told = snapshot(&rig);
    // Half a retry for each call, and each call would take two.
    assert_eq!((rig.stats().await.requests, told.requests, told.retries), (30, 30, 10));
    for error in errors {
        let Error::NotRetried { failure } = &error else { panic!("{error}") };
        assert!(matches!(**failure, Error::UpstreamStatus { status: 503, .. }));
        assert!(
            error.to_string().contains("answered 503") && error.to_string().contains("retry budget"),
            "{error}"
        );
        assert!(error.code() == ErrorCode::UpstreamStatus && error.retryable());
    }
}

#[tokio::test]
async fn retries_of_a_swarm_are_a_share_of_its_calls() {
    let budget =
        json!({"retry": {"budget_percent": 20, "budget_per_second": 0}, "breaker": {"enabled": false}});
    let rig = Rig::with(vec![Fault::status(500).into()], budget).await;
    let context = || CallContext { max_attempts: Some(10), ..within([]) };
    soon(join_all((0..200).map(|_| rig.client.chat(ask("x", 5), context())))).await;
    let requests = rig.stats().await.requests;
    assert!((200..=240).contains(&requests), "{requests} requests of 200 calls");
}
