//! Streams: what arrives when, what it costs, and how they break.

use std::time::Duration;

use futures::FutureExt;
use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::budget::Budget;
use iron_runtime::{ChatRequest, ChatStream, Chunk, Error, Reply as Answer, Settlement, TimeoutPhase};
use iron_simulator::{At, Bare, BreakFault, EventFault, Fault, Reply, Rule, StallFault, Text, ToolCall};
use serde_json::{Value, json};

use crate::rig::{MODEL, Rig, ask, param, reserved, served, soon, until, within};

const PROMPT: &str = "Tell me a story";
const OUTPUT_TOKENS: u32 = 200;
const STORY: &str = "Il était une fois 🦀, né à 東京; \"quoted\"\n\tand more";

async fn open(rig: &Rig, budget: &Budget) -> ChatStream {
    soon(rig.client.stream(ask(PROMPT, OUTPUT_TOKENS), within([budget.clone()]))).await.unwrap()
}

/// Everything up to the end or the error.
async fn read(stream: &mut ChatStream) -> (Vec<Chunk>, Option<Error>) {
    let mut chunks = Vec::new();
    loop {
        match soon(stream.next_batch()).await {
            Some(Ok(batch)) => chunks.extend(batch),
            Some(Err(error)) => return (chunks, Some(error)),
            None => return (chunks, None),
        }
    }
}

fn text(chunks: &[Chunk]) -> String {
    chunks.iter().map(|chunk| &*chunk.text).collect()
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn stalled(at: At) -> Fault {
    Fault::Stall(StallFault { at, ms: None })
}

fn replying(reply: Reply, fault: Fault) -> Rule {
    Rule { fault: Some(fault), ..reply.into() }
}

/// The same request plain and streamed, with the same reply.
async fn both(rule: Rule, request: &ChatRequest) -> (Answer, Answer, Vec<Chunk>) {
    let rig = Rig::new(vec![rule]).await;
    let plain = soon(rig.client.chat(request.clone(), within([]))).await.unwrap();
    let cost = served(&rig.stats().await);
    assert_eq!(plain.report.cost, cost);
    // The same place in the simulator's sequence, and so the same bytes.
    rig.simulator.reset();
    let mut stream = soon(rig.client.stream(request.clone(), within([]))).await.unwrap();
    let (chunks, error) = read(&mut stream).await;
    assert!(error.is_none(), "{error:?}");
    let streamed = soon(stream.reply()).await.unwrap();
    assert_eq!(served(&rig.stats().await), cost);
    (plain, streamed, chunks)
}

#[tokio::test]
async fn chunks_arrive_while_the_provider_still_generates() {
    let rig = Rig::new(vec![replying(Reply::tokens(50), stalled(At::AfterChunks(3)))]).await;
    let budget = rig.budget(1_000_000_000);
    let mut stream = open(&rig, &budget).await;
    let first = soon(stream.next_batch()).await.unwrap().unwrap();
    assert!(!first.is_empty());
    assert_eq!(rig.simulator.stats().in_progress, 1);
    assert_eq!((budget.snapshot().held, rig.client.in_flight()), (reserved(PROMPT, OUTPUT_TOKENS), 1));
}

#[tokio::test]
async fn usage_and_cost_equal_the_plain_calls_to_the_nano_dollar() {
    let reply = Reply { reasoning_tokens: 13, cached_tokens: 5, ..Reply::text(STORY) };
    let (plain, streamed, chunks) = both(reply.into(), &ask(PROMPT, OUTPUT_TOKENS)).await;
    assert_eq!(streamed.report.usage, plain.report.usage);
    assert_eq!(streamed.report.usage.reasoning_tokens, 13);
    assert_eq!((streamed.report.cost, streamed.report.settlement), (plain.report.cost, Settlement::Settled));
    assert_eq!(text(&chunks), STORY);
    let (plain, streamed) = (body(&plain), body(&streamed));
    for field in ["id", "object", "created", "model", "usage", "service_tier", "system_fingerprint"] {
        assert_eq!(streamed[field], plain[field], "{field}");
    }
    assert_eq!(streamed["choices"][0]["message"]["content"], STORY);
    assert_eq!(streamed["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn choices_come_apart_and_together() {
    let texts = ["one", "two and a half", "three"].map(String::from).to_vec();
    let rule = Rule::from(Reply { text: Some(Text::Cycle(texts)), ..Reply::default() });
    let mut request = ask(PROMPT, OUTPUT_TOKENS);
    request.n = Some(3);
    let (plain, streamed, chunks) = both(rule, &request).await;
    assert_eq!((streamed.report.usage, streamed.report.cost), (plain.report.usage, plain.report.cost));
    let (plain, streamed) = (body(&plain), body(&streamed));
    for (nth, index) in (0..3).enumerate() {
        let of_choice: Vec<_> = chunks.iter().filter(|chunk| chunk.index == index).cloned().collect();
        let content = &plain["choices"][nth]["message"]["content"];
        assert_eq!(
            (&streamed["choices"][nth]["message"]["content"], text(&of_choice)),
            (content, content.as_str().unwrap().to_owned())
        );
        assert_eq!(streamed["choices"][nth]["finish_reason"], "stop");
        assert_eq!(of_choice.last().unwrap().finish_reason.as_deref(), Some("stop"));
    }
}

#[tokio::test]
async fn parallel_tool_calls_are_those_of_the_plain_reply() {
    let call =
        |name: &str, arguments: Value| ToolCall { name: name.into(), arguments: Some(arguments), id: None };
    let reply = Reply {
        tool_calls: vec![
            call("weather", json!({"city": "東京", "days": [1, 2, {"deep": "🦀"}]})),
            call("time", json!({})),
            call("weather", json!("{\"cut\": ")),
        ],
        ..Reply::default()
    };
    let (plain, streamed, _) = both(reply.into(), &ask(PROMPT, OUTPUT_TOKENS)).await;
    let (plain, streamed) = (body(&plain), body(&streamed));
    let message = &streamed["choices"][0]["message"];
    assert_eq!(message["tool_calls"], plain["choices"][0]["message"]["tool_calls"]);
    assert_eq!(message["tool_calls"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&message["content"], &streamed["choices"][0]["finish_reason"]),
        (&Value::Null, &json!("tool_calls"))
    );
}

#[tokio::test]
async fn a_refusal_is_that_of_the_plain_reply() {
    let reply = Reply { refusal: Some("I can't help with that.".into()), ..Reply::default() };
    let (plain, streamed, chunks) = both(reply.into(), &ask(PROMPT, OUTPUT_TOKENS)).await;
    let refusal = |answer: &Answer| body(answer)["choices"][0]["message"]["refusal"].clone();
    assert_eq!(refusal(&streamed), refusal(&plain));
    assert_eq!(text(&chunks), "");
}

#[tokio::test]
async fn an_empty_text_is_not_no_text() {
    let (plain, streamed, _) = both(Reply::text("").into(), &ask(PROMPT, OUTPUT_TOKENS)).await;
    let content = |answer: &Answer| body(answer)["choices"][0]["message"]["content"].clone();
    assert_eq!((content(&plain), content(&streamed)), (json!(""), json!("")));
}

#[tokio::test]
async fn every_form_of_the_wire_gives_the_same_text() {
    for fault in [
        Fault::Crlf(Bare {}),
        Fault::Comments(Bare {}),
        Fault::MultiLineData(Bare {}),
        Fault::SplitBytes(Bare {}),
        Fault::NoDone(Bare {}),
    ] {
        let told = format!("{fault:?}");
        let rig = Rig::new(vec![replying(Reply::text(STORY), fault)]).await;
        let budget = rig.budget(1_000_000_000);
        let mut stream = open(&rig, &budget).await;
        let (chunks, error) = read(&mut stream).await;
        assert!(error.is_none(), "{told}: {error:?}");
        assert_eq!(text(&chunks), STORY, "{told}");
        let reply = soon(stream.reply()).await.unwrap();
        assert_eq!(reply.report.cost, served(&rig.stats().await), "{told}");
        assert_eq!(budget.snapshot().settled, reply.report.cost, "{told}");
        drop(stream);
        rig.at_rest(&budget);
    }
}

/// Read a stream that breaks: its error, and what it was settled at.
async fn broken(rule: Rule, settings: Value) -> (Error, NanoUsd) {
    let rig = Rig::with(vec![rule], settings).await;
    let budget = rig.budget(1_000_000_000);
    let mut stream = open(&rig, &budget).await;
    let (_, error) = read(&mut stream).await;
    assert_eq!(budget.snapshot().held, NanoUsd::ZERO, "settled as soon as it broke");
    assert!(soon(stream.next_batch()).await.is_none(), "nothing comes after an error");
    assert!(soon(stream.reply()).await.is_err(), "and no reply is made of half of one");
    drop(stream);
    rig.at_rest(&budget);
    let stats = rig.stats().await;
    assert_eq!(stats.requests, 1, "a stream that began is not asked for again");
    let settled = budget.snapshot().settled;
    assert!(served(&stats) <= settled);
    (error.expect("it breaks"), settled)
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_in_doubt() {
    for at in [At::AfterChunks(3), At::AfterBytes(900)] {
        for fault in [Fault::Reset(BreakFault { at }), Fault::Close(BreakFault { at })] {
            let told = format!("{fault:?}");
            let (error, settled) = broken(replying(Reply::tokens(50), fault), json!({})).await;
            assert_eq!(error.code(), ErrorCode::UpstreamConnection, "{told}: {error}");
            assert_eq!(settled, reserved(PROMPT, OUTPUT_TOKENS), "{told}");
        }
    }
}

#[tokio::test]
async fn events_that_are_no_chunks_end_the_stream() {
    for fault in [Fault::ErrorEvent(EventFault::after(2)), Fault::MalformedEvent(EventFault::after(2))] {
        let told = format!("{fault:?}");
        let (error, settled) = broken(replying(Reply::tokens(50), fault), json!({})).await;
        assert!(matches!(error, Error::UpstreamStatus { status: 200, .. }), "{told}: {error}");
        assert_eq!(settled, reserved(PROMPT, OUTPUT_TOKENS), "{told}");
    }
}

#[tokio::test]
async fn a_reply_without_finish_reason_is_no_reply_though_its_usage_counts() {
    let rule = replying(Reply::tokens(50), Fault::NoFinishReason(Bare {}));
    let (error, settled) = broken(rule, json!({})).await;
    assert!(matches!(error, Error::UpstreamStatus { status: 200, .. }), "{error}");
    assert!(settled < reserved(PROMPT, OUTPUT_TOKENS), "the usage had come");
}

#[tokio::test]
async fn a_stream_that_falls_silent_times_out() {
    let rule = replying(Reply::tokens(50), stalled(At::AfterChunks(2)));
    let (error, settled) = broken(rule, json!({"timeouts": {"idle_ms": 50}})).await;
    assert!(
        matches!(error, Error::UpstreamTimeout { phase: TimeoutPhase::Idle, after_ms: 50, .. }),
        "{error}"
    );
    assert_eq!(settled, reserved(PROMPT, OUTPUT_TOKENS));
    let rule = replying(Reply::tokens(50), stalled(At::AfterHeaders));
    let rig = Rig::with(vec![rule], json!({"timeouts": {"ttft_ms": 50}})).await;
    let error = soon(rig.client.stream(ask(PROMPT, OUTPUT_TOKENS), within([]))).await.unwrap_err();
    assert!(matches!(error, Error::UpstreamTimeout { phase: TimeoutPhase::FirstByte, .. }), "{error}");
}

/// A caller may wait in slices.
#[tokio::test]
async fn a_wait_that_is_dropped_and_begun_again_loses_nothing() {
    let stall = Fault::Stall(StallFault { at: At::AfterChunks(2), ms: Some(300) });
    let rig = Rig::new(vec![replying(Reply::text(STORY), stall)]).await;
    let mut stream = open(&rig, &rig.budget(1_000_000_000)).await;
    let mut chunks = Vec::new();
    while text(&chunks).is_empty() {
        chunks.extend(soon(stream.next_batch()).await.unwrap().unwrap());
    }
    assert!(stream.next_batch().now_or_never().is_none());
    let (rest, error) = read(&mut stream).await;
    assert!(error.is_none(), "{error:?}");
    chunks.extend(rest);
    assert_eq!(text(&chunks), STORY);
}

#[tokio::test]
async fn dropped_early_it_closes_the_connection_and_is_in_doubt() {
    let rig = Rig::new(vec![replying(Reply::tokens(50), stalled(At::AfterChunks(3)))]).await;
    let budget = rig.budget(1_000_000_000);
    let mut stream = open(&rig, &budget).await;
    soon(stream.next_batch()).await.unwrap().unwrap();
    drop(stream);
    rig.at_rest(&budget);
    assert_eq!(budget.snapshot().settled, reserved(PROMPT, OUTPUT_TOKENS));
    let stats = rig.stats().await;
    assert_eq!((stats.streams_cut, stats.served), (1, 0));
    until(|| rig.simulator.stats().connections_open == 0).await;
}

#[tokio::test]
async fn dropped_before_it_is_read_it_is_in_doubt() {
    let rig = Rig::new(vec![Reply::tokens(50).into()]).await;
    let budget = rig.budget(1_000_000_000);
    drop(open(&rig, &budget).await);
    rig.at_rest(&budget);
    assert_eq!(budget.snapshot().settled, reserved(PROMPT, OUTPUT_TOKENS));
}

#[tokio::test]
async fn dropped_after_its_usage_it_costs_what_was_used() {
    // Role, text, finish, usage; [DONE] never comes.
    let rig = Rig::new(vec![replying(Reply::tokens(1), stalled(At::AfterChunks(4)))]).await;
    let budget = rig.budget(1_000_000_000);
    let mut request = ask(PROMPT, OUTPUT_TOKENS);
    param(&mut request, "stream_options", &json!({"include_usage": true}));
    let mut stream = soon(rig.client.stream(request, within([budget.clone()]))).await.unwrap();
    let mut seen = 0;
    while seen < 4 {
        seen += soon(stream.next_batch()).await.unwrap().unwrap().len();
    }
    drop(stream);
    rig.at_rest(&budget);
    assert_eq!(budget.snapshot().settled, served(&rig.stats().await));
}

/// Hidden reasoning is billed and cannot be counted from what came.
#[tokio::test]
async fn dropped_between_its_end_and_its_usage_it_pays_for_hidden_reasoning() {
    let reply = Reply { reasoning_tokens: 150, ..Reply::text("42") };
    let rig = Rig::new(vec![replying(reply, stalled(At::AfterChunks(3)))]).await;
    let budget = rig.budget(1_000_000_000);
    let mut stream = open(&rig, &budget).await;
    let mut finished = false;
    while !finished {
        let chunks = soon(stream.next_batch()).await.unwrap().unwrap();
        finished = chunks.iter().any(|chunk| chunk.finish_reason.is_some());
    }
    drop(stream);
    rig.at_rest(&budget);
    let (settled, served) = (budget.snapshot().settled, served(&rig.stats().await));
    assert!(served <= settled, "{served:?} was served, {settled:?} settled");
}

#[tokio::test]
async fn the_usage_event_is_shown_to_whoever_asked_for_it() {
    for (options, shown) in [
        (None, false),
        (Some(json!({"include_usage": false, "include_obfuscation": false})), false),
        (Some(json!({"include_usage": true})), true),
    ] {
        let rig = Rig::new(vec![Reply::tokens(3).into()]).await;
        let mut request = ask(PROMPT, OUTPUT_TOKENS);
        if let Some(options) = &options {
            param(&mut request, "stream_options", options);
        }
        let mut stream = soon(rig.client.stream(request, within([]))).await.unwrap();
        let (chunks, error) = read(&mut stream).await;
        assert!(error.is_none());
        let usages = chunks.iter().filter(|chunk| {
            let event: Value = serde_json::from_slice(&chunk.data).unwrap();
            event["usage"].is_object()
        });
        assert_eq!(usages.count(), usize::from(shown), "{options:?}");
        let sent = &rig.simulator.requests()[0].body;
        assert_eq!(sent["stream_options"]["include_usage"], true);
        let kept = options.as_ref().and_then(|options| options.get("include_obfuscation"));
        assert_eq!(sent["stream_options"].get("include_obfuscation"), kept);
        assert_eq!(soon(stream.reply()).await.unwrap().report.settlement, Settlement::Settled);
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_the_writer() {
    const TOKENS: u64 = 150_000;
    let when = iron_simulator::Match { stream: Some(true), ..iron_simulator::Match::default() };
    let rig = Rig::new(vec![Rule { when, ..Reply::tokens(TOKENS).into() }]).await;
    let request = ask(PROMPT, 200_000);
    let stream = soon(rig.client.stream(request, within([]))).await.unwrap();
    // Other calls are the clock: once the writer stands still through many of them it has been stopped.
    let mut written = 0;
    loop {
        for _ in 0..50 {
            soon(rig.client.chat(ask("tick", 1), within([]))).await.unwrap();
        }
        let now = rig.simulator.stats().by_model["m"].output_tokens - rig.simulator.stats().served;
        if now == written {
            break;
        }
        written = now;
    }
    assert_eq!(rig.simulator.stats().in_progress, 1);
    assert!(written < TOKENS / 2, "{written} of {TOKENS} tokens were taken unread");
    drop(stream);
}

#[tokio::test]
async fn a_stream_that_was_read_leaves_its_connection_to_the_next() {
    for fault in [None, Some(Fault::SplitBytes(Bare {}))] {
        let told = format!("{fault:?}");
        let rig = Rig::new(vec![Rule { fault, ..Reply::tokens(3).into() }]).await;
        for _ in 0..10 {
            let mut stream = soon(rig.client.stream(ask(PROMPT, 5), within([]))).await.unwrap();
            assert!(read(&mut stream).await.1.is_none());
        }
        assert_eq!(rig.stats().await.connections_opened, 1, "{told}");
    }
}

#[tokio::test]
async fn a_stream_that_has_ended_gives_up_its_place_before_it_is_dropped() {
    let rig = Rig::with(vec![Reply::tokens(3).into()], json!({"limits": {"concurrency": 1}})).await;
    let budget = rig.budget(1_000_000_000);
    let mut first = open(&rig, &budget).await;
    assert!(read(&mut first).await.1.is_none());
    let mut second = open(&rig, &budget).await;
    assert!(read(&mut second).await.1.is_none());
    assert_eq!(budget.snapshot().held, NanoUsd::ZERO);
    // The replies are still there.
    assert_eq!(&*soon(first.reply()).await.unwrap().report.upstream, MODEL);
    assert!(soon(first.reply()).await.is_ok());
}

#[tokio::test]
async fn a_stream_in_time_is_not_cut_by_the_time_between_its_parts() {
    let rule = Rule { tokens_per_second: Some(100.0), ..Reply::tokens(30).into() };
    let rig = Rig::with(vec![rule], json!({"timeouts": {"idle_ms": 250}})).await;
    let start = tokio::time::Instant::now();
    let mut stream = open(&rig, &rig.budget(1_000_000_000)).await;
    assert!(read(&mut stream).await.1.is_none());
    assert!(start.elapsed() >= Duration::from_millis(290), "30 tokens at 100 a second");
}
