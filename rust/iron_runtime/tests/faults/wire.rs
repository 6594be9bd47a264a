//! Answers that are no HTTP, too much of it, or not what was asked for, from a server that sends what it is told to.

use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::Error;
use iron_simulator::{Fault, RedirectFault};
use serde_json::json;

use super::raw::Raw;
use super::sent::{TEXT, price, usual};
use super::{Ended, Form, Outcome, WAYS, Way, end, in_doubt, limited};
use crate::rig::{Rig, WIRES, Wire};

const CONNECTION: Outcome = Outcome::Told(ErrorCode::UpstreamConnection);

/// An answer with its length.
fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// What a call comes to whose every request, of three at most, is answered so; and the requests that there were.
async fn called((wire, form): Way, answer: &str) -> (Ended, usize) {
    let server = Raw::answering(wire, answer).await;
    let ended = end(&server.client, form, limited(&server.budget, 3)).await;
    let snapshot = server.budget.snapshot();
    let requests = server.seen().len();
    assert_eq!((snapshot.held, server.client.in_flight()), (NanoUsd::ZERO, 0));
    let expected = match ended.outcome {
        Outcome::Reply => price(),
        Outcome::Status(300..) => NanoUsd::ZERO,
        _ => in_doubt(requests as u64),
    };
    assert_eq!(snapshot.settled, expected, "{}", ended.message());
    (ended, requests)
}

#[tokio::test]
async fn informational_answers_are_no_answers() {
    for way in WAYS {
        let (headers, body) = usual(way);
        let before = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
        let (ended, requests) = called(way, &format!("{before}{}", answer("200 OK", headers, &body))).await;
        assert_eq!((ended.outcome, ended.text.as_str(), requests), (Outcome::Reply, TEXT, 1));
    }
}

#[tokio::test]
async fn success_without_a_whole_reply_is_no_success() {
    for way in WAYS {
        let (headers, body) = usual(way);
        for (line, status, body) in [
            ("204 No Content", 204, ""),
            ("205 Reset Content", 205, ""),
            ("206 Partial Content", 206, &*body),
        ] {
            let answer = if body.is_empty() {
                format!("HTTP/1.1 {line}\r\n\r\n")
            } else {
                answer(line, &format!("{headers}content-range: bytes 0-9/10\r\n"), body)
            };
            let (ended, requests) = called(way, &answer).await;
            assert_eq!((ended.outcome, requests), (Outcome::Status(status), 1), "{line} {}", ended.message());
        }
    }
}

#[tokio::test]
async fn other_statuses_of_success_are_success() {
    for way in WAYS {
        let (headers, body) = usual(way);
        for line in ["201 Created", "203 Non-Authoritative Information"] {
            let (ended, _) = called(way, &answer(line, headers, &body)).await;
            assert_eq!((ended.outcome, ended.text.as_str()), (Outcome::Reply, TEXT), "{line}");
        }
    }
}

#[tokio::test]
async fn headers_beyond_measure_are_refused_and_not_asked_for_again() {
    for way in WAYS {
        let (headers, body) = usual(way);
        let line = format!("x-long: {}\r\n{headers}", "x".repeat(2 << 20));
        let many = "x-many: 1\r\n".repeat(10_000);
        for headers in [line, format!("{many}{headers}")] {
            let (ended, requests) = called(way, &answer("200 OK", &headers, &body)).await;
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
    for way in WAYS {
        for bytes in [
            "SSH-2.0-OpenSSH_9.6\r\n",
            "{\"choices\":[]}\n",
            "HTTP/1.1 abc\r\n\r\n",
            "\u{0}\u{0}\u{12}\u{4}\u{0}",
        ] {
            let (ended, requests) = called(way, bytes).await;
            assert_eq!((ended.outcome, requests), (CONNECTION, 1), "{bytes:?}: {}", ended.message());
            assert!(
                ended.message().ends_with("the reply is not valid HTTP"),
                "{bytes:?}: {}",
                ended.message()
            );
        }
        let twice =
            format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}", way.0.reply());
        let (ended, requests) = called(way, &twice).await;
        assert_eq!((ended.outcome, requests), (CONNECTION, 1), "{}", ended.message());
    }
}

#[tokio::test]
async fn a_head_that_is_cut_is_a_connection_that_broke() {
    for way in WAYS {
        let (ended, requests) = called(way, "HTTP/1.1 200 OK\r\ncontent-ty").await;
        assert_eq!((ended.outcome, requests), (CONNECTION, 3), "{}", ended.message());
    }
}

#[tokio::test]
async fn a_body_that_is_not_compressed_as_it_says_is_no_reply() {
    // What every gzip file begins with, and nothing after it.
    let cut = "\u{1f}";
    for coding in ["gzip", "deflate", "br", "zstd"] {
        for way in WAYS {
            let (headers, body) = usual(way);
            for body in [&*body, cut] {
                let headers = format!("content-encoding: {coding}\r\n{headers}");
                let (ended, requests) = called(way, &answer("200 OK", &headers, body)).await;
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
    for wire in WIRES {
        let reply = wire.reply();
        for (body, outcome) in [(&*reply, Outcome::Reply), (&reply[..100], Outcome::Status(200))] {
            let (ended, requests) =
                called((wire, Form::Plain), &format!("HTTP/1.1 200 OK\r\n\r\n{body}")).await;
            assert_eq!((ended.outcome, requests), (outcome, 1), "{}", ended.message());
        }
    }
}

#[tokio::test]
async fn a_stream_is_known_by_what_it_is_and_not_by_what_it_is_called() {
    let kinds = ["text/event-stream", "application/json", "text/plain", "application/octet-stream"];
    let headers = kinds.map(|kind| format!("content-type: {kind}\r\n"));
    for wire in WIRES {
        for headers in headers.iter().map(String::as_str).chain([""]) {
            let (ended, requests) =
                called((wire, Form::Stream), &answer("200 OK", headers, &wire.events())).await;
            assert_eq!(
                (ended.outcome, ended.text.as_str(), requests),
                (Outcome::Reply, TEXT, 1),
                "{headers}: {}",
                ended.message()
            );
        }
    }
}

#[tokio::test]
async fn a_document_where_a_stream_was_asked_for_says_what_it_is() {
    for wire in WIRES {
        let error = format!(" {}", wire.error("too many cooks"));
        for (kind, body, message) in [
            ("application/json", &*wire.reply(), "it sent one body where a stream was asked for"),
            ("application/json; charset=utf-8", &error, "too many cooks"),
            ("application/json", "[]", wire.no_reply()),
            ("text/html; charset=utf-8", "\n<!doctype html><p>secret", "its body is not a JSON object"),
        ] {
            let headers = format!("content-type: {kind}\r\n");
            let (ended, requests) = called((wire, Form::Stream), &answer("200 OK", &headers, body)).await;
            assert_eq!((ended.outcome, requests), (Outcome::Status(200), 1));
            assert!(ended.message().contains(message), "{}", ended.message());
            assert!(!ended.message().contains("secret"));
            let Some(Error::UpstreamStatus { body: kept, .. }) = ended.error else { panic!("another error") };
            assert_eq!(kept, body);
        }
    }
}

#[tokio::test]
async fn a_page_is_kept_in_part_and_never_quoted() {
    let page = format!("<html>secret{}</html>", "x".repeat(1 << 20));
    for way in WAYS {
        for (line, status, tries) in
            [("502 Bad Gateway", 502, 3), ("403 Forbidden", 403, 1), ("200 OK", 200, 1)]
        {
            let (ended, requests) = called(way, &answer(line, "content-type: text/html\r\n", &page)).await;
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
    let elsewhere = Raw::new(answer("200 OK", "", &Wire::OpenAi.reply())).await;
    for (wire, form) in WAYS {
        for status in [301, 302, 303, 307, 308] {
            let to = format!("{}/{}", elsewhere.url(), wire.path());
            let rig =
                Rig::speaking(wire, vec![Fault::Redirect(RedirectFault { to, status }).into()], json!({}))
                    .await;
            let budget = rig.budget(1_000_000_000);
            let ended = end(&rig.client, form, limited(&budget, 3)).await;
            assert_eq!((ended.outcome, budget.snapshot().spent()), (Outcome::Status(status), NanoUsd::ZERO));
            assert_eq!(rig.stats().await.requests, 1);
        }
    }
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}
