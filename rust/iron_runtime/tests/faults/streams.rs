//! Streams that go wrong on their way: what was delivered stays, and is never taken for the whole.

use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::{Error, TimeoutPhase};
use iron_simulator::{EndlessFault, EventFault, Fault, Filler, Reply, Rule};
use serde_json::json;

use super::raw::Raw;
use super::sent::{TEXT, price};
use super::{Ended, Outcome, PROMPT, end, in_doubt, limited};
use super::{Form::Stream, OUTPUT_TOKENS};
use crate::rig::{Rig, WIRES, Wire, ask, reserved, soon, within};

/// At most as many tokens as [`TEXT`] has bytes.
const SHOWN: u32 = 5;

/// What a call comes to whose stream is this, and what was settled; `missing` bytes of it never come.
async fn streamed(wire: Wire, events: &str, missing: usize) -> (Ended, NanoUsd) {
    let length = events.len() + missing;
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n");
    let server = Raw::answering(wire, format!("{head}{events}")).await;
    let ended = end(&server.client, Stream, limited(&server.budget, 3)).await;
    assert_eq!(server.seen().len(), 1, "a stream that began is not asked for again");
    assert_eq!(server.budget.snapshot().held, NanoUsd::ZERO);
    (ended, server.budget.snapshot().settled)
}

#[tokio::test]
async fn chunks_that_came_with_an_error_are_delivered_before_it() {
    for wire in WIRES {
        let error = wire.error("the kitchen is on fire");
        let [half, more, late] = ["half ", "a reply", "!"].map(|content| wire.text(content));
        let events = format!("{}{half}{more}data: {error}\n\n{late}", wire.begin());
        let (ended, settled) = streamed(wire, &events, 0).await;
        assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Status(200), "half a reply"));
        assert_eq!(ended.message(), "sim/m answered 200: the kitchen is on fire");
        assert_eq!(settled, in_doubt(1));
        let Some(Error::UpstreamStatus { body, .. }) = ended.error else { panic!("another error") };
        assert_eq!(body, error);
    }
}

#[tokio::test]
async fn an_event_named_an_error_is_one_whatever_it_holds() {
    for wire in WIRES {
        let told = format!("data: {}\n", wire.error("overloaded"));
        for (data, told) in [
            (&*told, "overloaded"),
            ("data: {\"choices\":[]}\n", wire.no_error()),
            ("data: {\"type\":\"ping\"}\n", wire.no_error()),
            ("data: oh no\n", wire.no_error()),
            ("", "an empty body"),
        ] {
            let error = format!("event: error\n{data}\n");
            let events =
                [&*wire.begin(), &wire.text("half"), &error, &wire.finish(), &wire.usage(), wire.end()]
                    .concat();
            let (ended, settled) = streamed(wire, &events, 0).await;
            assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Status(200), "half"), "{data}");
            assert!(ended.message().ends_with(told), "{data}: {}", ended.message());
            assert_eq!(settled, in_doubt(1), "{data}");
        }
    }
}

#[tokio::test]
async fn an_error_after_the_end_is_nobodys() {
    for wire in WIRES {
        let events = format!("{}event: error\ndata: late\n\n", wire.events());
        let (ended, settled) = streamed(wire, &events, 0).await;
        assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Reply, TEXT));
        assert_eq!(settled, price());
    }
}

#[tokio::test]
async fn a_stream_that_breaks_after_its_usage_is_no_reply_and_costs_what_it_used() {
    for wire in WIRES {
        let events = [wire.begin(), wire.text(TEXT), wire.finish(), wire.usage()].concat();
        let (ended, settled) = streamed(wire, &events, 9).await;
        assert_eq!(ended.outcome, Outcome::Told(ErrorCode::UpstreamConnection));
        assert_eq!(settled, price());
    }
}

#[tokio::test]
async fn a_stream_that_breaks_after_its_finish_costs_what_was_counted() {
    for wire in WIRES {
        let body = [wire.begin(), wire.text(TEXT), wire.finish()].concat();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len() + 9);
        let frank = json!({"prices": {"sim/m": {"reasoning": false}}});
        // A model that thinks unseen may have had more than it showed.
        for (settings, settled) in [(frank, reserved(PROMPT, SHOWN)), (json!({}), in_doubt(1))] {
            let server = Raw::speaking(wire, format!("{head}{body}"), Vec::new(), 0, settings).await;
            let ended = end(&server.client, Stream, limited(&server.budget, 3)).await;
            assert_eq!(ended.outcome, Outcome::Told(ErrorCode::UpstreamConnection));
            assert_eq!((server.seen().len(), server.budget.snapshot().settled), (1, settled));
        }
    }
}

/// What comes before the content is none, so that an error there may be tried again.
#[tokio::test]
async fn an_error_between_the_beginning_and_the_content_is_told_to_nobody_who_reads() {
    for (wire, error) in [
        (Wire::OpenAi, "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}\n\n"),
        (
            Wire::Anthropic,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
        ),
    ] {
        let events = format!("{}{error}", wire.begin());
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", events.len());
        let server = Raw::answering(wire, format!("{head}{events}")).await;
        let ended = end(&server.client, Stream, limited(&server.budget, 3)).await;
        assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Status(200), ""));
        assert_eq!((server.seen().len(), server.budget.snapshot().settled), (3, in_doubt(3)));
    }
}

#[tokio::test]
async fn a_stream_without_its_last_event_is_whole_if_it_says_why_it_ended() {
    for wire in WIRES {
        let events = [wire.begin(), wire.text(TEXT), wire.finish(), wire.usage()].concat();
        let (ended, settled) = streamed(wire, &events, 0).await;
        assert_eq!((ended.outcome, ended.text.as_str(), settled), (Outcome::Reply, TEXT, price()));
        let (ended, settled) = streamed(wire, &[wire.begin(), wire.text(TEXT)].concat(), 0).await;
        let broken = Outcome::Told(ErrorCode::UpstreamConnection);
        assert_eq!((ended.outcome, ended.text.as_str(), settled), (broken, TEXT, in_doubt(1)));
    }
}

#[tokio::test]
async fn one_choice_of_two_is_not_the_reply() {
    for (wire, requests) in [(Wire::OpenAi, 1), (Wire::Anthropic, 0)] {
        let server = Raw::answering(wire, format!("HTTP/1.1 200 OK\r\n\r\n{}", wire.events())).await;
        let mut request = ask(PROMPT, OUTPUT_TOKENS);
        request.n = Some(2);
        let error = match soon(server.client.stream(request, within([]))).await {
            Ok(mut stream) => soon(stream.reply()).await.unwrap_err(),
            Err(error) => error,
        };
        match wire {
            Wire::OpenAi => assert!(matches!(error, Error::UpstreamStatus { status: 200, .. }), "{error}"),
            // It has no word for two, so it is not asked.
            Wire::Anthropic => assert_eq!(error.code(), ErrorCode::Config, "{error}"),
        }
        assert_eq!(server.seen().len(), requests);
    }
}

/// Which timeout ends the call.
fn phase(ended: &Ended) -> TimeoutPhase {
    let Some(Error::UpstreamTimeout { phase, .. }) = &ended.error else { panic!("{}", ended.message()) };
    *phase
}

#[tokio::test]
async fn comments_keep_a_connection_alive_and_no_timeout() {
    for (wire, every_ms) in WIRES.into_iter().flat_map(|wire| [(wire, 0), (wire, 20)]) {
        let endless = Fault::Endless(EndlessFault { with: Filler::Comments, every_ms });
        let rule = Rule { reply: Some(Reply::text("half")), ..Rule::from(endless) };
        let rig = Rig::speaking(wire, vec![rule], json!({"timeouts": {"idle_ms": 200}})).await;
        let budget = rig.budget(1_000_000_000);
        let ended = end(&rig.client, Stream, limited(&budget, 3)).await;
        assert_eq!((phase(&ended), ended.text.as_str()), (TimeoutPhase::Idle, "half"));
        assert_eq!((rig.stats().await.requests, budget.snapshot().settled), (1, in_doubt(1)));
    }
}

#[tokio::test]
async fn comments_are_not_the_first_of_a_reply() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    for wire in WIRES {
        let (comments, timeouts) = (b": soon\n\n".repeat(1_000), json!({"timeouts": {"ttft_ms": 200}}));
        let server = Raw::speaking(wire, head, comments, 1_000_000, timeouts).await;
        let ended = end(&server.client, Stream, limited(&server.budget, 3)).await;
        assert_eq!((phase(&ended), ended.text.as_str()), (TimeoutPhase::FirstByte, ""));
        assert_eq!((server.seen().len(), server.budget.snapshot().settled), (1, in_doubt(1)));
    }
}

#[tokio::test]
async fn a_stream_without_end_ends_with_the_call() {
    for wire in WIRES {
        let endless = Fault::Endless(EndlessFault { with: Filler::Chunks, every_ms: 0 });
        let timeouts = json!({"timeouts": {"total_ms": 2_000}});
        let rig = Rig::speaking(wire, vec![endless.into()], timeouts).await;
        let budget = rig.budget(1_000_000_000);
        let ended = end(&rig.client, Stream, limited(&budget, 3)).await;
        assert_eq!(phase(&ended), TimeoutPhase::Total);
        assert!(!ended.text.is_empty(), "what came before stays");
        assert_eq!((rig.stats().await.requests, budget.snapshot().settled), (1, in_doubt(1)));
    }
}

#[tokio::test]
async fn an_error_may_come_first_and_last() {
    for (wire, message) in [(Wire::OpenAi, "The server had an error"), (Wire::Anthropic, "Overloaded")] {
        for (after, requests) in [(0, 3), (1_000, 1)] {
            let fault = Fault::ErrorEvent(EventFault { after_chunks: after, named: true });
            let rule = Rule { reply: Some(Reply::text("text")), ..Rule::from(fault) };
            let rig = Rig::speaking(wire, vec![rule], json!({})).await;
            let budget = rig.budget(1_000_000_000);
            let ended = end(&rig.client, Stream, limited(&budget, 3)).await;
            assert_eq!(ended.outcome, Outcome::Status(200));
            assert_eq!(ended.text, if after == 0 { "" } else { "text" });
            assert!(ended.message().contains(message), "{}", ended.message());
            assert_eq!(
                (rig.stats().await.requests, budget.snapshot().settled),
                (requests, in_doubt(requests))
            );
        }
    }
}
