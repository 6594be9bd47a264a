//! Every fault, as the bytes that a client gets.
#![expect(clippy::unwrap_used, reason = "what is not expected fails the test")]

mod client;

use std::io::ErrorKind;

use client::{Client, LONG, chat, simulator, with_rule};
use iron_simulator::{Fault, Outcome};
use serde_json::{Value, json};

/// What a client gets from a simulator with that fault, until the connection ends.
async fn broken(fault: Value, stream: bool) -> (String, Option<ErrorKind>) {
    let kind = fault["kind"].as_str().unwrap().to_owned();
    let (simulator, mut client) = with_rule(json!({"fault": fault, "reply": {"text": "héllo wörld"}})).await;
    client.send_chat(json!({"stream": stream})).await;
    let (bytes, end) = client.rest().await;
    assert!(simulator.quiet(LONG).await);
    assert_eq!(simulator.stats().faults[&kind], 1);
    (String::from_utf8_lossy(&bytes).into_owned(), end)
}

fn body(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn statuses() {
    for (fault, status, retry_after, part) in [
        (json!({"status": 429, "retry_after": 2}), 429, Some("2"), "rate_limit_exceeded"),
        (json!({"status": 429, "retry_after": "soon"}), 429, Some("soon"), "requests"),
        (json!({"status": 429, "code": "insufficient_quota"}), 429, None, "current quota"),
        (json!({"status": 500}), 500, None, "server_error"),
        (json!({"status": 502, "body": "html"}), 502, None, "<h1>502 Bad Gateway</h1>"),
        (json!({"status": 503, "body": {"text": "plain words"}}), 503, None, "plain words"),
        (json!({"status": 529, "message": "busy"}), 529, None, "busy"),
        (json!({"status": 400, "code": "context_length_exceeded"}), 400, None, "context_length_exceeded"),
        (json!({"status": 418, "body": {"json": {"tea": true}}}), 418, None, "{\"tea\":true}"),
        (json!({"status": 500, "body": "empty"}), 500, None, ""),
    ] {
        let mut rule = json!({"fault": {"kind": "status"}, "times": 1});
        rule["fault"].as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        let (simulator, mut client) = with_rule(rule).await;
        let reply = client.chat(json!({})).await;
        assert_eq!(
            (reply.status, reply.headers.get("retry-after").map(String::as_str)),
            (status, retry_after)
        );
        assert!(reply.text().contains(part), "{fault} {}", reply.text());
        assert_eq!(client.chat(json!({})).await.status, 200, "the connection still serves");
        assert!(simulator.quiet(LONG).await);
        let stats = simulator.stats();
        assert_eq!((stats.chat_calls, stats.served, stats.faults["status"]), (1, 1, 1));
        assert_eq!(simulator.requests()[0].outcome, Outcome::Refused);
    }
}

#[tokio::test]
async fn retry_after_as_a_date_and_in_milliseconds() {
    let (_simulator, mut client) = with_rule(
        json!({"fault": {"kind": "status", "status": 429, "retry_after": {"date_in_s": 5}, "retry_after_ms": 1500}}),
    )
    .await;
    let reply = client.chat(json!({})).await;
    assert_eq!(reply.headers["retry-after-ms"], "1500");
    assert!(httpdate::parse_http_date(&reply.headers["retry-after"]).is_ok());
}

#[tokio::test]
async fn refusals_under_other_statuses() {
    let (_simulator, mut client) =
        with_rule(json!({"fault": {"kind": "redirect", "to": "http://127.0.0.1:9/"}})).await;
    let reply = client.chat(json!({})).await;
    assert_eq!((reply.status, reply.headers["location"].as_str()), (307, "http://127.0.0.1:9/"));
    let (simulator, mut client) = with_rule(json!({"fault": {"kind": "error_in_ok"}})).await;
    let reply = client.chat(json!({})).await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (200, &json!("server_error")));
    assert!(simulator.quiet(LONG).await);
    assert_eq!(simulator.requests()[0].outcome, Outcome::Refused);
    let (_simulator, mut client) = with_rule(json!({"fault": {"kind": "page"}})).await;
    let reply = client.chat(json!({})).await;
    assert_eq!((reply.status, reply.headers["content-type"].as_str()), (200, "text/html"));
    assert!(reply.text().starts_with("<html>"));
    let (simulator, mut client) = with_rule(json!({"fault": {"kind": "empty_body"}})).await;
    let reply = client.chat(json!({})).await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert!(simulator.quiet(LONG).await);
    assert_eq!((simulator.stats().output_tokens, simulator.stats().served), (0, 0));
}

#[tokio::test]
async fn connections_are_refused_by_count() {
    let simulator = simulator(json!({"rules": [{"times": 2, "fault": {"kind": "refuse"}}]})).await;
    for _ in 0..2 {
        let (bytes, _) = Client::connect(simulator.address()).await.rest().await;
        assert!(bytes.is_empty());
    }
    let mut client = Client::connect(simulator.address()).await;
    assert_eq!(client.chat(json!({})).await.status, 200);
    let stats = simulator.stats();
    assert_eq!((stats.connections_opened, stats.connections_refused, stats.connections_open), (3, 2, 1));
}

#[tokio::test]
async fn resets_come_where_told() {
    for stream in [false, true] {
        let (reply, end) = broken(json!({"kind": "reset", "at": "before_headers"}), stream).await;
        assert_eq!((reply.as_str(), end), ("", Some(ErrorKind::ConnectionReset)));
        let (reply, end) = broken(json!({"kind": "reset", "at": "after_headers"}), stream).await;
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!((body(&reply), end), ("", Some(ErrorKind::ConnectionReset)));
    }
    let (reply, end) = broken(json!({"kind": "reset", "at": {"after_bytes": 10}}), false).await;
    assert_eq!((body(&reply), end), ("{\"id\":\"cha", Some(ErrorKind::ConnectionReset)));
    let (reply, end) = broken(json!({"kind": "reset", "at": {"after_chunks": 2}}), true).await;
    assert_eq!((body(&reply).matches("data: ").count(), end), (2, Some(ErrorKind::ConnectionReset)));
    let (reply, end) = broken(json!({"kind": "reset", "at": {"after_chunks": 1000}}), true).await;
    assert!(reply.ends_with("data: [DONE]\n\n\r\n"), "just before the end");
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn closes_come_where_told() {
    let (reply, end) = broken(json!({"kind": "close", "at": "before_headers"}), false).await;
    assert_eq!((reply.as_str(), end), ("", None));
    let (reply, end) = broken(json!({"kind": "close", "at": {"after_bytes": 10}}), false).await;
    assert_eq!((body(&reply), end), ("{\"id\":\"cha", None));
    let (reply, end) = broken(json!({"kind": "close", "at": {"after_chunks": 1}}), true).await;
    assert!(reply.ends_with("\n\n\r\n"), "whole chunks, but no last one");
    assert_eq!((body(&reply).matches("data: ").count(), end), (1, None));
    let (reply, end) = broken(json!({"kind": "close", "at": {"after_bytes": 10}}), true).await;
    let (size, part) = body(&reply).split_once("\r\n").unwrap();
    assert!(usize::from_str_radix(size, 16).unwrap() > 10);
    assert_eq!((part, end), ("data: {\"id", None), "a chunk that is cut short");
}

#[tokio::test]
async fn lengths_are_wrong_both_ways() {
    for by in [-20_i64, 20] {
        let (reply, end) = broken(json!({"kind": "wrong_length", "by": by}), false).await;
        let told = reply.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let told: i64 = told.parse().unwrap();
        let len = i64::try_from(body(&reply).len()).unwrap();
        assert_eq!((told, end), (len + by, None));
        assert!(serde_json::from_str::<Value>(body(&reply)).is_ok());
    }
}

#[tokio::test]
async fn malformed_json_has_the_right_length() {
    let (simulator, mut client) = with_rule(json!({"fault": {"kind": "malformed_json"}})).await;
    let reply = client.chat(json!({})).await;
    assert!(serde_json::from_slice::<Value>(&reply.body).is_err());
    assert_eq!(client.chat(json!({})).await.status, 200);
    assert!(simulator.quiet(LONG).await);
    assert_eq!(simulator.requests()[0].outcome, Outcome::Faulted);
}

#[tokio::test]
async fn every_byte_comes_alone() {
    for stream in [false, true] {
        let rule = json!({"fault": {"kind": "split_bytes"}, "reply": {"text": "é🦀"}});
        let (simulator, mut client) = with_rule(rule).await;
        let reply = client.chat(json!({"stream": stream})).await;
        assert!(reply.text().contains("é"));
        assert!(reply.chunks.iter().all(|chunk| chunk.len() == 1));
        assert_eq!(reply.chunks.is_empty(), !stream);
        assert!(simulator.quiet(LONG).await);
        let stats = simulator.stats();
        assert_eq!((stats.output_tokens, stats.served), (2, 1));
    }
}

#[tokio::test]
async fn stream_forms_keep_the_text() {
    for kind in
        ["crlf", "comments", "multi_line_data", "bom", "no_done", "no_finish_reason", "malformed_event"]
    {
        let rule = json!({"fault": {"kind": kind}, "reply": {"text": "a 🦀 text"}});
        let (simulator, mut client) = with_rule(rule).await;
        let reply = client.chat(json!({"stream": true})).await;
        assert_eq!(reply.body.starts_with("\u{feff}".as_bytes()), kind == "bom");
        let spoilt = kind == "malformed_event";
        assert_eq!(reply.streamed_text() == "a 🦀 text", !spoilt, "{kind}");
        assert_eq!(client.chat(json!({})).await.status, 200, "plain requests are left alone");
        assert!(simulator.quiet(LONG).await);
        assert_eq!(simulator.stats().faults[kind], 1);
    }
}

#[tokio::test]
async fn an_error_ends_a_stream() {
    let (simulator, mut client) = with_rule(
        json!({"fault": {"kind": "error_event", "after_chunks": 2}, "reply": {"output_tokens": 50}}),
    )
    .await;
    let events = client.chat(json!({"stream": true})).await.events();
    assert_eq!(events.len(), 3);
    assert!(events[2].starts_with("{\"error\":"));
    assert!(simulator.quiet(LONG).await);
    assert_eq!(simulator.stats().output_tokens, 1, "the role and one token were written");
}

#[tokio::test]
async fn an_event_that_is_wrong_may_be_named_an_error() {
    for kind in ["error_event", "malformed_event"] {
        let (_simulator, mut client) =
            with_rule(json!({"fault": {"kind": kind, "after_chunks": 1, "named": true}})).await;
        let text = client.chat(json!({"stream": true})).await.text();
        assert_eq!(text.matches("\n\nevent: error\ndata: {\"").count(), 1, "{text}");
    }
}

#[tokio::test]
async fn an_empty_stream_generates_nothing() {
    for (done, body) in [(false, ""), (true, "data: [DONE]\n\n")] {
        let (simulator, mut client) =
            with_rule(json!({"fault": {"kind": "empty_stream", "done": done}})).await;
        let reply = client.chat(json!({"stream": true})).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, body));
        assert!(reply.headers["content-type"].starts_with("text/event-stream"));
        assert!(simulator.quiet(LONG).await);
        assert_eq!((simulator.stats().input_tokens, simulator.requests()[0].outcome), (0, Outcome::Refused));
    }
}

#[tokio::test(start_paused = true)]
async fn stalls_end_after_their_time_or_with_the_client() {
    for at in [
        json!("before_headers"),
        json!("after_headers"),
        json!({"after_chunks": 2}),
        json!({"after_bytes": 9}),
    ] {
        for stream in [false, true] {
            let (simulator, mut client) =
                with_rule(json!({"fault": {"kind": "stall", "at": at, "ms": 7000}})).await;
            let start = tokio::time::Instant::now();
            assert_eq!(client.chat(json!({"stream": stream})).await.status, 200);
            // Plain replies are one chunk, so they never come to the second.
            let stalls = stream || at != json!({"after_chunks": 2});
            assert_eq!(start.elapsed().as_secs(), if stalls { 7 } else { 0 }, "{at} {stream}");
            assert!(simulator.quiet(LONG).await);
            assert_eq!(simulator.stats().served, 1, "{at} {stream}");
        }
    }
    let (simulator, mut client) = with_rule(json!({"fault": {"kind": "stall", "at": "after_headers"}})).await;
    client.send_chat(json!({})).await;
    assert_eq!(client.head().await.0, 200);
    assert!(!simulator.quiet(LONG).await, "for ever");
    drop(client);
    assert!(simulator.quiet(LONG).await);
    assert_eq!(simulator.stats().replies_abandoned, 1);
    assert_eq!(simulator.requests()[0].outcome, Outcome::Cut);
}

#[tokio::test]
async fn faults_strike_other_endpoints_too() {
    let (_simulator, mut client) =
        with_rule(json!({"when": {"path": "/v1/e*"}, "fault": {"kind": "status", "status": 500}})).await;
    assert_eq!(client.post("/v1/embeddings", &json!({"model": "e", "input": "x"})).await.status, 500);
    assert_eq!(client.post("/v1/chat/completions", &chat(json!({}))).await.status, 200);
}

#[test]
fn every_kind_is_in_the_docs() {
    let docs = include_str!("../../../docs/testing.md");
    for kind in Fault::KINDS {
        assert!(docs.contains(&format!("`{kind}`")), "docs/testing.md says nothing of {kind}");
    }
}
