//! Connections that leave, hang, crowd or send what is no request.

use std::time::Duration;

use http_body_util::BodyExt;
use iron_protocol::NanoUsd;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::rig::{LONG, Rig, hello, post, raw, read, streamed};

async fn quiet(rig: &Rig) {
    assert!(rig.simulator.quiet(LONG).await, "the provider is still asked");
    timeout(LONG, async {
        while rig.client.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a call goes on");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_call_and_pays_for_it() {
    for (rules, body) in [
        (json!([{"fault": {"kind": "stall", "at": "before_headers"}}]), hello()),
        (json!([{"reply": {"output_tokens": 500}, "tokens_per_second": 20}]), streamed()),
    ] {
        let mut rig = Rig::with(rules, json!({"budget": {"limit_usd": 1}})).await;
        let mut connection = rig.connect().await;
        let asked = post("/v1/chat/completions", &body);
        if body["stream"] == true {
            let mut answer = connection.send_request(asked).await.unwrap();
            assert!(answer.frame().await.is_some());
            drop(answer);
        } else {
            let answer = connection.send_request(asked);
            tokio::pin!(answer);
            while rig.simulator.stats().requests == 0 {
                assert!(timeout(Duration::from_millis(10), &mut answer).await.is_err());
            }
        }
        drop(connection);
        quiet(&rig).await;
        let budget = rig.client.budget().unwrap().snapshot();
        assert!(budget.held == NanoUsd::ZERO && budget.settled > NanoUsd::ZERO, "{budget:?}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_closes_the_connection() {
    let rig = Rig::with(json!([]), json!({"router": {"header_timeout_ms": 50}})).await;
    let mut stream = TcpStream::connect(rig.router.address()).await.unwrap();
    stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await.unwrap();
    let mut rest = Vec::new();
    timeout(LONG, stream.read_to_end(&mut rest)).await.expect("it is still open").unwrap();
}

#[tokio::test]
async fn a_body_that_does_not_come_to_its_end_is_answered() {
    let rig = Rig::with(json!([]), json!({"router": {"body_timeout_ms": 50}})).await;
    let mut stream = TcpStream::connect(rig.router.address()).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 100\r\nconnection: close\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer)).await.expect("no answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request_timeout"), "{answer}");
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let rig = Rig::new(json!([])).await;
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(300_000));
    for (sent, status) in [("nonsense\r\n\r\n", "400"), (&*long, "431")] {
        let mut stream = TcpStream::connect(rig.router.address()).await.unwrap();
        // Whoever sends too much may be cut off before it has sent all.
        drop(stream.write_all(sent.as_bytes()).await);
        let mut answer = Vec::new();
        drop(
            timeout(LONG, stream.read_to_end(&mut answer))
                .await
                .unwrap_or_else(|_| panic!("no answer to {} bytes", sent.len())),
        );
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn beyond_the_most_connections_the_next_waits_for_its_turn() {
    let mut rig = Rig::with(json!([]), json!({"router": {"max_connections": 1}})).await;
    let mut first = rig.connect().await;
    read(first.send_request(post("/v1/chat/completions", &hello())).await.unwrap()).await;
    let mut second = rig.connect().await;
    let answer = second.send_request(post("/v1/chat/completions", &hello()));
    tokio::pin!(answer);
    assert!(timeout(Duration::from_millis(50), &mut answer).await.is_err(), "two at once");
    drop(first);
    timeout(LONG, answer).await.expect("its turn never came").unwrap();
}

#[tokio::test]
async fn a_router_that_stops_lets_streams_end_and_takes_no_more() {
    let rules = json!([{"reply": {"output_tokens": 20}, "tokens_per_second": 50}]);
    let mut rig = Rig::new(rules).await;
    let (address, client) = (rig.router.address(), rig.client.clone());
    let mut connection = rig.connect().await;
    let answer = connection.send_request(post("/v1/chat/completions", &streamed())).await.unwrap();
    let (whole, ended) = tokio::join!(read(answer), rig.router.shutdown());
    assert!(ended && whole.events().last().unwrap() == "[DONE]");
    assert!(TcpStream::connect(address).await.is_err(), "it still listens");
    assert_eq!(client.in_flight(), 0);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let rules = json!([{"fault": {"kind": "stall", "at": "before_headers"}}]);
    let mut rig = Rig::with(rules, json!({"router": {"drain_ms": 20}, "budget": {"limit_usd": 1}})).await;
    let client = rig.client.clone();
    let mut connection = rig.connect().await;
    let answer = connection.send_request(post("/v1/chat/completions", &hello()));
    tokio::pin!(answer);
    while rig.simulator.stats().requests == 0 {
        assert!(timeout(Duration::from_millis(10), &mut answer).await.is_err());
    }
    let began = Instant::now();
    let (cut, ended) = tokio::join!(answer, rig.router.shutdown());
    assert!(cut.is_err() && !ended && began.elapsed() < LONG);
    assert!(client.budget().unwrap().snapshot().settled > NanoUsd::ZERO, "what was sent may be billed");
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let mut rig = Rig::new(json!([])).await;
    let mut connection = rig.connect().await;
    for _ in 0..3 {
        for request in [post("/v1/chat/completions", &hello()), raw(http::Method::GET, "/v1/models/m", "")] {
            assert!(read(connection.send_request(request).await.unwrap()).await.status.is_success());
        }
    }
}
