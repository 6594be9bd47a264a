//! Answers that are no HTTP, too much of it, or not what was asked for, from a server that sends what it is told to.

use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::Error;
use iron_simulator::{Fault, RedirectFault};

use super::raw::Raw;
use super::{Ended, FORMS, Form, Outcome, end, in_doubt, limited};
use crate::rig::Rig;

const REPLY: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"whole"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
const EVENTS: &str = concat!(
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"whole\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n",
    "data: [DONE]\n\n",
);

const CONNECTION: Outcome = Outcome::Told(ErrorCode::UpstreamConnection);

/// An answer with its length.
fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// What a call comes to whose every request, of three at most, is answered so; and the requests that there were.
async fn called(form: Form, answer: &str) -> (Ended, usize) {
    let server = Raw::new(answer).await;
    let ended = end(&server.client, form, limited(&server.budget, 3)).await;
    let snapshot = server.budget.snapshot();
    let requests = server.seen().len();
    assert_eq!((snapshot.held, server.client.in_flight()), (NanoUsd::ZERO, 0));
    if ended.outcome != Outcome::Reply {
        let free = matches!(ended.outcome, Outcome::Status(300..));
        let expected = if free { NanoUsd::ZERO } else { in_doubt(requests as u64) };
        assert_eq!(snapshot.settled, expected, "{}", ended.message());
    }
    (ended, requests)
}

/// An answer in the form that is asked for.
fn usual(form: Form) -> (&'static str, &'static str) {
    match form {
        Form::Plain => ("content-type: application/json\r\n", REPLY),
        Form::Stream => ("content-type: text/event-stream\r\n", EVENTS),
    }
}

#[tokio::test]
async fn informational_answers_are_no_answers() {
    for form in FORMS {
        let (headers, body) = usual(form);
        let before = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
        let (ended, requests) = called(form, &format!("{before}{}", answer("200 OK", headers, body))).await;
        assert_eq!((ended.outcome, ended.text.as_str(), requests), (Outcome::Reply, "whole", 1));
    }
}

#[tokio::test]
async fn success_without_a_whole_reply_is_no_success() {
    for form in FORMS {
        let (headers, body) = usual(form);
        for (line, status, body) in
            [("204 No Content", 204, ""), ("205 Reset Content", 205, ""), ("206 Partial Content", 206, body)]
        {
            let answer = if body.is_empty() {
                format!("HTTP/1.1 {line}\r\n\r\n")
            } else {
                answer(line, &format!("{headers}content-range: bytes 0-9/10\r\n"), body)
            };
            let (ended, requests) = called(form, &answer).await;
            assert_eq!((ended.outcome, requests), (Outcome::Status(status), 1), "{line} {}", ended.message());
        }
    }
}

#[tokio::test]
async fn other_statuses_of_success_are_success() {
    for form in FORMS {
        let (headers, body) = usual(form);
        for line in ["201 Created", "203 Non-Authoritative Information"] {
            let (ended, _) = called(form, &answer(line, headers, body)).await;
            assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Reply, "whole"), "{line}");
        }
    }
}

#[tokio::test]
async fn headers_beyond_measure_are_refused_and_not_asked_for_again() {
    for form in FORMS {
        let (headers, body) = usual(form);
        let line = format!("x-long: {}\r\n{headers}", "x".repeat(2 << 20));
        let many = "x-many: 1\r\n".repeat(10_000);
        for headers in [line, format!("{many}{headers}")] {
            let (ended, requests) = called(form, &answer("200 OK", &headers, body)).await;
            assert_eq!((ended.outcome, requests), (CONNECTION, 1), "{}", ended.message());
            assert!(
                ended.message().ends_with("the headers of the reply are too large"),
                "{}",
                ended.message()
            );
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_not_asked_for_again() {
    for form in FORMS {
        for bytes in [
            "SSH-2.0-OpenSSH_9.6\r\n",
            "{\"choices\":[]}\n",
            "HTTP/1.1 abc\r\n\r\n",
            "\u{0}\u{0}\u{12}\u{4}\u{0}",
        ] {
            let (ended, requests) = called(form, bytes).await;
            assert_eq!((ended.outcome, requests), (CONNECTION, 1), "{bytes:?}: {}", ended.message());
            assert!(
                ended.message().ends_with("the reply is not valid HTTP"),
                "{bytes:?}: {}",
                ended.message()
            );
        }
        let twice = format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{REPLY}");
        let (ended, requests) = called(form, &twice).await;
        assert_eq!((ended.outcome, requests), (CONNECTION, 1), "{}", ended.message());
    }
}

#[tokio::test]
async fn a_head_that_is_cut_is_a_connection_that_broke() {
    for form in FORMS {
        let (ended, requests) = called(form, "HTTP/1.1 200 OK\r\ncontent-ty").await;
        assert_eq!((ended.outcome, requests), (CONNECTION, 3), "{}", ended.message());
    }
}

#[tokio::test]
async fn a_body_that_is_not_compressed_as_it_says_is_no_reply() {
    // What every gzip file begins with, and nothing after it.
    let cut = "\u{1f}";
    for coding in ["gzip", "deflate", "br", "zstd"] {
        for form in FORMS {
            let (headers, body) = usual(form);
            for body in [body, cut] {
                let headers = format!("content-encoding: {coding}\r\n{headers}");
                let (ended, requests) = called(form, &answer("200 OK", &headers, body)).await;
                assert_eq!(
                    (ended.outcome, requests),
                    (Outcome::Status(200), 1),
                    "{coding}: {}",
                    ended.message()
                );
                assert!(ended.message().contains("cannot be decompressed"), "{coding}: {}", ended.message());
            }
        }
    }
}

#[tokio::test]
async fn a_plain_reply_whose_end_only_the_connection_tells_is_whole_or_none() {
    for (body, outcome) in [(REPLY, Outcome::Reply), (&REPLY[..100], Outcome::Status(200))] {
        let (ended, requests) = called(Form::Plain, &format!("HTTP/1.1 200 OK\r\n\r\n{body}")).await;
        assert_eq!((ended.outcome, requests), (outcome, 1), "{}", ended.message());
    }
}

#[tokio::test]
async fn a_stream_is_known_by_what_it_is_and_not_by_what_it_is_called() {
    for kind in ["text/event-stream", "application/json", "text/plain", "application/octet-stream"] {
        let (ended, _) =
            called(Form::Stream, &answer("200 OK", &format!("content-type: {kind}\r\n"), EVENTS)).await;
        assert_eq!(
            (ended.outcome, ended.text.as_str()),
            (Outcome::Reply, "whole"),
            "{kind}: {}",
            ended.message()
        );
    }
    let (ended, _) = called(Form::Stream, &answer("200 OK", "", EVENTS)).await;
    assert_eq!(ended.outcome, Outcome::Reply);
}

#[tokio::test]
async fn a_document_where_a_stream_was_asked_for_says_what_it_is() {
    for (kind, body, message) in [
        ("application/json", REPLY, "it sent one body where a stream was asked for"),
        ("application/json; charset=utf-8", r#" {"error":{"message":"too many cooks"}}"#, "too many cooks"),
        ("application/json", "[]", "its body has neither choices nor data"),
        ("text/html; charset=utf-8", "\n<!doctype html><p>secret", "its body is not a JSON object"),
    ] {
        let (ended, requests) =
            called(Form::Stream, &answer("200 OK", &format!("content-type: {kind}\r\n"), body)).await;
        assert_eq!((ended.outcome, requests), (Outcome::Status(200), 1));
        assert!(ended.message().contains(message), "{}", ended.message());
        assert!(!ended.message().contains("secret"));
        let Some(Error::UpstreamStatus { body: kept, .. }) = ended.error else { panic!("another error") };
        assert_eq!(kept, body);
    }
}

#[tokio::test]
async fn a_page_is_kept_in_part_and_never_quoted() {
    let page = format!("<html>secret{}</html>", "x".repeat(1 << 20));
    for form in FORMS {
        for (line, status, tries) in
            [("502 Bad Gateway", 502, 3), ("403 Forbidden", 403, 1), ("200 OK", 200, 1)]
        {
            let (ended, requests) = called(form, &answer(line, "content-type: text/html\r\n", &page)).await;
            assert_eq!((ended.outcome, requests), (Outcome::Status(status), tries), "{line}");
            assert!(
                !ended.message().contains("secret") && !ended.message().contains('<'),
                "{}",
                ended.message()
            );
            let Some(Error::UpstreamStatus { body, .. }) = &ended.error else { panic!("another error") };
            assert_eq!(body.len(), 64 * 1024, "{line}");
            assert!(body.starts_with(b"<html>secret"));
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_does_not_travel() {
    let elsewhere = Raw::new(answer("200 OK", "", REPLY)).await;
    for form in FORMS {
        for status in [301, 302, 303, 307, 308] {
            let to = format!("{}/chat/completions", elsewhere.url());
            let rig = Rig::new(vec![Fault::Redirect(RedirectFault { to, status }).into()]).await;
            let budget = rig.budget(1_000_000_000);
            let ended = end(&rig.client, form, limited(&budget, 3)).await;
            assert_eq!((ended.outcome, budget.snapshot().spent()), (Outcome::Status(status), NanoUsd::ZERO));
            assert_eq!(rig.stats().await.requests, 1);
        }
    }
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}
