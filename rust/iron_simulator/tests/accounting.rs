//! What counts as served, whoever leaves when.

mod client;

use client::{Client, LONG, simulator, with_rule};
use iron_simulator::{Outcome, count_tokens};
use serde_json::json;

#[tokio::test]
async fn what_is_served_is_what_usage_says() {
    let simulator = simulator(json!({"rules": [
        {"when": {"text": "told"}, "reply": {"text": "x", "usage": {"input_tokens": 50, "output_tokens": 70}}},
        {"when": {"text": "think"}, "reply": {"output_tokens": 11, "reasoning_tokens": 5, "cached_tokens": 4}},
    ]}))
    .await;
    let mut client = Client::connect(simulator.address()).await;
    let (mut input, mut output) = (0, 0);
    for text in ["told", "think", "echo this, please"] {
        for stream in [false, true] {
            let mut request = json!({"model": "m", "n": 2, "messages": [{"role": "user", "content": text}]});
            request["stream"] = json!(stream);
            if stream {
                request["stream_options"] = json!({"include_usage": true});
            }
            let reply = client.chat(request).await;
            let usage = if stream {
                let events = reply.events();
                serde_json::from_str::<serde_json::Value>(&events[events.len() - 2]).unwrap()["usage"].clone()
            } else {
                reply.json()["usage"].clone()
            };
            input += usage["prompt_tokens"].as_u64().unwrap();
            output += usage["completion_tokens"].as_u64().unwrap();
        }
    }
    client.post("/v1/embeddings", &json!({"model": "e", "input": ["12345", "1"]})).await;
    assert!(simulator.quiet(LONG).await);
    let stats = simulator.stats();
    assert_eq!((stats.input_tokens, stats.output_tokens), (input + 3, output));
    assert_eq!((stats.reasoning_tokens, stats.cached_tokens), (2 * 2 * 5, 2 * 4));
    assert_eq!((stats.chat_calls, stats.stream_calls, stats.served), (6, 3, 7));
    assert_eq!((stats.embedding_calls, stats.embeddings, stats.streams_cut), (1, 2, 0));
    let model = stats.by_model["m"];
    assert_eq!((model.calls, model.input_tokens, model.output_tokens), (6, input, output));
    assert_eq!(stats.by_model["e"].input_tokens, 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_counts_the_chunks_written() {
    let (simulator, mut client) =
        with_rule(json!({"reply": {"output_tokens": 100}, "tokens_per_second": 10})).await;
    client.send_chat(json!({"stream": true})).await;
    client.head().await;
    for _ in 0..6 {
        client.chunk().await.unwrap();
    }
    drop(client);
    assert!(simulator.quiet(LONG).await);
    let stats = simulator.stats();
    // The role and five tokens; the clock may have moved on by one before the server saw the client leave.
    assert!((5..=6).contains(&stats.output_tokens), "{}", stats.output_tokens);
    assert_eq!((stats.streams_cut, stats.served, stats.input_tokens), (1, 0, 8));
    assert_eq!(simulator.requests()[0].outcome, Outcome::Cut);
}

#[tokio::test]
async fn a_stream_broken_by_a_fault_counts_the_chunks_written() {
    let (simulator, mut client) = with_rule(
        json!({"reply": {"output_tokens": 100}, "fault": {"kind": "close", "at": {"after_chunks": 21}}}),
    )
    .await;
    client.send_chat(json!({"stream": true})).await;
    client.rest().await;
    assert!(simulator.quiet(LONG).await);
    let stats = simulator.stats();
    assert_eq!((stats.output_tokens, stats.streams_cut, stats.served), (20, 0, 0));
    assert_eq!(simulator.requests()[0].outcome, Outcome::Faulted);
}

#[tokio::test(start_paused = true)]
async fn a_plain_reply_that_nobody_waited_for_is_billed() {
    let (simulator, mut client) =
        with_rule(json!({"reply": {"output_tokens": 100}, "latency_ms": 60_000})).await;
    client.send_chat(json!({})).await;
    while simulator.stats().chat_calls == 0 {
        tokio::task::yield_now().await;
    }
    drop(client);
    assert!(simulator.quiet(LONG).await);
    let stats = simulator.stats();
    assert_eq!((stats.input_tokens, stats.output_tokens), (8, 100));
    assert_eq!((stats.replies_abandoned, stats.served), (1, 0));
}

#[tokio::test]
async fn a_reader_that_stops_is_not_counted_as_having_read_all() {
    // Far more than the sockets' buffers hold.
    let (simulator, mut client) = with_rule(json!({"reply": {"output_tokens": 200_000}})).await;
    client.send_chat(json!({"stream": true})).await;
    client.head().await;
    let mut written = 0;
    // The buffers are full once the count stands still while the server has every chance to run.
    for _ in 0..10_000 {
        let now = simulator.stats().output_tokens;
        if now > 0 && now == written {
            break;
        }
        written = now;
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }
    drop(client);
    assert!(simulator.quiet(LONG).await);
    let stats = simulator.stats();
    assert!(stats.output_tokens > 0 && stats.output_tokens < 200_000, "{}", stats.output_tokens);
    assert_eq!(stats.streams_cut, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_counted_exactly() {
    let simulator = std::sync::Arc::new(simulator(json!({"latency_ms": [0, 5]})).await);
    let mut calls = tokio::task::JoinSet::new();
    for nth in 0..200 {
        let address = simulator.address();
        calls.spawn(async move {
            let mut client = Client::connect(address).await;
            client.chat(json!({"stream": nth % 2 == 0})).await.status
        });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    assert!(simulator.quiet(LONG).await);
    let stats = simulator.stats();
    assert_eq!((stats.requests, stats.served, stats.in_progress), (200, 200, 0));
    assert_eq!(stats.output_tokens, 200 * count_tokens("echo: hello"));
    assert!(stats.max_in_progress > 1);
    simulator.reset();
    let stats = simulator.stats();
    assert_eq!(
        (stats.requests, stats.output_tokens, stats.by_status.len(), stats.by_model.len()),
        (0, 0, 0, 0)
    );
}
