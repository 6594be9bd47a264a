//! A call that is dropped: wherever it is, it gives up all that it held.

use std::future::Future;

use futures::FutureExt;
use iron_protocol::NanoUsd;
use iron_runtime::budget::{Ask, Budget};
use iron_runtime::{CallContext, Error};
use iron_simulator::{At, BreakFault, Fault, Match, Reply, Rule};
use serde_json::{Value, json};

use crate::rig::{FullHouse, Rig, ask, nanos, polled, reserved, served, soon, within};

const PROMPT: &str = "Never mind";
const OUTPUT_TOKENS: u32 = 20;

/// Drop a call after one poll more each time, until it comes to its end.
async fn drop_at_every_await(rules: Vec<Rule>, changes: Value, stream: bool) {
    drop_along(&Rig::with(rules, changes).await, "sim/m", stream, 1).await;
}

/// The same on a route, where so many attempts at most may be billed.
async fn drop_along(rig: &Rig, model: &str, stream: bool, billed: u64) {
    let budget = rig.budget(1_000_000_000_000);
    let mut polls = 0;
    loop {
        let before = budget.snapshot().settled;
        let done = soon(polled(Box::pin(call_of(rig, model, &budget, stream)), polls)).await;
        rig.at_rest(&budget);
        let stats = rig.stats().await;
        let settled = budget.snapshot().settled;
        assert!(served(&stats) <= settled, "{polls}: {:?} was served, {settled:?} settled", served(&stats));
        if let Some(outcome) = done {
            outcome.unwrap();
            break;
        }
        let paid = settled.checked_sub(before).unwrap();
        let whole = nanos(reserved(PROMPT, OUTPUT_TOKENS).nanos().unsigned_abs() * billed);
        assert!(paid <= whole, "{polls}: more than was reserved was paid, {paid:?}");
        assert!(polls > 0 || paid == NanoUsd::ZERO, "never polled, it has done nothing");
        polls += 1;
    }
    assert!(polls > 1, "it never waited");
}

async fn call(rig: &Rig, budget: &Budget, stream: bool) -> Result<(), Error> {
    call_of(rig, "sim/m", budget, stream).await
}

async fn call_of(rig: &Rig, model: &str, budget: &Budget, stream: bool) -> Result<(), Error> {
    let (mut request, context) = (ask(PROMPT, OUTPUT_TOKENS), within([budget.clone()]));
    request.model = model.into();
    if !stream {
        return rig.client.chat(request, context).await.map(drop);
    }
    let mut stream = rig.client.stream(request, context).await?;
    while let Some(batch) = stream.next_batch().await {
        batch?;
        // An await of its own between two batches.
        tokio::task::yield_now().await;
    }
    stream.reply().await.map(drop)
}

/// Poll a call that cannot come to its end so often, then drop it.
async fn pushed(call: impl Future<Output = Result<(), Error>>, polls: usize) {
    let mut call = Box::pin(call);
    for _ in 0..polls {
        assert!((&mut call).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
}

fn replying() -> Rule {
    Reply::tokens(10).into()
}

#[tokio::test]
async fn a_plain_call() {
    drop_at_every_await(vec![replying()], json!({}), false).await;
}

#[tokio::test]
async fn a_stream() {
    let paced = Rule { tokens_per_second: Some(2_000.0), ..replying() };
    drop_at_every_await(vec![paced], json!({}), true).await;
}

#[tokio::test]
async fn a_call_that_is_tried_again() {
    let failing = Rule { every: Some(2), ..Rule::from(Fault::status(503)) };
    drop_at_every_await(vec![failing, replying()], json!({"retry": {"max_attempts": 50}}), false).await;
}

/// Two attempts that may be billed at the first upstream, then a third at the next: each is settled by itself, wherever
/// the call is dropped.
#[tokio::test]
async fn a_call_that_falls_back() {
    let first = Match {
        headers: [("authorization".to_owned(), "Bearer sk-first-of-the-keys".to_owned())].into(),
        ..Match::default()
    };
    let broken = Rule { when: first, ..Fault::Reset(BreakFault { at: At::BeforeHeaders }).into() };
    let changes = json!({
        "models": {"fast": {"upstreams": ["sim/m", "other/m"]}},
        "retry": {"max_attempts": 2, "budget_percent": 100, "budget_per_second": 1_000},
        "breaker": {"enabled": false},
    });
    for stream in [false, true] {
        drop_along(&Rig::with(vec![broken.clone(), replying()], changes.clone()).await, "fast", stream, 3)
            .await;
    }
}

#[tokio::test]
async fn the_place_of_a_dropped_call_is_free() {
    let rig = Rig::with(vec![replying()], json!({"limits": {"concurrency": 1}})).await;
    let budget = rig.budget(1_000_000_000);
    for polls in 0..6 {
        drop(polled(call(&rig, &budget, polls % 2 == 0), polls).await);
        soon(call(&rig, &budget, false)).await.unwrap();
        rig.at_rest(&budget);
    }
}

#[tokio::test]
async fn a_call_that_waits_for_a_budget() {
    let rig = Rig::new(vec![replying()]).await;
    let budget = rig.budget(1_000_000);
    let all = Ask::exactly(budget.snapshot().limit);
    let held = rig.ledger.reserve([budget.clone()].into(), all, None).await.unwrap();
    for polls in 0..5 {
        pushed(call(&rig, &budget, false), polls).await;
        let now = budget.snapshot();
        assert_eq!((now.held, now.waiting, rig.client.in_flight()), (nanos(1_000_000), 0, 0));
    }
    held.release();
    soon(call(&rig, &budget, false)).await.unwrap();
    assert_eq!(rig.stats().await.requests, 1);
}

#[tokio::test]
async fn a_request_that_was_never_written_costs_nothing() {
    let house = FullHouse::new().await;
    let changes = json!({"providers": {"sim": {"base_url": format!("http://{}/v1", house.address)}}});
    let rig = Rig::with(vec![], changes).await;
    let budget = rig.budget(1_000_000_000);
    for polls in 0..5 {
        pushed(call(&rig, &budget, polls % 2 == 0), polls).await;
        assert_eq!(budget.snapshot().settled, NanoUsd::ZERO);
        rig.at_rest(&budget);
    }
}

/// Between a call that is dropped and a connection that is just taking its request, one wins: what the provider gets
/// is paid for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_dropped_unpaid_never_reaches_the_provider() {
    let rig = Rig::new(vec![replying()]).await;
    let budget = rig.budget(1_000_000_000_000);
    let mut paid = 0;
    for round in 0..1_000_u32 {
        let before = budget.snapshot().settled;
        // Every other round leaves a connection to the next, whose request it takes at once.
        match round % 2 {
            0 => soon(call(&rig, &budget, false)).await.unwrap(),
            _ => drop(hesitating(call(&rig, &budget, false), round % 256)),
        }
        paid += u64::from(budget.snapshot().settled > before);
    }
    rig.at_rest(&budget);
    let Rig { simulator, client, .. } = rig;
    drop(client);
    // With every connection closed nothing is on its way any more.
    crate::rig::until(|| simulator.stats().connections_open == 0).await;
    assert_eq!(simulator.stats().chat_calls.max(paid), paid, "requests that nobody paid for were served");
}

/// The call, given up a few moments after its first poll.
fn hesitating<T>(call: impl Future<Output = T>, moments: u32) -> Option<T> {
    let mut call = Box::pin(call);
    let first = (&mut call).now_or_never();
    for _ in 0..moments * 25 {
        std::hint::spin_loop();
    }
    first
}

#[tokio::test]
async fn closing_lets_calls_in_flight_end_and_refuses_the_rest() {
    let rig = Rig::new(vec![Rule { latency_ms: Some(30.0.into()), ..replying() }]).await;
    let budget = rig.budget(1_000_000_000);
    let mut running = Box::pin(call(&rig, &budget, false));
    assert!((&mut running).now_or_never().is_none());
    rig.client.close();
    let refused = rig.client.chat(ask(PROMPT, 1), CallContext::new()).await.unwrap_err();
    assert!(matches!(refused, Error::Closed));
    let (outcome, ()) = soon(futures::future::join(running, rig.client.drained())).await;
    outcome.unwrap();
    rig.at_rest(&budget);
}
