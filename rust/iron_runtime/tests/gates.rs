//! What a provider's 429 does to the other calls: one learns, all wait.

use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use iron_protocol::NanoUsd;
use iron_runtime::{CallContext, Error};
use iron_simulator::{Fault, RateLimitHeaders, Reply, RetryAfter, Rule, Settings, Simulator, StatusFault};
use serde_json::json;

use crate::rig::{MODEL, Rig, WIRES, Wire, ask, soon, until, within};

fn replying() -> Rule {
    Reply::tokens(3).into()
}

/// The first request is told to wait.
fn told_once(retry_after: RetryAfter) -> Vec<Rule> {
    let fault = StatusFault { retry_after: Some(retry_after), ..StatusFault::new(429) };
    vec![Rule { times: Some(1), ..Rule::from(Fault::Status(fault)) }, replying()]
}

#[tokio::test]
async fn one_call_learns_and_all_wait() {
    for wire in WIRES {
        learns(wire).await;
    }
}

async fn learns(wire: Wire) {
    let rig = Rig::speaking(wire, told_once(RetryAfter::Text("0.4".into())), json!({})).await;
    let budget = rig.budget(1_000_000_000);
    let mut first = Box::pin(rig.client.chat(ask("x", 5), within([budget.clone()])));
    until(|| {
        assert!((&mut first).now_or_never().is_none());
        rig.client.upstreams().iter().any(|upstream| upstream.closed_for.is_some())
    })
    .await;
    let mut others =
        Box::pin(join_all((0..20).map(|_| rig.client.chat(ask("x", 5), within([budget.clone()])))));
    assert!((&mut others).now_or_never().is_none());
    assert_eq!(budget.snapshot().held, NanoUsd::ZERO, "a call that waits at the gate holds no money");
    let (first, others) = soon(futures::future::join(first, others)).await;
    assert_eq!(first.unwrap().report.attempts, 2);
    for other in others {
        let report = other.unwrap().report;
        assert_eq!(report.attempts, 1);
        assert!(report.timing.queued > Duration::ZERO);
    }
    assert_eq!(rig.stats().await.requests, 22);
    let at: Vec<_> = rig.simulator.requests().iter().map(|request| request.at_ms).collect();
    assert!(at[1..].iter().all(|ms| *ms >= at[0] + 399), "{at:?}");
    assert_eq!(rig.client.upstreams()[0].closed_for, None);
    rig.at_rest(&budget);
}

#[tokio::test]
async fn a_call_whose_deadline_comes_before_the_opening_makes_no_request() {
    let rig = Rig::new(told_once(RetryAfter::Seconds(300))).await;
    let context = || CallContext { timeout: Some(Duration::from_secs(30)), ..within([]) };
    for _ in 0..5 {
        let error = soon(rig.client.chat(ask("x", 5), context())).await.unwrap_err();
        let Error::RateLimited { upstream: Some(upstream), retry_after: Some(wait), .. } = &error else {
            panic!("{error}")
        };
        assert!(upstream == MODEL && (200..=300).contains(&wait.as_secs()), "{wait:?}");
        assert!(error.retryable());
    }
    assert_eq!(rig.stats().await.requests, 1);
}

#[tokio::test]
async fn the_gate_of_one_upstream_keeps_nobody_from_another() {
    let rig = Rig::new(told_once(RetryAfter::Seconds(300))).await;
    let context = CallContext { timeout: Some(Duration::from_secs(30)), ..within([]) };
    soon(rig.client.chat(ask("x", 5), context)).await.unwrap_err();
    let mut request = ask("x", 5);
    request.model = "other/m".into();
    assert_eq!(soon(rig.client.chat(request, within([]))).await.unwrap().report.attempts, 1);
}

#[tokio::test]
async fn calls_dropped_at_the_gate_leave_nothing_behind() {
    let limits = json!({"limits": {"concurrency": 5}});
    let rig = Rig::with(told_once(RetryAfter::Text("0.3".into())), limits).await;
    let budget = rig.budget(1_000_000_000);
    let mut first = Box::pin(rig.client.chat(ask("x", 5), within([budget.clone()])));
    until(|| (&mut first).now_or_never().is_none() && rig.simulator.stats().by_status.contains_key(&429))
        .await;
    for _ in 0..20 {
        assert!(rig.client.chat(ask("x", 5), within([budget.clone()])).now_or_never().is_none());
    }
    soon(first).await.unwrap();
    soon(rig.client.chat(ask("x", 5), within([budget.clone()]))).await.unwrap();
    assert_eq!(rig.stats().await.requests, 3);
    rig.at_rest(&budget);
}

/// The simulator announces how much of the minute is left: of a single request nothing, and that it comes back in 1 s or
/// more.
#[tokio::test]
async fn a_quota_that_is_said_to_be_used_up_is_not_tried() {
    for wire in WIRES {
        used_up(wire).await;
    }
}

async fn used_up(wire: Wire) {
    let limits = RateLimitHeaders { requests: 1, tokens: 1_000_000 };
    let settings =
        Settings { rules: vec![replying()], rate_limit_headers: Some(limits), ..Settings::default() };
    let simulator = Simulator::start(settings).await.unwrap();
    let speaking = wire.settings(&simulator.url());
    let rig = Rig::of(simulator, speaking);
    let calls = [(); 2].map(|()| rig.client.chat(ask("x", 5), within([])));
    let [first, second] = calls;
    soon(first).await.unwrap();
    assert!(rig.client.upstreams()[0].closed_for.is_some());
    let hasty = CallContext { timeout: Some(Duration::from_millis(100)), ..within([]) };
    let error = soon(rig.client.chat(ask("x", 5), hasty)).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { retry_after: Some(_), .. }), "{error}");
    assert_eq!(soon(second).await.unwrap().report.attempts, 1);
    assert_eq!(rig.stats().await.requests, 2, "and none was refused");
    let at: Vec<_> = rig.simulator.requests().iter().map(|request| request.at_ms).collect();
    assert!(at[1] >= at[0] + 999, "{at:?}");
}
