//! Bodies beyond measure: what is read of them has a bound.

use std::time::Duration;

use iron_runtime::CallContext;
use iron_simulator::{Coding, Fault, Outcome as Served, PaddingFault};
use serde_json::json;

use super::raw::Raw;
use super::{Form, Outcome, WAYS, end, in_doubt, limited};
use crate::rig::{Rig, WIRES};

#[tokio::test]
async fn a_body_of_a_gigabyte_is_not_read_to_its_end() {
    for ((wire, form), coding) in WAYS.into_iter().flat_map(|way| [(way, None), (way, Some(Coding::Gzip))]) {
        let told = match form {
            Form::Plain => "its body is larger than 67108864 bytes",
            Form::Stream => "an event of the stream is too long",
        };
        let fault = Fault::Padded(PaddingFault { bytes: 1 << 30, coding });
        let rig = Rig::speaking(wire, vec![fault.into()], json!({})).await;
        let budget = rig.budget(1_000_000_000);
        let ended = end(&rig.client, form, limited(&budget, 3)).await;
        assert_eq!(ended.outcome, Outcome::Status(200), "{}", ended.message());
        assert!(ended.message().ends_with(told), "{}", ended.message());
        rig.at_rest(&budget);
        assert_eq!(rig.stats().await.requests, 1);
        if coding.is_none() {
            // A bomb may be on the wire as a whole before it is known for one.
            assert_eq!(rig.simulator.requests()[0].outcome, Served::Cut);
        }
        assert_eq!(budget.snapshot().settled, in_doubt(1));
    }
}

#[tokio::test]
async fn a_body_that_says_that_it_is_too_long_is_not_begun() {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 100_000_000);
    for wire in WIRES {
        let reply = wire.reply();
        // It would be a whole reply, were it read.
        let padding = " ".repeat(100_000_000 - reply.len());
        let server = Raw::answering(wire, format!("{head}{reply}{padding}")).await;
        let ended = end(&server.client, Form::Plain, limited(&server.budget, 3)).await;
        assert_eq!(ended.outcome, Outcome::Status(200), "{}", ended.message());
        assert!(ended.message().ends_with("its body is larger than 67108864 bytes"), "{}", ended.message());
        assert_eq!((server.seen().len(), server.budget.snapshot().settled), (1, in_doubt(1)));
    }
}

#[tokio::test]
async fn a_stream_of_comments_alone_has_an_end() {
    let comments =
        ": still here, and saying nothing at all for as long as anybody listens\n\n".repeat(15_000);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    for wire in WIRES {
        let server = Raw::speaking(wire, head, comments.clone().into_bytes(), 300, json!({})).await;
        let context = CallContext { timeout: Some(Duration::from_secs(300)), ..limited(&server.budget, 3) };
        let ended = end(&server.client, Form::Stream, context).await;
        assert_eq!(ended.outcome, Outcome::Status(200), "{}", ended.message());
        assert!(ended.message().ends_with("its body is larger than 268435456 bytes"), "{}", ended.message());
        assert_eq!((server.seen().len(), server.budget.snapshot().settled), (1, in_doubt(1)));
    }
}
