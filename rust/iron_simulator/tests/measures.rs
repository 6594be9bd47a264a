//! Bodies that are too long, compressed, endless or cut short, as the bytes that a client gets.
#![expect(clippy::unwrap_used, reason = "what is not expected fails the test")]

mod client;

use std::io::Read;

use client::{LONG, Reply, chat, with_rule};
use iron_simulator::Outcome;
use serde_json::{Value, json};

fn decompressed(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut reader: Box<dyn Read> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(body)),
        "deflate" => Box::new(flate2::read::ZlibDecoder::new(body)),
        "br" => Box::new(brotli::Decompressor::new(body, 4096)),
        "zstd" => Box::new(zstd::Decoder::new(body).unwrap()),
        _ => Box::new(body),
    };
    reader.read_to_end(&mut plain).unwrap();
    plain
}

/// A reply of so much white space before it, and what it is when decompressed.
async fn padded(coding: Option<&str>, bytes: usize, stream: bool) -> (Reply, Vec<u8>) {
    let rule = json!({"fault": {"kind": "padded", "bytes": bytes, "coding": coding}, "reply": {"text": "a 🦀 text"}});
    let (simulator, mut client) = with_rule(rule).await;
    let reply = client.chat(json!({"stream": stream})).await;
    assert_eq!(reply.headers.get("content-encoding").map(String::as_str), coding);
    assert!(simulator.quiet(LONG).await);
    assert_eq!((simulator.stats().served, simulator.requests()[0].outcome), (1, Outcome::Served));
    let plain = decompressed(coding.unwrap_or_default(), &reply.body);
    (reply, plain)
}

#[tokio::test]
async fn white_space_comes_before_the_reply() {
    for stream in [false, true] {
        for bytes in [0, 1, 3_000_000] {
            let (_, plain) = padded(None, bytes, stream).await;
            let (space, reply) = plain.split_at(bytes);
            assert!(
                space
                    .iter()
                    .enumerate()
                    .all(|(nth, byte)| *byte == if nth + 1 == bytes { b'\n' } else { b' ' })
            );
            assert!(reply.starts_with(if stream { b"data: " } else { b"{\"id\"" }));
        }
    }
}

#[tokio::test]
async fn all_of_it_is_compressed_in_every_coding() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        for stream in [false, true] {
            let (uncoded, plain) = padded(None, 3_000_000, stream).await;
            let (coded, same) = padded(Some(coding), 3_000_000, stream).await;
            assert!(same == plain && uncoded.body == plain, "{coding}");
            assert!(coded.body.len() < plain.len() / 100, "{coding}: {} bytes", coded.body.len());
        }
    }
}

#[tokio::test]
async fn a_chunked_body_is_cut_short() {
    for (missing, is_json) in [(0, true), (1, false), (1_000_000, false)] {
        let (simulator, mut client) =
            with_rule(json!({"fault": {"kind": "truncated_chunks", "missing": missing}})).await;
        client.send_chat(json!({})).await;
        let (bytes, end) = client.rest().await;
        let reply = String::from_utf8(bytes).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with("transfer-encoding: chunked") && end.is_none());
        let (size, chunk) = body.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        assert_eq!(chunk.len(), size.saturating_sub(missing));
        assert_eq!(serde_json::from_str::<Value>(chunk).is_ok(), is_json);
        assert!(simulator.quiet(LONG).await);
        assert_eq!(simulator.requests()[0].outcome, Outcome::Faulted);
    }
}

#[tokio::test]
async fn a_stream_goes_on_until_its_client_leaves() {
    for with in ["chunks", "comments"] {
        let rule = json!({"fault": {"kind": "endless", "with": with}, "reply": {"output_tokens": 2}});
        let (simulator, mut client) = with_rule(rule).await;
        client.send("POST", "/v1/chat/completions", &[], &chat(json!({"stream": true})).to_string()).await;
        assert_eq!(client.head().await.0, 200);
        // The role and two tokens, then what never ends.
        for nth in 0..500 {
            let event = String::from_utf8(client.chunk().await.unwrap()).unwrap();
            let filler = if with == "chunks" { "\"content\":\" \"" } else { ": keep-alive\n\n" };
            assert_eq!(event.contains(filler), nth > 2, "{nth} {event}");
            assert!(!event.contains("\"stop\""));
        }
        drop(client);
        assert!(simulator.quiet(LONG).await);
        assert_eq!((simulator.stats().output_tokens, simulator.stats().served), (2, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_end_keeps_its_pace() {
    let rule = json!({"fault": {"kind": "endless", "every_ms": 1000}, "reply": {"text": ""}});
    let (_simulator, mut client) = with_rule(rule).await;
    let start = tokio::time::Instant::now();
    client.send_chat(json!({"stream": true})).await;
    client.head().await;
    for _ in 0..6 {
        client.chunk().await.unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 5, "five after the role");
}
