//! Starting, timing, remembering and stopping.

mod client;

use client::{Client, LONG, simulator};
use iron_simulator::{Error, Outcome, Settings, Simulator};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn latency_and_rate_make_the_time() {
    let simulator = simulator(json!({"latency_ms": 200, "tokens_per_second": 10, "rules": [
        {"when": {"text": "slow"}, "latency_ms": [3000, 3000], "reply": {"output_tokens": 20}},
        {"reply": {"output_tokens": 20}},
    ]}))
    .await;
    let mut client = Client::connect(simulator.address()).await;
    for stream in [false, true] {
        let start = Instant::now();
        assert_eq!(client.chat(json!({"stream": stream})).await.status, 200);
        let took = start.elapsed().as_millis();
        assert!((2200..2220).contains(&took), "{took}");
    }
    let start = Instant::now();
    let reply = client.chat(json!({"messages": [{"role": "user", "content": "slow"}]})).await;
    assert_eq!(reply.headers["openai-processing-ms"], "5000");
    assert!((5000..5020).contains(&start.elapsed().as_millis()));
}

#[tokio::test]
async fn requests_are_remembered_with_what_became_of_them() {
    let simulator = simulator(json!({"record_limit": 2})).await;
    let mut client = Client::connect(simulator.address()).await;
    client.chat(json!({})).await;
    client.send("POST", "/v1/chat/completions?x=1", &[("x-tag", "t")], "not json").await;
    client.reply().await;
    client.chat(json!({"user": "last"})).await;
    assert!(simulator.quiet(LONG).await);
    let requests = simulator.requests();
    assert_eq!(requests.len(), 2);
    let first = &requests[0];
    assert_eq!(
        (first.ordinal, first.method.as_str(), first.path.as_str()),
        (1, "POST", "/v1/chat/completions")
    );
    assert_eq!((first.status, first.outcome, &first.body), (Some(400), Outcome::Refused, &json!("not json")));
    assert_eq!(first.headers["x-tag"], "t");
    assert_eq!((requests[1].outcome, &requests[1].body["user"]), (Outcome::Served, &json!("last")));
}

#[tokio::test]
async fn it_stops_when_told_and_when_dropped() {
    for told in [true, false] {
        let simulator = simulator(json!({"latency_ms": 60_000})).await;
        let address = simulator.address();
        let mut client = Client::connect(address).await;
        client.send_chat(json!({})).await;
        while simulator.stats().in_progress == 0 {
            tokio::task::yield_now().await;
        }
        if told {
            simulator.shutdown().await;
        } else {
            drop(simulator);
        }
        assert!(client.rest().await.0.is_empty(), "the connection is dropped");
        if told {
            assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let running = simulator(json!({})).await;
    let taken =
        Simulator::start(Settings { bind: running.address(), ..Settings::default() }).await.unwrap_err();
    assert!(matches!(&taken, Error::Bind { address, .. } if *address == running.address()));
    assert_eq!(taken.code(), "bind");
    for (settings, name) in [
        (json!({"latency_ms": -5}), "latency_ms"),
        (json!({"tokens_per_second": 0}), "tokens_per_second"),
        (json!({"rules": [{}, {"probability": 2}]}), "rules[1].probability"),
    ] {
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let error = Simulator::start(settings).await.unwrap_err();
        assert!(error.to_string().starts_with(name), "{error}");
        assert_eq!(error.code(), "config");
    }
}

#[tokio::test]
async fn requests_may_come_in_pieces_and_in_a_row() {
    let simulator = simulator(json!({})).await;
    let mut client = Client::connect(simulator.address()).await;
    let body = client::chat(json!({})).to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send_raw(request.repeat(3).as_bytes()).await;
    for _ in 0..3 {
        assert_eq!(client.reply().await.status, 200);
    }
    let (head, tail) = request.split_at(request.len() - body.len() / 2);
    client.send_raw(head.as_bytes()).await;
    while simulator.stats().requests < 4 {
        tokio::task::yield_now().await;
    }
    client.send_raw(tail.as_bytes()).await;
    assert_eq!(client.reply().await.status, 200);
    assert!(simulator.quiet(LONG).await);
    assert_eq!(simulator.stats().served, 4);
}
