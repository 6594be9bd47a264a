//! Policies on streams: what is shown, when, and what is not.

use iron_runtime::policy::{Action, Direction};
use iron_runtime::{ChatRequest, Chunk, Error};
use iron_simulator::{At, Bare, BreakFault, Fault, Reply, Rule, StallFault, ToolCall};
use serde_json::{Value, json};

use crate::rig::{Rig, ask, reserved, soon, within};

const CARD: &str = "4111 1111 1111 1111";
const KEY: &str = "AKIAQ3EGRZ2VMX7LTWHB";
const PROMPT: &str = "Tell me a story";

fn redacting() -> Value {
    json!([{"name": "cards", "what": ["CREDIT_CARD", "EMAIL_ADDRESS"], "action": "redact"}, {"what": ["*"], "action": "log"}])
}

async fn rig(reply: Reply, fault: Option<Fault>, rules: Value) -> Rig {
    Rig::with(vec![Rule { fault, ..reply.into() }], json!({"policy": {"rules": rules}})).await
}

struct Read {
    chunks: Vec<Chunk>,
    error: Option<Error>,
    reply: Option<iron_runtime::Reply>,
}

impl Read {
    fn text(&self) -> String {
        self.chunks.iter().map(|chunk| &*chunk.text).collect()
    }

    /// Every byte that the caller could see.
    fn seen(&self) -> String {
        self.chunks
            .iter()
            .map(|chunk| String::from_utf8_lossy(chunk.raw()) + String::from_utf8_lossy(&chunk.data))
            .collect()
    }

    fn message(&self) -> Value {
        let body: Value = serde_json::from_slice(&self.reply.as_ref().unwrap().body).unwrap();
        body["choices"][0]["message"].clone()
    }
}

async fn read(rig: &Rig, request: ChatRequest) -> Read {
    let mut stream = soon(rig.client.stream(request, within([]))).await.unwrap();
    let (mut chunks, mut error) = (Vec::new(), None);
    while let Some(batch) = soon(stream.next_batch()).await {
        match batch {
            Ok(batch) => chunks.extend(batch),
            Err(failed) => error = Some(failed),
        }
    }
    let reply = if error.is_none() { Some(soon(stream.reply()).await.unwrap()) } else { None };
    Read { chunks, error, reply }
}

#[tokio::test]
async fn a_stream_shows_what_the_plain_call_gives() {
    let text = format!(
        "The cards are {CARD} and {CARD}; write to josé@example.org, 東京 🦀. Nothing else is in it."
    );
    for fault in [None, Some(Fault::SplitBytes(Bare {}))] {
        let rig = rig(Reply::text(&text), fault, redacting()).await;
        let plain = soon(rig.client.chat(ask(PROMPT, 100), within([]))).await.unwrap();
        let body: Value = serde_json::from_slice(&plain.body).unwrap();
        let read = read(&rig, ask(PROMPT, 100)).await;
        assert!(
            read.text()
                .starts_with("The cards are [CREDIT_CARD] and [CREDIT_CARD]; write to [EMAIL_ADDRESS], ")
        );
        assert_eq!(read.text(), body["choices"][0]["message"]["content"]);
        assert_eq!(read.message()["content"], read.text());
        assert!(!read.seen().contains("4111") && !read.seen().contains("example.org"));
        let report = &read.reply.as_ref().unwrap().report;
        assert_eq!(report.findings, plain.report.findings);
        assert_eq!(report.usage.output_tokens, plain.report.usage.output_tokens);
        let last = read.chunks.iter().rposition(|chunk| chunk.finish_reason.is_some()).unwrap();
        assert!(
            read.chunks[last..].iter().all(|chunk| chunk.text.is_empty()),
            "what was held comes before the end"
        );
    }
}

#[tokio::test]
async fn what_no_rule_acts_on_is_shown_as_it_comes_and_told_at_the_end() {
    let log = json!([{"name": "told", "what": ["*"], "action": "log"}]);
    let stall = Fault::Stall(StallFault { at: At::AfterChunks(6), ms: None });
    let stalled = rig(Reply::text(format!("My card is {CARD}")), Some(stall), log.clone()).await;
    let mut stream = soon(stalled.client.stream(ask(PROMPT, 100), within([]))).await.unwrap();
    let mut text = String::new();
    while !text.contains("4111") {
        text.extend(
            soon(stream.next_batch()).await.unwrap().unwrap().iter().map(|chunk| chunk.text.to_string()),
        );
    }
    drop(stream);

    let rig = rig(Reply::text(format!("My card is {CARD}")), None, log).await;
    let read = read(&rig, ask(PROMPT, 100)).await;
    let findings = read.reply.unwrap().report.findings;
    assert_eq!(
        (findings[0].entity.to_string(), findings[0].direction),
        ("CREDIT_CARD".into(), Direction::Output)
    );
}

#[tokio::test]
async fn a_refused_text_ends_the_stream_and_is_paid_for() {
    let block = json!([{"name": "keys", "what": ["API_KEY"], "action": "block"}]);
    let stall = Fault::Stall(StallFault { at: At::AfterChunks(30), ms: None });
    let text = format!("Here you are: {KEY} is the key. {}", "And so on. ".repeat(50));
    let rig = rig(Reply::text(text), Some(stall), block).await;
    let budget = rig.budget(1_000_000_000);
    let mut stream = soon(rig.client.stream(ask(PROMPT, 200), within([budget.clone()]))).await.unwrap();
    let mut text = String::new();
    let error = loop {
        match soon(stream.next_batch()).await.unwrap() {
            Ok(batch) => text.extend(batch.iter().map(|chunk| chunk.text.to_string())),
            Err(error) => break error,
        }
    };
    assert_eq!(text, "Here you are: ");
    let Error::ContentBlocked(told) = &error else { panic!("{error:?}") };
    assert_eq!((told.action, told.direction), (Action::Block, Direction::Output));
    assert!(!format!("{error:?} {error}").contains(KEY));
    assert!(soon(stream.next_batch()).await.is_none());
    assert!(soon(stream.reply()).await.is_err());
    drop(stream);
    // Nobody knows what was generated until the provider saw that nobody reads on.
    assert_eq!(budget.snapshot().spent(), reserved(PROMPT, 200));
    rig.at_rest(&budget);
    assert_eq!(rig.stats().await.in_progress, 0);
}

#[tokio::test]
async fn what_was_held_when_a_stream_breaks_is_not_shown() {
    let broken = Fault::Close(BreakFault { at: At::AfterChunks(4) });
    let rig = rig(Reply::text(format!("It is {CARD}, is it not?")), Some(broken), redacting()).await;
    let read = read(&rig, ask(PROMPT, 100)).await;
    assert!(matches!(read.error, Some(Error::UpstreamConnection { .. })), "{:?}", read.error);
    assert!("It is ".starts_with(&read.text()), "{:?}", read.text());
}

#[tokio::test]
async fn arguments_of_tools_are_held_until_they_are_whole() {
    let arguments = json!({"to": "jane\u{e9}@example.org", "note": format!("card\n{CARD}")});
    // An escape hides nothing.
    let written = arguments.to_string().replace("example", "ex\\u0061mple");
    let call = ToolCall { name: "send".into(), arguments: Some(written.into()), id: None };
    let rig =
        rig(Reply { tool_calls: vec![call.clone(), call], ..Reply::default() }, None, redacting()).await;
    let read = read(&rig, ask(PROMPT, 100)).await;
    let calls = read.message()["tool_calls"].clone();
    for call in calls.as_array().unwrap() {
        let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(arguments, json!({"to": "[EMAIL_ADDRESS]", "note": "card\n[CREDIT_CARD]"}));
    }
    assert_eq!(calls.as_array().unwrap().len(), 2);
    assert!(!read.seen().contains("mple.org"));
}

#[tokio::test]
async fn anthropic_s_events_show_nothing_that_is_held() {
    let text = format!("The card is {CARD}. That is all there is.");
    let simulator = crate::rig::simulator(vec![Reply::text(text).into()]).await;
    let root = simulator.url().trim_end_matches("/v1").to_owned();
    let price =
        json!({"input_usd": "1", "output_usd": "4", "context_tokens": 200_000, "max_output_tokens": 20_000});
    let changes = json!({
        "providers": {"anthropic": {"base_url": root, "api_key": "sk-none"}},
        "prices": {"anthropic/m": price},
        "policy": {"rules": redacting()},
    });
    let rig = Rig::of(simulator, changes);
    let mut request = ask(PROMPT, 100);
    request.model = "anthropic/m".to_owned();
    let read = read(&rig, request).await;
    assert_eq!(read.text(), "The card is [CREDIT_CARD]. That is all there is.");
    assert_eq!(read.message()["content"], read.text());
    assert!(!read.seen().contains("4111"));
    assert!(!String::from_utf8_lossy(read.reply.unwrap().raw()).contains("4111"));
}
