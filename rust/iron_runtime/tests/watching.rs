//! What is told of calls: counters that add up, and events for whoever reads along.

use futures::FutureExt;
use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::budget::Budget;
use iron_runtime::{CallContext, EmbedRequest, EventReader, Events, Happened, Operation, Told};
use iron_simulator::{At, Fault, Reply, Rule, StallFault, StatusFault};
use serde_json::json;

use crate::rig::{self, Rig, ask, nanos, soon, until, within};

const ENOUGH: u64 = 1_000_000_000;

/// A rig whose events are read, with a route over both providers.
async fn watched(rules: Vec<Rule>) -> (Rig, EventReader) {
    let (events, mut rig) = (Events::new(), Rig::new(rules).await);
    let route = json!({"models": {"fast": {"upstreams": ["sim/m", "other/m"]}}});
    rig.client = rig::watched(&rig.ledger, &rig.simulator.url(), route, &events).unwrap();
    (rig, events.read())
}

fn failing(status: u16, message: &str) -> Fault {
    Fault::Status(StatusFault { message: Some(message.to_owned()), ..StatusFault::new(status) })
}

async fn next(reader: &mut EventReader) -> Happened {
    match soon(reader.next()).await.unwrap() {
        Told::Event(event) => event.what.clone(),
        Told::Dropped(count) => panic!("{count} were dropped"),
    }
}

#[tokio::test]
async fn counters_tell_how_each_call_ended_and_what_all_of_them_cost() {
    let stalled = Fault::Stall(StallFault { at: At::BeforeHeaders, ms: None });
    let faults = [None, Some(failing(400, "no")), Some(stalled)];
    let rules = faults.map(|fault| Rule { times: Some(1), fault, ..Rule::default() });
    let rig = Rig::new(rules.into()).await;
    let budget = rig.budget(ENOUGH);

    rig.client.chat(ask("one", 10), within([budget.clone()])).await.unwrap();
    rig.client.chat(ask("two", 10), within([budget.clone()])).await.unwrap_err();
    let call = rig.client.chat(ask("three", 10), within([budget.clone()]));
    tokio::select! {
        _ = call => panic!("it stalls"),
        () = until(|| rig.simulator.stats().in_progress == 1) => {}
    }
    let tiny = Budget::new(&rig.ledger, "tiny", nanos(1));
    rig.client.chat(ask("four", 10), within([tiny])).await.unwrap_err();
    let nothing = EmbedRequest { model: "sim/m".to_owned(), input: Vec::new(), params: Vec::new() };
    rig.client.embed(nothing, CallContext::new()).await.unwrap_err();
    until(|| rig.client.in_flight() == 0).await;

    let stats = rig.client.stats();
    assert_eq!((stats.begun, stats.answered, stats.cancelled, stats.waiting), (5, 1, 1, 0));
    assert_eq!(stats.refused, [(ErrorCode::BudgetExceeded, 1)]);
    assert_eq!(stats.failed, [(ErrorCode::Config, 1), (ErrorCode::UpstreamStatus, 1)]);
    assert_eq!((stats.attempts, stats.retries, stats.fallbacks), (3, 0, 0));
    assert_eq!(stats.cost, budget.snapshot().settled);
    assert!(stats.in_doubt > NanoUsd::ZERO && stats.in_doubt < stats.cost, "{stats:?}");
    assert!(stats.usage.input_tokens > 0 && stats.usage.output_tokens > 0, "{stats:?}");
    assert!(stats.total.p50 > stats.overhead.p50, "{stats:?}");
}

#[tokio::test]
async fn a_call_is_told_from_its_start_over_each_turn_to_its_end() {
    let fault = Some(failing(503, "secret words"));
    let (rig, mut reader) = watched(vec![Rule { times: Some(2), fault, ..Rule::default() }]).await;
    let mut request = ask("Hello", 10);
    request.model = "fast".to_owned();
    let budget = rig.budget(ENOUGH);
    let context = CallContext { max_attempts: Some(2), ..within([budget.clone()]) };
    let reply = rig.client.chat(request, context.clone()).await.unwrap();

    let id = context.request_id;
    let Happened::Started { request_id, operation, model, budgets, .. } = next(&mut reader).await else {
        panic!()
    };
    assert_eq!((request_id, operation, &*model), (id, Operation::Chat, "fast"));
    assert_eq!(budgets, ["test".into()]);
    let Happened::Retried { request_id, upstream, attempt, code, .. } = next(&mut reader).await else {
        panic!()
    };
    assert_eq!((request_id, &*upstream, attempt, code), (id, "sim/m", 1, ErrorCode::UpstreamStatus));
    let Happened::FellBack { request_id, from, to, code } = next(&mut reader).await else { panic!() };
    assert_eq!((request_id, &*from, &*to, code), (id, "sim/m", "other/m", ErrorCode::UpstreamStatus));
    let finished = next(&mut reader).await;
    assert!(!format!("{finished:?}").contains("secret words"));
    let Happened::Finished { request_id, upstream, usage, cost, attempts, .. } = finished else { panic!() };
    assert_eq!((request_id, &*upstream, attempts), (id, "other/m", 3));
    assert_eq!((usage, cost), (reply.report.usage, reply.report.cost));
    assert!(reader.take().is_none());
    assert_eq!((rig.client.stats().retries, rig.client.stats().fallbacks), (1, 1));
}

#[tokio::test]
async fn a_stream_is_told_when_it_ends_and_one_that_is_left_as_cancelled() {
    let (rig, mut reader) = watched(vec![Reply::tokens(50).into()]).await;
    let mut whole = rig.client.stream(ask("Hello", 100), CallContext::new()).await.unwrap();
    assert_eq!(rig.client.stats().answered, 0);
    let report = whole.reply().await.unwrap().report;
    assert!(matches!(next(&mut reader).await, Happened::Started { operation: Operation::Stream, .. }));
    let Happened::Finished { cost, .. } = next(&mut reader).await else { panic!() };
    assert_eq!(cost, report.cost);

    drop(rig.client.stream(ask("Hello", 100), CallContext::new()).await.unwrap());
    assert!(matches!(next(&mut reader).await, Happened::Started { .. }));
    let Happened::Cancelled { attempts, cost, .. } = next(&mut reader).await else { panic!() };
    assert_eq!(attempts, 1);
    assert!(cost > report.cost, "what it may have cost is the whole reservation");
    assert_eq!((rig.client.stats().answered, rig.client.stats().cancelled), (1, 1));
}

#[tokio::test]
async fn a_budget_is_told_to_be_low_once_and_the_cap_of_a_call_never() {
    let (rig, mut reader) = watched(vec![Reply::tokens(100).into()]).await;
    let budget = rig.budget(10_000_000);
    // Each takes nine tenths of its cap.
    let cap = Some(nanos(450_000));
    while rig
        .client
        .chat(ask("Hello", 100), CallContext { max_cost: cap, ..within([budget.clone()]) })
        .await
        .is_ok()
    {}
    let mut low = Vec::new();
    while let Some(Told::Event(event)) = reader.take() {
        if let Happened::BudgetLow(budget) = &event.what {
            low.push(budget.clone());
        }
    }
    let [low] = &low[..] else { panic!("{low:?}") };
    assert_eq!(&*low.name, "test");
    assert!(low.spent().nanos() * 5 > low.limit.nanos() * 4, "{low:?}");
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_missed_and_holds_nobody_up() {
    let (events, rig) = (Events::new(), Rig::new(Vec::new()).await);
    let unpriced = json!({"providers": {"new": {"base_url": rig.simulator.url(), "api_key": "k"}}});
    let client = rig::watched(&rig.ledger, &rig.simulator.url(), unpriced, &events).unwrap();
    let mut slow = events.read();
    let mut request = ask("Hello", 10);
    request.model = "new/m".to_owned();
    // Each is refused for its unknown price, after two events.
    for _ in 0..3_000 {
        client.chat(request.clone(), CallContext::new()).await.unwrap_err();
    }
    let Some(Told::Dropped(count)) = slow.take() else { panic!("nothing was dropped") };
    let mut left = 0;
    while let Some(Told::Event(_)) = slow.take() {
        left += 1;
    }
    assert_eq!(count + left, 6_000);
    drop(slow);
    let mut other = events.read();
    client.chat(request.clone(), CallContext::new()).await.unwrap_err();
    assert!(matches!(next(&mut other).await, Happened::Started { .. }));
}

#[tokio::test]
async fn a_client_tells_of_its_own_calls_alone_until_it_is_closed_and_the_last_has_ended() {
    let events = Events::new();
    let rules = vec![Reply::tokens(50).into()];
    let rig = Rig::new(rules).await;
    let client = || rig::watched(&rig.ledger, &rig.simulator.url(), json!({}), &events).unwrap();
    let (one, other, mut all) = (client(), client(), events.read());
    let (mut first, mut second) = (one.events(), one.events());
    other.chat(ask("Hello", 100), CallContext::new()).await.unwrap();
    let mut stream = one.stream(ask("Hello", 100), CallContext::new()).await.unwrap();
    one.close();
    assert!(matches!(next(&mut first).await, Happened::Started { operation: Operation::Stream, .. }));
    assert!(first.next().now_or_never().is_none(), "a call is in flight, and may tell something");
    stream.reply().await.unwrap();
    drop(stream);
    assert!(matches!(next(&mut first).await, Happened::Finished { .. }));
    assert!(soon(first.next()).await.is_none());
    let mut told = Vec::new();
    while let Some(Told::Event(event)) = soon(second.next()).await {
        told.push(event);
    }
    assert_eq!(told.len(), 2, "{told:?}");
    for _ in 0..4 {
        next(&mut all).await;
    }
    assert!(all.take().is_none(), "what is told of one client is told of all, once");

    let mut left = other.events();
    drop(other);
    assert!(soon(left.next()).await.is_none(), "a client that is gone tells nothing more");
}
