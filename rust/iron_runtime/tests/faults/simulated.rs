//! Every fault of the simulator, in every place where it can strike.

use iron_protocol::NanoUsd;
use iron_runtime::Settlement;
use iron_simulator::{
    At, Bare, BreakFault, Coding, EmptyFault, EndlessFault, ErrorBody, EventFault, Fault, Filler,
    LengthFault, PaddingFault, RedirectFault, Reply, Rule, StallFault, StatusFault, TruncateFault,
};
use serde_json::{Value, json};

use super::expected::{Expected, Tries, after_content, expected};
use super::{Form, Outcome, Paid, WAYS, end, in_doubt, limited};
use crate::rig::{Rig, Wire, served};

const TEXT: &str = "né 🦀 und 東京, \"quoted\"\n";

/// One or more of each kind.
fn faults(wire: Wire) -> Vec<Fault> {
    let places =
        [At::BeforeHeaders, At::AfterHeaders, At::AfterBytes(20), At::AfterChunks(0), At::AfterChunks(4)];
    let mut faults = vec![
        Fault::Refuse(Bare {}),
        Fault::Redirect(RedirectFault { to: "http://127.0.0.1:9/v1".into(), status: 307 }),
        Fault::ErrorInOk(Bare {}),
        Fault::EmptyBody(Bare {}),
        Fault::Page(Bare {}),
        Fault::EmptyStream(EmptyFault { done: false }),
        Fault::EmptyStream(EmptyFault { done: true }),
        Fault::MalformedJson(Bare {}),
        Fault::WrongLength(LengthFault { by: 10 }),
        Fault::WrongLength(LengthFault { by: -10 }),
        Fault::NoDone(Bare {}),
        Fault::NoFinishReason(Bare {}),
        Fault::SplitBytes(Bare {}),
        Fault::Crlf(Bare {}),
        Fault::Comments(Bare {}),
        Fault::MultiLineData(Bare {}),
        Fault::Bom(Bare {}),
        Fault::Endless(EndlessFault { with: Filler::Chunks, every_ms: 0 }),
        Fault::Endless(EndlessFault { with: Filler::Comments, every_ms: 0 }),
        Fault::Endless(EndlessFault { with: Filler::Comments, every_ms: 5 }),
    ];
    for status in [400, 401, 403, 404, 408, 409, 413, 422, 425, 429, 500, 502, 503, 504, 529] {
        faults.push(Fault::status(status));
    }
    for body in [ErrorBody::Html, ErrorBody::Empty, ErrorBody::Text("no".into()), ErrorBody::Json(json!([1]))]
    {
        faults.push(Fault::Status(StatusFault { body, ..StatusFault::new(502) }));
    }
    faults.push(Fault::Status(StatusFault { code: Some(spent(wire).into()), ..StatusFault::new(429) }));
    for at in places {
        faults.push(Fault::Stall(StallFault { at, ms: None }));
        faults.push(Fault::Reset(BreakFault { at }));
        faults.push(Fault::Close(BreakFault { at }));
    }
    for missing in [0, 1, 100_000] {
        faults.push(Fault::TruncatedChunks(TruncateFault { missing }));
    }
    for coding in [None, Some(Coding::Gzip), Some(Coding::Deflate), Some(Coding::Br), Some(Coding::Zstd)] {
        faults.push(Fault::Padded(PaddingFault { bytes: 100_000, coding }));
    }
    for (after_chunks, named) in [(0, false), (0, true), (2, false), (2, true)] {
        faults.push(Fault::ErrorEvent(EventFault { after_chunks, named }));
        faults.push(Fault::MalformedEvent(EventFault { after_chunks, named }));
    }
    faults
}

/// The code of a quota that is used up.
fn spent(wire: Wire) -> &'static str {
    match wire {
        Wire::OpenAi => "insufficient_quota",
        Wire::Anthropic => "enforced_spend_limit_reached",
    }
}

/// Timeouts that end what would not end, and nothing else.
fn timeouts(fault: &Fault) -> Value {
    let short = match fault {
        Fault::Stall(_) => json!({"ttft_ms": 100, "idle_ms": 100}),
        Fault::Endless(EndlessFault { with: Filler::Comments, .. }) => json!({"idle_ms": 200}),
        Fault::Endless(_) => json!({"total_ms": 2_000}),
        _ => json!({}),
    };
    json!({"timeouts": short})
}

/// Call an upstream that always fails so.
async fn check(wire: Wire, fault: &Fault, form: Form, attempts: u32) {
    let told = format!("{wire:?}, {fault:?}, {form:?}, {attempts} attempts");
    let Expected { outcome, tries, paid } = expected(fault, form, wire);
    let reply = (fault.kind() != "refuse").then(|| Reply::text(TEXT));
    let rule = Rule { reply, ..Rule::from(fault.clone()) };
    let rig = Rig::speaking(wire, vec![rule], timeouts(fault)).await;
    let budget = rig.budget(1_000_000_000);
    let ended = end(&rig.client, form, limited(&budget, attempts)).await;
    assert_eq!(ended.outcome, outcome, "{told}: {}", ended.message());
    if outcome == Outcome::Reply {
        assert_eq!((ended.text.as_str(), ended.settlement), (TEXT, Some(Settlement::Settled)), "{told}");
    }
    rig.at_rest(&budget);
    let stats = rig.stats().await;
    let requests = match tries {
        Tries::Once => 1,
        Tries::All => u64::from(attempts),
        Tries::Unread => 0,
    };
    assert_eq!(stats.requests, requests, "{told}");
    let (settled, served) = (budget.snapshot().settled, served(&stats));
    assert!(served <= settled, "{told}: {served:?} was served, {settled:?} settled");
    match (tries, paid) {
        (Tries::Unread, _) => {
            // Whether the request had left when the connection was closed is a race, and neither side can tell.
            assert_eq!(stats.connections_refused, u64::from(attempts), "{told}");
            assert!(settled <= in_doubt(u64::from(attempts)), "{told}");
        }
        (_, Paid::Nothing) => assert_eq!(settled, NanoUsd::ZERO, "{told}"),
        (_, Paid::InDoubt) => assert_eq!(settled, in_doubt(requests), "{told}"),
        (_, Paid::Served) => assert_eq!(settled, served, "{told}"),
    }
}

/// Whether the simulator does that fault to a request of that form.
pub(super) fn strikes(fault: &Fault, form: Form) -> bool {
    let plain_only = matches!(fault.kind(), "malformed_json" | "wrong_length" | "truncated_chunks");
    let stream_only = matches!(
        fault.kind(),
        "empty_stream"
            | "malformed_event"
            | "error_event"
            | "no_done"
            | "no_finish_reason"
            | "endless"
            | "bom"
            | "crlf"
            | "comments"
            | "multi_line_data"
    );
    if form == Form::Plain { !stream_only && !is_late(fault) } else { !plain_only }
}

/// A plain reply is one chunk, which comes to no place after its first content.
fn is_late(fault: &Fault) -> bool {
    match fault {
        Fault::Reset(fault) | Fault::Close(fault) => after_content(fault.at),
        Fault::Stall(fault) => after_content(fault.at),
        _ => false,
    }
}

async fn check_all(wire: Wire, form: Form) {
    for attempts in [1, 3] {
        for fault in faults(wire).iter().filter(|fault| strikes(fault, form)) {
            check(wire, fault, form, attempts).await;
        }
    }
}

#[test]
fn every_fault_of_the_simulator_is_among_them() {
    let faults = faults(Wire::OpenAi);
    for kind in Fault::KINDS {
        assert!(faults.iter().any(|fault| fault.kind() == kind), "{kind}");
    }
}

#[tokio::test]
async fn a_fault_that_does_not_strike_leaves_the_reply_alone() {
    let spared = |fault: &&Fault, form| !strikes(fault, form) && !is_late(fault);
    for (wire, form) in WAYS {
        for fault in faults(wire).iter().filter(|fault| spared(fault, form)) {
            let rule = Rule { reply: Some(Reply::text(TEXT)), ..Rule::from(fault.clone()) };
            let rig = Rig::speaking(wire, vec![rule, Reply::text(TEXT).into()], json!({})).await;
            let ended = end(&rig.client, form, limited(&rig.budget(1_000_000_000), 1)).await;
            let told = format!("{wire:?} {fault:?} {form:?}");
            assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Reply, TEXT), "{told}");
            assert!(rig.stats().await.faults.is_empty(), "{told}");
        }
    }
}

#[tokio::test]
async fn plain_calls_of_openai_s() {
    check_all(Wire::OpenAi, Form::Plain).await;
}

#[tokio::test]
async fn plain_calls_of_anthropic_s() {
    check_all(Wire::Anthropic, Form::Plain).await;
}

#[tokio::test]
async fn streams_of_openai_s() {
    check_all(Wire::OpenAi, Form::Stream).await;
}

#[tokio::test]
async fn streams_of_anthropic_s() {
    check_all(Wire::Anthropic, Form::Stream).await;
}

/// What went wrong before is in the cost of the reply, and nowhere else in it.
#[tokio::test]
async fn a_fault_that_passes_leaves_a_whole_reply() {
    for (wire, form) in WAYS {
        for fault in faults(wire).iter().filter(|fault| strikes(fault, form)) {
            let Expected { tries: Tries::All, paid, .. } = expected(fault, form, wire) else { continue };
            let twice = Rule { times: Some(2), ..Rule::from(fault.clone()) };
            let rig = Rig::speaking(wire, vec![twice, Reply::text(TEXT).into()], json!({})).await;
            let budget = rig.budget(1_000_000_000);
            let ended = end(&rig.client, form, limited(&budget, 3)).await;
            assert_eq!(
                (ended.outcome, ended.text.as_str()),
                (Outcome::Reply, TEXT),
                "{wire:?} {fault:?}: {}",
                ended.message()
            );
            let stats = rig.stats().await;
            assert_eq!(stats.requests, 3, "{fault:?}");
            let (settlement, before) = match paid {
                Paid::InDoubt => (Settlement::InDoubt, in_doubt(2)),
                _ => (Settlement::Settled, NanoUsd::ZERO),
            };
            assert_eq!(ended.settlement, Some(settlement), "{fault:?}");
            let settled = budget.snapshot().settled;
            assert!(served(&stats) <= settled && before < settled, "{fault:?}");
            rig.at_rest(&budget);
        }
    }
}
