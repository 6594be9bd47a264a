//! How many requests a failing upstream sees, what they cost, and what the caller is told.

use std::time::Duration;

use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::{CallReport, Error, Settlement};
use iron_simulator::{
    At, Bare, BreakFault, ErrorBody, Fault, LengthFault, Outcome, RedirectFault, Reply, RetryAfter, Rule,
    StatusFault,
};
use serde_json::json;
use tokio::time::Instant;

use crate::rig::{INPUT, MODEL, Rig, ask, nanos, reserved, served, simulator, soon, within};

const PROMPT: &str = "What does a retry cost?";
const OUTPUT_TOKENS: u32 = 20;

/// What the attempts of a call that failed have cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paid {
    Nothing,
    /// So many whole reservations.
    Reservations(u64),
}

/// Call an upstream that always fails so: the requests it saw, what was paid, and the error.
async fn fail(fault: Fault) -> (u64, Paid, Error) {
    let rig = Rig::new(vec![fault.into()]).await;
    let budget = rig.budget(1_000_000_000);
    let error =
        soon(rig.client.chat(ask(PROMPT, OUTPUT_TOKENS), within([budget.clone()]))).await.unwrap_err();
    rig.at_rest(&budget);
    let stats = rig.stats().await;
    let settled = budget.snapshot().settled;
    assert!(served(&stats) <= settled, "{:?} was served, {settled:?} settled", served(&stats));
    let each = reserved(PROMPT, OUTPUT_TOKENS).nanos();
    assert_eq!(settled.nanos() % each, 0, "{settled:?} is no number of reservations");
    let paid = match u64::try_from(settled.nanos() / each).unwrap() {
        0 => Paid::Nothing,
        some => Paid::Reservations(some),
    };
    (stats.requests, paid, error)
}

fn breaking(at: At) -> BreakFault {
    BreakFault { at }
}

fn replying() -> Rule {
    Reply::tokens(7).into()
}

fn once(fault: Fault) -> Rule {
    Rule { times: Some(1), ..Rule::from(fault) }
}

async fn succeed(rig: &Rig) -> CallReport {
    soon(rig.client.chat(ask(PROMPT, OUTPUT_TOKENS), within([]))).await.unwrap().report
}

#[tokio::test]
async fn passing_statuses_are_tried_again_and_cost_nothing() {
    for status in [408, 409, 425, 500, 502, 503, 504, 529] {
        let (requests, paid, error) = fail(Fault::status(status)).await;
        assert_eq!((requests, paid), (3, Paid::Nothing), "{status}");
        assert!(matches!(error, Error::UpstreamStatus { status: told, .. } if told == status), "{error}");
        assert!(error.retryable(), "{status}");
    }
}

#[tokio::test]
async fn lasting_statuses_are_asked_once_and_cost_nothing() {
    for status in [400, 401, 403, 404, 413, 422] {
        let (requests, paid, error) = fail(Fault::status(status)).await;
        assert_eq!((requests, paid), (1, Paid::Nothing), "{status}");
        assert!(matches!(error, Error::UpstreamStatus { status: told, .. } if told == status), "{error}");
        assert!(!error.retryable(), "{status}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_tried_again_and_told_as_one() {
    let (requests, paid, error) = fail(Fault::status(429)).await;
    assert_eq!((requests, paid), (3, Paid::Nothing));
    let Error::RateLimited { upstream, retry_after, .. } = error else { panic!("{error}") };
    assert_eq!((upstream.as_deref(), retry_after), (Some(MODEL), None));
}

#[tokio::test]
async fn an_empty_account_is_not_asked_again() {
    let fault = StatusFault { code: Some("insufficient_quota".into()), ..StatusFault::new(429) };
    let (requests, paid, error) = fail(Fault::Status(fault)).await;
    assert_eq!((requests, paid, error.code()), (1, Paid::Nothing, ErrorCode::RateLimited));
    assert!(!error.retryable(), "no money comes by waiting");
}

#[tokio::test]
async fn broken_connections_are_tried_again_and_each_attempt_is_in_doubt() {
    for fault in [
        Fault::Reset(breaking(At::BeforeHeaders)),
        Fault::Close(breaking(At::BeforeHeaders)),
        Fault::Reset(breaking(At::AfterHeaders)),
        Fault::Close(breaking(At::AfterHeaders)),
        Fault::Reset(breaking(At::AfterBytes(20))),
        Fault::Close(breaking(At::AfterBytes(20))),
        Fault::WrongLength(LengthFault { by: 10 }),
    ] {
        let told = format!("{fault:?}");
        let (requests, paid, error) = fail(fault).await;
        assert_eq!((requests, paid), (3, Paid::Reservations(3)), "{told}");
        assert_eq!(error.code(), ErrorCode::UpstreamConnection, "{told}: {error}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_reply_are_in_doubt_and_not_asked_for_again() {
    for fault in [
        Fault::MalformedJson(Bare {}),
        Fault::WrongLength(LengthFault { by: -10 }),
        Fault::EmptyBody(Bare {}),
    ] {
        let told = format!("{fault:?}");
        let (requests, paid, error) = fail(fault).await;
        assert_eq!((requests, paid), (1, Paid::Reservations(1)), "{told}");
        assert!(matches!(error, Error::UpstreamStatus { status: 200, .. }), "{told}: {error}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_in_doubt() {
    let rig = Rig::new(vec![Reply::text("x".repeat(65 << 20)).into()]).await;
    let budget = rig.budget(i64::MAX as u64);
    let mut request = ask(PROMPT, OUTPUT_TOKENS);
    request.max_tokens = Some(20_000_000);
    let error = soon(rig.client.chat(request, within([budget.clone()]))).await.unwrap_err();
    let Error::UpstreamStatus { status: 200, message, body, .. } = &error else { panic!("{error}") };
    assert!(message.contains("larger than") && body.is_empty(), "{message}");
    rig.at_rest(&budget);
    assert_eq!(rig.stats().await.requests, 1);
    assert_eq!(budget.snapshot().settled, reserved(PROMPT, 20_000_000));
}

#[tokio::test]
async fn an_error_page_is_kept_and_not_quoted() {
    let fault = StatusFault { body: ErrorBody::Html, ..StatusFault::new(502) };
    let (_, paid, error) = fail(Fault::Status(fault)).await;
    let Error::UpstreamStatus { message, body, .. } = &error else { panic!("{error}") };
    assert!(!error.to_string().contains('<') && !message.is_empty(), "{error}");
    assert!(body.starts_with(b"<html>"));
    assert_eq!(paid, Paid::Nothing);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_takes_no_key_along() {
    let elsewhere = simulator(vec![]).await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{}/chat/completions", elsewhere.url());
        let (requests, paid, error) = fail(Fault::Redirect(RedirectFault { to, status })).await;
        assert_eq!((requests, paid), (1, Paid::Nothing));
        assert!(matches!(error, Error::UpstreamStatus { status: told, .. } if told == status), "{error}");
    }
    assert_eq!(elsewhere.stats().connections_opened, 0);
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_free() {
    // Bound once, so that nobody else has the port, and closed again.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let simulator = simulator(vec![replying()]).await;
    let changes = json!({
        "providers": {"sim": {"base_url": url}, "other": {"base_url": simulator.url()}},
        "models": {"fast": {"upstreams": ["sim/m", "other/m"]}},
    });
    let rig = Rig::of(simulator, changes);
    let budget = rig.budget(1_000_000_000);
    let error =
        soon(rig.client.chat(ask(PROMPT, OUTPUT_TOKENS), within([budget.clone()]))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::UpstreamConnection, "{error}");
    assert_eq!(budget.snapshot().spent(), NanoUsd::ZERO);
    rig.at_rest(&budget);
    let mut request = ask(PROMPT, OUTPUT_TOKENS);
    request.model = "fast".into();
    let report = soon(rig.client.chat(request, within([]))).await.unwrap().report;
    assert_eq!((&*report.upstream, report.attempts), ("other/m", 4));
    assert_eq!((report.settlement, report.cost), (Settlement::Settled, served(&rig.stats().await)));
}

#[tokio::test]
async fn connections_closed_on_arrival_are_tried_again() {
    let rig = Rig::new(vec![Rule { times: Some(2), ..Rule::from(Fault::Refuse(Bare {})) }, replying()]).await;
    let report = succeed(&rig).await;
    let stats = rig.stats().await;
    assert_eq!((report.attempts, stats.connections_refused, stats.requests), (3, 2, 1));
}

#[tokio::test]
async fn what_failed_for_free_is_not_in_the_cost_of_the_reply() {
    let rig = Rig::new(vec![Rule { times: Some(2), ..Rule::from(Fault::status(503)) }, replying()]).await;
    let report = succeed(&rig).await;
    assert_eq!((report.attempts, report.settlement), (3, Settlement::Settled));
    assert_eq!(report.cost, served(&rig.stats().await));
}

#[tokio::test]
async fn an_attempt_in_doubt_is_in_the_cost_of_the_reply() {
    let rig = Rig::new(vec![once(Fault::Reset(breaking(At::AfterHeaders))), replying()]).await;
    let budget = rig.budget(1_000_000_000);
    let reply = soon(rig.client.chat(ask(PROMPT, OUTPUT_TOKENS), within([budget.clone()]))).await.unwrap();
    let usage = reply.report.usage;
    let last = nanos(usage.input_tokens * INPUT + usage.output_tokens * crate::rig::OUTPUT);
    assert_eq!(reply.report.cost, reserved(PROMPT, OUTPUT_TOKENS).checked_add(last).unwrap());
    assert_eq!((reply.report.attempts, reply.report.settlement), (2, Settlement::InDoubt));
    assert_eq!(budget.snapshot().settled, reply.report.cost);
}

#[tokio::test]
async fn the_callers_own_number_of_attempts_stands() {
    let rig = Rig::new(vec![Fault::status(500).into()]).await;
    for attempts in [1, 5] {
        rig.simulator.reset();
        let context = iron_runtime::CallContext { max_attempts: Some(attempts), ..within([]) };
        soon(rig.client.chat(ask(PROMPT, OUTPUT_TOKENS), context)).await.unwrap_err();
        assert_eq!(rig.stats().await.requests, u64::from(attempts));
    }
}

/// Milliseconds between the first request and the second.
async fn wait_of(retry_after: RetryAfter) -> u64 {
    let fault = StatusFault { retry_after: Some(retry_after), ..StatusFault::new(429) };
    let rig = Rig::new(vec![once(Fault::Status(fault)), replying()]).await;
    assert_eq!(succeed(&rig).await.attempts, 2);
    let at: Vec<_> = rig.simulator.requests().iter().map(|request| request.at_ms).collect();
    at[1] - at[0]
}

#[tokio::test]
async fn retry_after_is_never_cut_short() {
    let waits = tokio::join!(
        wait_of(RetryAfter::Seconds(1)),
        wait_of(RetryAfter::Text("0.3".into())),
        // A date has whole seconds: two of them from now are more than one.
        wait_of(RetryAfter::Date { date_in_s: 2 }),
    );
    // A millisecond for the simulator's rounding.
    assert!(waits.0 >= 999 && waits.1 >= 299 && waits.2 >= 999, "{waits:?}");
}

#[tokio::test]
async fn a_wait_in_milliseconds_is_not_cut_short_either() {
    let fault = StatusFault { retry_after_ms: Some(400), ..StatusFault::new(429) };
    let rig = Rig::new(vec![once(Fault::Status(fault)), replying()]).await;
    succeed(&rig).await;
    let at: Vec<_> = rig.simulator.requests().iter().map(|request| request.at_ms).collect();
    assert!(at[1] - at[0] >= 399, "{at:?}");
}

#[tokio::test]
async fn a_wait_past_the_deadline_fails_at_once() {
    let fault = StatusFault { retry_after: Some(RetryAfter::Seconds(3_600)), ..StatusFault::new(429) };
    let rig = Rig::new(vec![Fault::Status(fault).into()]).await;
    let context = iron_runtime::CallContext { timeout: Some(Duration::from_secs(600)), ..within([]) };
    let start = Instant::now();
    let error = soon(rig.client.chat(ask(PROMPT, OUTPUT_TOKENS), context)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(30));
    let Error::RateLimited { retry_after, .. } = error else { panic!("{error}") };
    assert_eq!(retry_after, Some(Duration::from_secs(3_600)));
    assert_eq!(rig.stats().await.requests, 1);
}

/// A route over two simulators.
async fn route(first: Vec<Rule>, second: Vec<Rule>) -> (Rig, iron_simulator::Simulator) {
    let other = simulator(second).await;
    let changes = json!({
        "providers": {"other": {"base_url": other.url()}},
        "models": {"fast": {"upstreams": ["sim/m", "other/m"]}},
    });
    (Rig::with(first, changes).await, other)
}

async fn along_the_route(rig: &Rig) -> Result<CallReport, Error> {
    let mut request = ask(PROMPT, OUTPUT_TOKENS);
    request.model = "fast".into();
    soon(rig.client.chat(request, within([]))).await.map(|reply| reply.report)
}

#[tokio::test]
async fn the_next_upstream_answers_with_its_own_key_and_model() {
    let (rig, other) = route(vec![Fault::status(503).into()], vec![replying()]).await;
    let report = along_the_route(&rig).await.unwrap();
    assert_eq!((&*report.upstream, report.attempts), ("other/m", 4));
    assert!(other.quiet(crate::rig::LONG).await);
    let request = &other.requests()[0];
    assert_eq!(
        (request.headers["authorization"].as_str(), request.outcome),
        ("Bearer ...keys", Outcome::Served)
    );
    assert_eq!(rig.stats().await.requests, 3);
}

#[tokio::test]
async fn another_upstream_is_asked_for_what_is_wrong_with_this_one_alone() {
    for (fault, asked) in [
        (Fault::status(401), true),
        (Fault::status(402), true),
        (Fault::status(403), true),
        (Fault::status(404), true),
        (Fault::MalformedJson(Bare {}), true),
        (Fault::EmptyBody(Bare {}), true),
        (Fault::Redirect(RedirectFault { to: "http://127.0.0.1:9/".into(), status: 307 }), true),
        (Fault::status(400), false),
        (Fault::status(422), false),
    ] {
        let told = format!("{fault:?}");
        let (rig, other) = route(vec![fault.into()], vec![replying()]).await;
        let outcome = along_the_route(&rig).await;
        assert_eq!(outcome.is_ok(), asked, "{told}: {outcome:?}");
        assert_eq!(other.stats().requests, u64::from(asked), "{told}");
        assert_eq!(rig.stats().await.requests, 1, "{told}");
    }
}

#[tokio::test]
async fn when_no_upstream_answers_each_failure_is_told_in_order() {
    let (rig, other) = route(vec![Fault::status(503).into()], vec![Fault::status(429).into()]).await;
    let error = along_the_route(&rig).await.unwrap_err();
    let Error::NoUpstream { failures, .. } = &error else { panic!("{error}") };
    let codes: Vec<_> = failures.iter().map(Error::code).collect();
    assert_eq!(codes, [ErrorCode::UpstreamStatus, ErrorCode::RateLimited]);
    assert!(error.retryable());
    assert!(
        error.to_string().contains("sim/m answered 503") && error.to_string().contains("other/m"),
        "{error}"
    );
    assert_eq!((rig.stats().await.requests, other.stats().requests), (3, 3));
}

#[tokio::test]
async fn a_missing_key_makes_no_request_and_the_next_upstream_is_asked() {
    let other = simulator(vec![replying()]).await;
    let changes = json!({
        "providers": {"sim": {"api_key": null, "api_key_env": "NO_SUCH_KEY"}, "other": {"base_url": other.url()}},
        "models": {"fast": {"upstreams": ["sim/m", "other/m"]}},
    });
    let rig = Rig::with(vec![replying()], changes).await;
    assert_eq!(&*along_the_route(&rig).await.unwrap().upstream, "other/m");
    let error = soon(rig.client.chat(ask(PROMPT, OUTPUT_TOKENS), within([]))).await.unwrap_err();
    assert!(error.to_string().contains("NO_SUCH_KEY"), "{error}");
    assert_eq!(rig.stats().await.requests, 0);
}

/// A refusal says that no request was made; where one was made, its failure is what the caller has to know.
#[tokio::test]
async fn a_budget_without_room_for_another_attempt_does_not_hide_why_it_was_needed() {
    let rig = Rig::new(vec![Fault::Reset(breaking(At::BeforeHeaders)).into()]).await;
    let budget = rig.budget(u64::try_from(reserved(PROMPT, OUTPUT_TOKENS).nanos()).unwrap());
    let error =
        soon(rig.client.chat(ask(PROMPT, OUTPUT_TOKENS), within([budget.clone()]))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::UpstreamConnection, "{error}");
    assert_eq!(rig.stats().await.requests, 1);
    assert_eq!(budget.snapshot().settled, budget.snapshot().limit);
    let error =
        soon(rig.client.chat(ask(PROMPT, OUTPUT_TOKENS), within([budget.clone()]))).await.unwrap_err();
    assert_eq!((error.code(), rig.stats().await.requests), (ErrorCode::BudgetExceeded, 1));
}
