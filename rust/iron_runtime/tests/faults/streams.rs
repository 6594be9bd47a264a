//! Streams that go wrong on their way: what was delivered stays, and is never taken for the whole.

use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::{Error, TimeoutPhase};
use iron_simulator::{EndlessFault, EventFault, Fault, Filler, Reply, Rule};
use serde_json::json;

use super::raw::Raw;
use super::{Ended, Outcome, PROMPT, end, in_doubt, limited};
use super::{Form::Stream, OUTPUT_TOKENS};
use crate::rig::{INPUT, OUTPUT, Rig, ask, nanos, soon, within};

fn text(content: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": content}}]}))
}

const FINISH: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";

/// What a call comes to whose stream is this, and what was settled; `missing` bytes of it never come.
async fn streamed(events: &str, missing: usize) -> (Ended, NanoUsd) {
    let length = events.len() + missing;
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n");
    let server = Raw::new(format!("{head}{events}")).await;
    let ended = end(&server.client, Stream, limited(&server.budget, 3)).await;
    assert_eq!(server.seen().len(), 1, "a stream that began is not asked for again");
    assert_eq!(server.budget.snapshot().held, NanoUsd::ZERO);
    (ended, server.budget.snapshot().settled)
}

#[tokio::test]
async fn chunks_that_came_with_an_error_are_delivered_before_it() {
    let error = "data: {\"error\":{\"message\":\"the kitchen is on fire\"}}\n\n";
    let (ended, settled) =
        streamed(&format!("{}{}{error}{}", text("half "), text("a reply"), text("!")), 0).await;
    assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Status(200), "half a reply"));
    assert_eq!(ended.message(), "sim/m answered 200: the kitchen is on fire");
    assert_eq!(settled, in_doubt(1));
    let Some(Error::UpstreamStatus { body, .. }) = ended.error else { panic!("another error") };
    assert_eq!(body, error["data: ".len()..].trim_end());
}

#[tokio::test]
async fn an_event_named_an_error_is_one_whatever_it_holds() {
    for (data, told) in [
        ("data: {\"error\":{\"message\":\"overloaded\"}}\n", "overloaded"),
        ("data: {\"choices\":[]}\n", "a body that is no OpenAI error"),
        ("data: oh no\n", "a body that is no OpenAI error"),
        ("", "an empty body"),
    ] {
        let events = format!("{}event: error\n{data}\n{FINISH}{USAGE}data: [DONE]\n\n", text("half"));
        let (ended, settled) = streamed(&events, 0).await;
        assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Status(200), "half"), "{data}");
        assert!(ended.message().ends_with(told), "{data}: {}", ended.message());
        assert_eq!(settled, in_doubt(1), "{data}");
    }
}

#[tokio::test]
async fn an_error_after_the_end_is_nobodys() {
    let events = format!("{}{FINISH}{USAGE}data: [DONE]\n\nevent: error\ndata: late\n\n", text("whole"));
    let (ended, settled) = streamed(&events, 0).await;
    assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Reply, "whole"));
    assert_eq!(settled, nanos(3 * INPUT + 2 * OUTPUT));
}

#[tokio::test]
async fn a_stream_that_breaks_after_its_usage_is_no_reply_and_costs_what_it_used() {
    let (ended, settled) = streamed(&format!("{}{FINISH}{USAGE}", text("whole")), 9).await;
    assert_eq!(ended.outcome, Outcome::Told(ErrorCode::UpstreamConnection));
    assert_eq!(settled, nanos(3 * INPUT + 2 * OUTPUT));
}

#[tokio::test]
async fn a_stream_that_breaks_after_its_finish_costs_what_was_counted() {
    let (ended, settled) = streamed(&format!("{}{FINISH}", text("whole")), 9).await;
    assert_eq!(ended.outcome, Outcome::Told(ErrorCode::UpstreamConnection));
    assert!(settled > nanos(PROMPT.len() as u64 * INPUT) && settled <= in_doubt(1), "{settled:?}");
}

#[tokio::test]
async fn one_choice_of_two_is_not_the_reply() {
    let events = format!("{}{FINISH}{USAGE}data: [DONE]\n\n", text("one"));
    let server = Raw::new(format!("HTTP/1.1 200 OK\r\n\r\n{events}")).await;
    let mut request = ask(PROMPT, OUTPUT_TOKENS);
    request.n = Some(2);
    let mut stream = soon(server.client.stream(request, within([]))).await.unwrap();
    let error = soon(stream.reply()).await.unwrap_err();
    assert!(matches!(error, Error::UpstreamStatus { status: 200, .. }), "{error}");
}

/// Which timeout ends the call.
fn phase(ended: &Ended) -> TimeoutPhase {
    let Some(Error::UpstreamTimeout { phase, .. }) = &ended.error else { panic!("{}", ended.message()) };
    *phase
}

#[tokio::test]
async fn comments_keep_a_connection_alive_and_no_timeout() {
    for every_ms in [0, 20] {
        let endless = Fault::Endless(EndlessFault { with: Filler::Comments, every_ms });
        let rule = Rule { reply: Some(Reply::text("half")), ..Rule::from(endless) };
        let rig = Rig::with(vec![rule], json!({"timeouts": {"idle_ms": 200}})).await;
        let budget = rig.budget(1_000_000_000);
        let ended = end(&rig.client, Stream, limited(&budget, 3)).await;
        assert_eq!((phase(&ended), ended.text.as_str()), (TimeoutPhase::Idle, "half"));
        assert_eq!((rig.stats().await.requests, budget.snapshot().settled), (1, in_doubt(1)));
    }
}

#[tokio::test]
async fn comments_are_not_the_first_of_a_reply() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let server =
        Raw::with(head, b": soon\n\n".repeat(1_000), 1_000_000, json!({"timeouts": {"ttft_ms": 200}})).await;
    let ended = end(&server.client, Stream, limited(&server.budget, 3)).await;
    assert_eq!((phase(&ended), ended.text.as_str()), (TimeoutPhase::FirstByte, ""));
    assert_eq!((server.seen().len(), server.budget.snapshot().settled), (1, in_doubt(1)));
}

#[tokio::test]
async fn a_stream_without_end_ends_with_the_call() {
    let endless = Fault::Endless(EndlessFault { with: Filler::Chunks, every_ms: 0 });
    let rig = Rig::with(vec![endless.into()], json!({"timeouts": {"total_ms": 2_000}})).await;
    let ended = end(&rig.client, Stream, limited(&rig.budget(1_000_000_000), 3)).await;
    assert_eq!(phase(&ended), TimeoutPhase::Total);
    assert!(!ended.text.is_empty(), "what came before stays");
    assert_eq!(rig.stats().await.requests, 1);
}

#[tokio::test]
async fn an_error_may_come_first_and_last() {
    for (after, requests) in [(0, 3), (1_000, 1)] {
        let fault = Fault::ErrorEvent(EventFault { after_chunks: after, named: true });
        let rig = Rig::new(vec![Rule { reply: Some(Reply::text("text")), ..Rule::from(fault) }]).await;
        let ended = end(&rig.client, Stream, limited(&rig.budget(1_000_000_000), 3)).await;
        assert_eq!(ended.outcome, Outcome::Status(200));
        assert_eq!(ended.text, if after == 0 { "" } else { "text" });
        assert!(ended.message().contains("The server had an error"), "{}", ended.message());
        assert_eq!(rig.stats().await.requests, requests);
    }
}
