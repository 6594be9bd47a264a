//! Which upstreams of a route are asked, how often, and what the caller is told.

use std::time::Duration;

use futures::future::join_all;
use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::{BreakerState, CallContext, CallReport, Error, Settlement};
use iron_simulator::{
    At, BreakFault, EventFault, Fault, Reply, RetryAfter, Rule, Simulator, StallFault, StatusFault,
};
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, WIRES, Wire, ask, nanos, reserved, served, simulator, soon, within};

const PROMPT: &str = "Which way?";
const OUTPUT_TOKENS: u32 = 20;

fn replying() -> Rule {
    Reply::tokens(7).into()
}

fn throttling(retry_after: RetryAfter) -> Rule {
    Fault::Status(StatusFault { retry_after: Some(retry_after), ..StatusFault::new(429) }).into()
}

fn stalled() -> Rule {
    Fault::Stall(StallFault { at: At::BeforeHeaders, ms: None }).into()
}

fn once(rule: Rule) -> Rule {
    Rule { times: Some(1), ..rule }
}

/// A route over two simulators.
async fn route(first: Vec<Rule>, second: Vec<Rule>, changes: Value) -> (Rig, Simulator) {
    let other = simulator(second).await;
    let mut all = json!({
        "providers": {"other": {"base_url": other.url()}},
        "models": {"fast": {"upstreams": ["sim/m", "other/m"]}},
    });
    crate::rig::merge(&mut all, changes);
    (Rig::with(first, all).await, other)
}

async fn along(rig: &Rig, model: &str, context: CallContext) -> Result<CallReport, Error> {
    let mut request = ask(PROMPT, OUTPUT_TOKENS);
    request.model = model.into();
    soon(rig.client.chat(request, context)).await.map(|reply| reply.report)
}

async fn call(rig: &Rig) -> Result<CallReport, Error> {
    along(rig, "fast", within([])).await
}

fn requests(rig: &Rig, other: &Simulator) -> (u64, u64) {
    (rig.simulator.stats().requests, other.stats().requests)
}

#[tokio::test]
async fn a_rate_limit_is_not_waited_for_while_another_upstream_is_free() {
    let (rig, other) = route(vec![throttling(RetryAfter::Seconds(300))], vec![replying()], json!({})).await;
    let report = call(&rig).await.unwrap();
    assert_eq!((&*report.upstream, report.attempts), ("other/m", 2));
    for outcome in join_all((0..10).map(|_| call(&rig))).await {
        assert_eq!(outcome.unwrap().attempts, 1, "the first upstream is known to be closed");
    }
    assert_eq!(requests(&rig, &other), (1, 11));
}

#[tokio::test]
async fn when_all_have_to_be_waited_for_the_one_that_is_ready_first_is() {
    let (rig, other) = route(
        vec![throttling(RetryAfter::Seconds(40))],
        vec![once(throttling(RetryAfter::Text("0.2".into()))), replying()],
        json!({}),
    )
    .await;
    let report = call(&rig).await.unwrap();
    assert_eq!((&*report.upstream, report.attempts), ("other/m", 3));
    assert_eq!(requests(&rig, &other), (1, 2));
}

#[tokio::test]
async fn an_upstream_whose_breaker_is_open_is_passed_over() {
    let breaker = json!({"breaker": {"failures": 3, "open_ms": 60_000}});
    let (rig, other) = route(vec![Fault::status(500).into()], vec![replying()], breaker).await;
    let attempts: Vec<_> =
        [call(&rig).await, call(&rig).await].map(|outcome| outcome.unwrap().attempts).into();
    assert_eq!(attempts, [4, 1]);
    assert_eq!(requests(&rig, &other), (3, 2));
    let breakers: Vec<_> = rig.client.upstreams().iter().map(|upstream| upstream.breaker).collect();
    assert_eq!(breakers, [BreakerState::Closed, BreakerState::Open]);
}

#[tokio::test]
async fn all_attempts_share_one_deadline() {
    let (rig, other) = route(vec![stalled()], vec![stalled()], json!({"timeouts": {"ttft_ms": 150}})).await;
    let context = CallContext { timeout: Some(Duration::from_millis(250)), ..within([]) };
    let error = along(&rig, "fast", context).await.unwrap_err();
    assert_eq!((error.code(), requests(&rig, &other)), (ErrorCode::NoUpstream, (1, 1)));
}

#[tokio::test]
async fn nothing_is_asked_again_once_a_part_of_the_reply_has_come() {
    let broken = Fault::Reset(BreakFault { at: At::AfterChunks(3) });
    let (rig, other) = route(vec![broken.into()], vec![replying()], json!({})).await;
    let mut request = ask(PROMPT, OUTPUT_TOKENS);
    request.model = "fast".into();
    let mut stream = soon(rig.client.stream(request, within([]))).await.unwrap();
    soon(stream.next_batch()).await.unwrap().unwrap();
    soon(stream.reply()).await.unwrap_err();
    assert_eq!(requests(&rig, &other), (1, 0));
}

/// The first upstream tells an error of that kind in its stream, so many events after its beginning; what becomes of the
/// call, and the requests that each upstream had.
async fn overloaded(wire: Wire, after_chunks: u64) -> (Result<String, (String, Error)>, (u64, u64)) {
    let event = Fault::ErrorEvent(EventFault { after_chunks, named: true });
    let rule = Rule { reply: Some(Reply::text("never whole")), ..Rule::from(event) };
    let other = simulator(vec![Reply::text("whole").into()]).await;
    let mut settings = wire.settings(&other.url());
    crate::rig::merge(&mut settings, json!({"models": {"fast": {"upstreams": ["sim/m", "other/m"]}}}));
    let first = simulator(vec![rule]).await;
    let mut sim = wire.settings(&first.url());
    sim["providers"].as_object_mut().unwrap().remove("other");
    if wire == Wire::OpenAi {
        settings["providers"]["other"] = json!({"base_url": other.url()});
    }
    crate::rig::merge(&mut settings, sim);
    let rig = Rig::of(first, settings);
    let mut request = ask(PROMPT, OUTPUT_TOKENS);
    request.model = "fast".into();
    let context = CallContext { max_attempts: Some(2), ..within([]) };
    let mut text = String::new();
    let outcome = match soon(rig.client.stream(request, context)).await {
        Err(error) => Err((text, error)),
        Ok(mut stream) => loop {
            match soon(stream.next_batch()).await {
                Some(Ok(chunks)) => text.extend(chunks.iter().map(|chunk| &*chunk.text)),
                Some(Err(error)) => break Err((text, error)),
                None => break Ok(text),
            }
        },
    };
    (outcome, requests(&rig, &other))
}

#[tokio::test]
async fn an_overload_that_is_told_before_any_content_leads_on() {
    for wire in WIRES {
        let (outcome, requests) = overloaded(wire, 0).await;
        // Two attempts at the first upstream, and then the next one; nothing of the first is seen.
        assert_eq!((outcome.unwrap().as_str(), requests), ("whole", (2, 1)), "{wire:?}");
    }
}

#[tokio::test]
async fn an_overload_that_is_told_after_content_is_told_on_and_may_pass() {
    for wire in WIRES {
        let (outcome, requests) = overloaded(wire, 3).await;
        let (text, error) = outcome.unwrap_err();
        assert_eq!(requests, (1, 0), "{wire:?}: never again after a byte of it");
        assert!(!text.is_empty() && "never whole".starts_with(&text), "{wire:?}: {text:?}");
        let meant = if wire == Wire::OpenAi { 500 } else { 529 };
        assert!(
            matches!(error, Error::UpstreamStatus { status: 200, meant: Some(told), .. } if told == meant)
        );
        assert!(error.retryable(), "{wire:?}: {error}");
    }
}

#[tokio::test]
async fn each_attempt_along_the_way_is_settled_by_itself() {
    let broken = Fault::Reset(BreakFault { at: At::AfterHeaders });
    let (rig, other) = route(vec![broken.into()], vec![replying()], json!({})).await;
    let budget = rig.budget(1_000_000_000);
    let report = along(&rig, "fast", within([budget.clone()])).await.unwrap();
    assert_eq!((report.attempts, report.settlement), (4, Settlement::InDoubt));
    let in_doubt = nanos(3 * u64::try_from(reserved(PROMPT, OUTPUT_TOKENS).nanos()).unwrap());
    assert!(other.quiet(LONG).await);
    assert_eq!(report.cost, in_doubt.checked_add(served(&other.stats())).unwrap());
    assert_eq!(budget.snapshot().settled, report.cost);
    rig.at_rest(&budget);
}

/// Three models of one provider with contexts of 1,000, 500 and 100,000 tokens, tried in that order.
async fn contexts(wire: Wire, rules: Vec<Rule>) -> Rig {
    let price = |context| json!({"input_usd": "1", "output_usd": "4", "context_tokens": context});
    let prices = json!({
        "prices": {"sim/short": price(1_000), "sim/shorter": price(500), "sim/long": price(100_000)},
        "models": {"fast": {"upstreams": ["sim/short", "sim/shorter", "sim/long"]}},
    });
    Rig::speaking(wire, rules, prices).await
}

fn too_long() -> Rule {
    let when = iron_simulator::Match { model: Some("short*".into()), ..Default::default() };
    let fault = StatusFault { code: Some("context_length_exceeded".into()), ..StatusFault::new(400) };
    Rule { when, ..Fault::Status(fault).into() }
}

fn models(rig: &Rig) -> Vec<String> {
    let model = |request: iron_simulator::RecordedRequest| request.body["model"].as_str().unwrap().to_owned();
    rig.simulator.requests().into_iter().map(model).collect()
}

#[tokio::test]
async fn what_does_not_fit_a_context_goes_to_a_longer_one() {
    let rig = contexts(Wire::OpenAi, vec![too_long(), replying()]).await;
    let report = call(&rig).await.unwrap();
    assert_eq!((&*report.upstream, report.attempts), ("sim/long", 2));
    assert_eq!(models(&rig), ["short", "long"]);
}

#[tokio::test]
async fn what_is_known_not_to_fit_is_not_sent() {
    let rig = contexts(Wire::OpenAi, vec![replying()]).await;
    let mut request = ask(&"word ".repeat(1_200), OUTPUT_TOKENS);
    request.model = "fast".into();
    assert_eq!(&*soon(rig.client.chat(request, within([]))).await.unwrap().report.upstream, "sim/long");
    assert_eq!(models(&rig), ["long"]);
    let mut request = ask(PROMPT, 700);
    request.model = "fast".into();
    soon(rig.client.chat(request, within([]))).await.unwrap();
    assert_eq!(models(&rig), ["long", "short"], "what fits goes the usual way");
}

#[tokio::test]
async fn a_request_that_is_wrong_is_wrong_everywhere() {
    let when = iron_simulator::Match { model: Some("short".into()), ..Default::default() };
    let rig = contexts(Wire::OpenAi, vec![Rule { when, ..Fault::status(400).into() }, replying()]).await;
    let error = call(&rig).await.unwrap_err();
    assert!(matches!(error, Error::UpstreamStatus { status: 400, .. }), "{error}");
    assert_eq!(models(&rig), ["short"]);
}

/// As Anthropic tells it: without a code.
#[tokio::test]
async fn what_is_refused_without_a_reason_goes_to_a_longer_one_if_it_may_not_fit() {
    // Of a context of 1,000 tokens: surely within, perhaps beyond, and within but for the output.
    for (bytes, output, status, asked) in [
        (900, 20, 400, vec!["short"]),
        (1_500, 20, 400, vec!["short", "long"]),
        (900, 200, 400, vec!["short", "long"]),
        (1_500, 20, 413, vec!["short", "long"]),
        (1_500, 20, 422, vec!["short", "long"]),
        (1_500, 20, 418, vec!["short"]),
    ] {
        for wire in WIRES {
            let when = iron_simulator::Match { model: Some("short*".into()), ..Default::default() };
            let message = Some("prompt is too long: 1001 tokens > 1000 maximum".to_owned());
            let fault = StatusFault { message, ..StatusFault::new(status) };
            let rule = Rule { when, ..Fault::Status(fault).into() };
            let rig = contexts(wire, vec![rule, replying()]).await;
            let budget = rig.budget(1_000_000_000);
            let mut request = ask(&"x".repeat(bytes), output);
            request.model = "fast".into();
            let outcome = soon(rig.client.chat(request, within([budget.clone()]))).await;
            let told = format!("{wire:?} {bytes} {output} {status}");
            assert_eq!(models(&rig), asked, "{told}");
            match outcome {
                Ok(reply) => {
                    assert_eq!(asked.len(), 2, "{told}");
                    assert_eq!(budget.snapshot().settled, reply.report.cost, "{told}: a refusal is free");
                }
                Err(Error::UpstreamStatus { status: told, .. }) => assert_eq!(told, status),
                Err(error) => panic!("{told}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn what_is_too_long_for_all_is_told_as_it_is() {
    let fault = StatusFault { message: Some("prompt is too long".to_owned()), ..StatusFault::new(400) };
    for wire in WIRES {
        let rig = contexts(wire, vec![Fault::Status(fault.clone()).into()]).await;
        let mut request = ask(&"x".repeat(1_500), OUTPUT_TOKENS);
        request.model = "fast".into();
        let error = soon(rig.client.chat(request, within([]))).await.unwrap_err();
        assert!(matches!(error, Error::UpstreamStatus { status: 400, .. }), "{error}");
        assert_eq!(models(&rig), ["short", "long"]);
    }
}

/// A dear model and a cheap one, in the order given.
async fn prices(order: [&str; 2]) -> Rig {
    let price = |usd: &str| json!({"input_usd": usd, "output_usd": usd, "context_tokens": 100_000});
    let settings = json!({
        "prices": {"sim/dear": price("100"), "sim/cheap": price("1")},
        "models": {"fast": {"upstreams": order}},
    });
    Rig::with(vec![replying()], settings).await
}

#[tokio::test]
async fn what_a_budget_has_no_room_for_may_be_asked_of_a_cheaper_upstream() {
    let rig = prices(["sim/dear", "sim/cheap"]).await;
    let budget = rig.budget(1_000_000);
    let report = along(&rig, "fast", within([budget.clone()])).await.unwrap();
    assert_eq!((&*report.upstream, report.attempts), ("sim/cheap", 1));
    assert_eq!(budget.snapshot().settled, report.cost);
    assert_eq!(models(&rig), ["cheap"]);
}

#[tokio::test]
async fn a_budget_without_room_for_the_cheapest_makes_no_request_and_is_told_alone() {
    for order in [["sim/dear", "sim/cheap"], ["sim/cheap", "sim/dear"]] {
        let rig = prices(order).await;
        let budget = rig.budget(10);
        let error = along(&rig, "fast", within([budget.clone()])).await.unwrap_err();
        let Error::BudgetExceeded(refusal) = &error else { panic!("{error}") };
        assert!(refusal.estimate < nanos(200_000), "the least of them, {:?}", refusal.estimate);
        assert_eq!((models(&rig).len(), budget.snapshot().settled), (0, NanoUsd::ZERO));
    }
}

/// How many of so many calls each upstream got, under a weighted route.
async fn shares(weights: [u32; 2], seed: u64, calls: u32) -> (Vec<String>, (u64, u64)) {
    let models = json!({"models": {"fast": {"strategy": "weighted", "weights": weights, "seed": seed}}});
    let (rig, other) = route(vec![replying()], vec![replying()], models).await;
    let mut order = Vec::new();
    for _ in 0..calls {
        order.push(call(&rig).await.unwrap().upstream.to_string());
    }
    (order, requests(&rig, &other))
}

#[tokio::test]
async fn weights_are_shares_and_a_seed_makes_them_the_same_again() {
    let (order, (first, second)) = shares([3, 1], 7, 200).await;
    assert_eq!(first + second, 200);
    assert!((130..=170).contains(&first), "{first} of 200 for three quarters");
    assert_eq!(shares([3, 1], 7, 200).await.0, order);
    assert_ne!(shares([3, 1], 8, 200).await.0, order);
}

#[tokio::test]
async fn without_a_share_an_upstream_is_asked_when_no_other_answers() {
    let models = json!({"models": {"fast": {"strategy": "weighted", "weights": [1, 0]}}});
    let failing = once(Fault::status(401).into());
    let (rig, other) = route(vec![failing, replying()], vec![replying()], models).await;
    for _ in 0..20 {
        call(&rig).await.unwrap();
    }
    assert_eq!(requests(&rig, &other), (20, 1));
}

#[tokio::test]
async fn the_fastest_is_asked_most_and_the_slower_one_is_not_forgotten() {
    let models = json!({"models": {"fast": {"strategy": "least_latency", "seed": 5}}});
    let slow = Rule { latency_ms: Some(60.0.into()), ..replying() };
    let (rig, other) = route(vec![slow], vec![replying()], models).await;
    for _ in 0..120 {
        call(&rig).await.unwrap();
    }
    let (slow, fast) = requests(&rig, &other);
    assert!(fast > 80 && slow >= 2, "{slow} and {fast}");
}
