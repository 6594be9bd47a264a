//! Detectors of the user's own: what they are asked, what comes of their answers, and of their failures.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use iron_protocol::ErrorCode;
use iron_runtime::budget::Ledger;
use iron_runtime::policy::{Direction, Fault, Match};
use iron_runtime::{Cause, ChatRequest, Client, EmbedRequest, Error, Events, Extensions, Text};
use iron_simulator::{Bare, Reply, Rule, ToolCall};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::rig::{MODEL, Rig, ask, client, config, param, polled, soon, within};

/// Finds each `rude` of a text.
fn rude(text: &Text) -> Vec<Match> {
    let found = text.match_indices("rude").map(|(at, word)| (at..at + word.len(), Some("word".into())));
    found.map(|(span, label)| Match { span, score: 0.9, label }).collect()
}

fn tone(
    answer: impl Fn(&Text, Direction) -> Result<Vec<Match>, Cause> + Send + Sync + 'static,
) -> Extensions {
    let detector = move |text: Text, direction| std::future::ready(answer(&text, direction)).boxed();
    Extensions::new().detector("tone", detector).unwrap()
}

fn rules(rules: &Value) -> Value {
    json!({"policy": {"rules": rules}})
}

fn sent(rig: &Rig) -> Value {
    rig.simulator.requests().pop().unwrap().body["messages"][0]["content"].clone()
}

#[tokio::test]
async fn what_it_finds_is_under_the_rules_like_any_other_finding() {
    let policy = rules(&json!([
        {"name": "tone", "what": ["detector:tone/word"], "direction": ["input"], "action": "redact"},
        {"what": ["EMAIL_ADDRESS"], "action": "mask"},
        {"name": "said", "what": ["detector:tone"], "direction": ["output"], "action": "log"},
    ]));
    let rig = Rig::extended(vec![], policy, tone(|text, _| Ok(rude(text)))).await;
    let reply = soon(rig.client.chat(ask("ünd rude a@example.org rude", 50), within([]))).await.unwrap();
    assert_eq!(sent(&rig), "ünd [detector:tone/word] *@*******.org [detector:tone/word]");
    let told: Vec<_> =
        reply.report.findings.iter().map(|told| (told.entity.to_string(), &*told.rule)).collect();
    assert_eq!(told[0], ("detector:tone/word".to_owned(), "tone"));
    assert_eq!(told[1].0, "EMAIL_ADDRESS");
    assert_eq!(told.len(), 3, "each finding is told once, and the echo has none: {told:?}");
}

#[tokio::test]
async fn it_is_asked_once_for_each_text_in_each_direction_that_a_rule_names() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let extensions = tone(move |text, direction| {
        noted.lock().unwrap().push((text.to_string(), direction));
        Ok(vec![])
    });
    let policy = rules(&json!([{"what": ["detector:tone"], "direction": ["input"], "action": "block"}]));
    let said = vec![Rule::from(Reply::text("well".to_owned()))];
    let rig = Rig::extended(said, policy, extensions).await;
    let mut request = ask("same", 50);
    request.messages.push(request.messages[0].clone());
    soon(rig.client.chat(request, within([]))).await.unwrap();
    let embed = EmbedRequest { model: MODEL.into(), input: vec!["a".into(), "b".into()], params: Vec::new() };
    soon(rig.client.embed(embed, within([]))).await.unwrap();
    let mut asked = asked.lock().unwrap().clone();
    asked[1..].sort_by(|a, b| a.0.cmp(&b.0));
    let expected = ["same", "a", "b"].map(|text| (text.to_owned(), Direction::Input));
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_reply_is_judged_before_it_is_shown() {
    let policy = rules(&json!([{"name": "tone", "what": ["detector:tone"], "action": "block"}]));
    let said = vec![Rule::from(Reply::text("how rude".to_owned()))];
    let rig = Rig::extended(said, policy, tone(|text, _| Ok(rude(text)))).await;
    let budget = rig.budget(1_000_000_000);
    let error = soon(rig.client.chat(ask("hello", 50), within([budget.clone()]))).await.unwrap_err();
    assert_eq!(error.to_string(), "rule \"tone\" blocks output that has detector:tone/word");
    rig.at_rest(&budget);
    assert!(budget.snapshot().spent().nanos() > 0);
}

#[tokio::test]
async fn what_it_does_not_judge_is_refused() {
    let policy = || rules(&json!([{"what": ["detector:tone"], "direction": ["input"], "action": "log"}]));
    let found = |span, score, label: Option<&str>| {
        let found = Match { span, score, label: label.map(Into::into) };
        move |_: &Text, _| Ok(vec![found.clone()])
    };
    let long = "x".repeat(65);
    for (extensions, expected) in [
        (tone(|_, _| Err("the model is not loaded".into())), Fault::Failed),
        // The text begins with a character of two bytes.
        (tone(found(1..3, 1.0, None)), Fault::Span),
        (tone(found(3..30, 1.0, None)), Fault::Span),
        (tone(found(2..2, 1.0, None)), Fault::Span),
        (tone(found(0..2, f32::NAN, None)), Fault::Score),
        (tone(found(0..2, 1.01, None)), Fault::Score),
        (tone(found(0..2, 1.0, Some("a b"))), Fault::Label),
        (tone(found(0..2, 1.0, Some(&long))), Fault::Label),
    ] {
        let rig = Rig::extended(vec![], policy(), extensions).await;
        let budget = rig.budget(1_000_000_000);
        let error = soon(rig.client.chat(ask("ünd", 50), within([budget.clone()]))).await.unwrap_err();
        let Error::Detector(failed) = &error else { panic!("{error:?}") };
        assert_eq!((&*failed.detector, failed.direction, failed.fault), ("tone", Direction::Input, expected));
        assert_eq!((error.code(), error.retryable()), (ErrorCode::DetectorFailed, false));
        assert!(error.to_string().starts_with("detector \"tone\" "), "{error}");
        assert!(!error.to_string().contains("ünd"));
        assert_eq!(rig.stats().await.requests, 0);
        rig.at_rest(&budget);
    }
}

/// A detector that waits for ever, and what tells how many do.
fn endless() -> (Extensions, Arc<AtomicUsize>) {
    struct Waiting(Arc<AtomicUsize>);
    impl Drop for Waiting {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let waiting = Arc::new(AtomicUsize::new(0));
    let count = waiting.clone();
    let detector = move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let waits = Waiting(count.clone());
        async move {
            pending::<()>().await;
            drop(waits);
            Ok(vec![])
        }
        .boxed()
    };
    (Extensions::new().detector("tone", detector).unwrap(), waiting)
}

#[tokio::test]
async fn one_that_takes_too_long_is_given_up() {
    let policy = json!({"policy": {
        "rules": [{"what": ["detector:tone"], "action": "log"}],
        "detector_timeout_ms": 1,
    }});
    let (extensions, waiting) = endless();
    let rig = Rig::extended(vec![], policy, extensions).await;
    let error = soon(rig.client.chat(ask("x", 50), within([]))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "detector \"tone\" took longer than 1 ms (policy.detector_timeout_ms, or what was left of the call's time): \
         the input is refused because nobody has judged it"
    );
    assert!(error.retryable());
    assert_eq!((waiting.load(Ordering::SeqCst), rig.stats().await.requests), (0, 0));
}

#[tokio::test]
async fn a_call_that_is_dropped_gives_its_questions_up() {
    let policy = rules(&json!([{"what": ["detector:tone"], "action": "log"}]));
    let (extensions, waiting) = endless();
    let rig = Rig::extended(vec![], policy, extensions).await;
    let mut request = ask("a", 50);
    request.messages.extend(ask("b", 50).messages);
    let mut call = Box::pin(rig.client.chat(request, within([])));
    assert!((&mut call).now_or_never().is_none());
    assert_eq!((waiting.load(Ordering::SeqCst), rig.client.in_flight()), (2, 1));
    drop(call);
    assert_eq!((waiting.load(Ordering::SeqCst), rig.client.in_flight()), (0, 0));
}

#[tokio::test]
async fn the_texts_of_a_call_are_judged_at_once() {
    const TEXTS: usize = 8;
    let all = Arc::new(Barrier::new(TEXTS));
    let detector = move |_, _| {
        let all = all.clone();
        async move {
            all.wait().await;
            Ok(vec![])
        }
        .boxed()
    };
    let extensions = Extensions::new().detector("tone", detector).unwrap();
    let policy = rules(&json!([{"what": ["detector:tone"], "direction": ["input"], "action": "block"}]));
    let rig = Rig::extended(vec![], policy, extensions).await;
    let mut request = ask("0", 50);
    request.messages.extend((1..TEXTS).flat_map(|text| ask(&text.to_string(), 50).messages));
    soon(rig.client.chat(request, within([]))).await.unwrap();
}

#[tokio::test]
async fn a_rule_needs_the_detector_that_it_names() {
    let named = |what: &str| rules(&json!([{"what": [what], "action": "log"}]));
    let refused =
        |what: &str| client(&Ledger::new(), "http://127.0.0.1:9", named(what)).unwrap_err().to_string();
    assert!(refused("detector:tone").contains("a rule names detector:tone, which the client does not have"));
    assert!(refused("detector:a b").contains("policy.rules[0].what: no detector can have that name"));
    assert!(refused("detector:tone/").contains("no detector can have that name"));
    let other = Extensions::new().detector("other", |_, _| async { Ok(vec![]) }.boxed()).unwrap();
    let config = config("http://127.0.0.1:9", named("detector:tone/word")).unwrap();
    let error = Client::extended(config, &Ledger::new(), &Events::new(), other).unwrap_err().to_string();
    assert!(error.contains("(it has \"other\")"), "{error}");
    assert!(Extensions::new().detector("a b", |_, _| async { Ok(vec![]) }.boxed()).is_err());
}

/// What a stream shows of its text, in how many chunks, how it fails, and its reply.
async fn streamed(
    rig: &Rig,
    request: ChatRequest,
) -> (String, usize, Option<Error>, Option<iron_runtime::Reply>) {
    let mut stream = soon(rig.client.stream(request, within([]))).await.unwrap();
    let (mut text, mut chunks, mut failed) = (String::new(), 0, None);
    while let Some(batch) = soon(stream.next_batch()).await {
        match batch {
            Ok(batch) => {
                chunks += batch.iter().filter(|chunk| !chunk.text.is_empty()).count();
                text.extend(batch.iter().map(|chunk| chunk.text.to_string()));
            }
            Err(error) => failed = Some(error),
        }
    }
    let reply = if failed.is_none() { Some(soon(stream.reply()).await.unwrap()) } else { None };
    (text, chunks, failed, reply)
}

fn said(reply: &iron_runtime::Reply) -> (Value, Value) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let message = &body["choices"][0]["message"];
    (message["content"].clone(), message["tool_calls"][0]["function"].clone())
}

#[tokio::test]
async fn a_stream_shows_what_the_plain_call_gives_once_it_is_judged() {
    let call =
        ToolCall {
            name: "rude_tool".into(), arguments: Some(json!({"note": "rude é", "n": 1.5})), id: None
        };
    let reply = Reply { tool_calls: vec![call], ..Reply::text("How rude, jane@example.org, so rude") };
    for (directions, action, waits) in [
        (json!(["output", "tool_arguments"]), "redact", true),
        (json!(["output"]), "log", true),
        (json!(["tool_arguments"]), "mask", false),
    ] {
        for fault in [None, Some(iron_simulator::Fault::SplitBytes(Bare {}))] {
            let policy = rules(&json!([
                {"name": "tone", "what": ["detector:tone"], "direction": directions, "action": action},
                {"what": ["EMAIL_ADDRESS"], "action": "redact"},
            ]));
            let script = vec![Rule { fault, ..reply.clone().into() }];
            let rig = Rig::extended(script, policy, tone(|text, _| Ok(rude(text)))).await;
            let plain = soon(rig.client.chat(ask("x", 100), within([]))).await.unwrap();
            let (text, chunks, failed, streamed) = streamed(&rig, ask("x", 100)).await;
            assert!(failed.is_none(), "{failed:?}");
            let streamed = streamed.unwrap();
            assert_eq!(said(&streamed), said(&plain));
            assert_eq!(text, said(&plain).0);
            assert_eq!(chunks == 1, waits, "{directions}");
            let found = |reply: &iron_runtime::Reply| {
                let mut found: Vec<_> =
                    reply.report.findings.iter().map(|told| format!("{told:?}")).collect();
                found.sort();
                found
            };
            assert_eq!(found(&streamed), found(&plain));
            assert!(found(&plain).iter().any(|told| told.contains("tone")));
        }
    }
}

#[tokio::test]
async fn a_stream_that_nobody_judges_shows_nothing_of_it_and_is_paid_for() {
    let policy = rules(&json!([{"what": ["detector:tone"], "direction": ["output"], "action": "log"}]));
    for (answer, code) in [("fails", ErrorCode::DetectorFailed), ("blocks", ErrorCode::ContentBlocked)] {
        let extensions = tone(move |text, _| match answer {
            "fails" => Err("the model is not loaded".into()),
            _ => Ok(vec![Match::whole(text, 1.0)]),
        });
        let mut policy = policy.clone();
        policy["policy"]["rules"][0]["action"] = if answer == "fails" { "log" } else { "block" }.into();
        let rig = Rig::extended(vec![Reply::text("well said").into()], policy, extensions).await;
        let budget = rig.budget(1_000_000_000);
        let mut stream = soon(rig.client.stream(ask("x", 50), within([budget.clone()]))).await.unwrap();
        let error = soon(stream.next_batch()).await.unwrap().unwrap_err();
        assert_eq!(error.code(), code);
        assert!(soon(stream.next_batch()).await.is_none());
        assert!(soon(stream.reply()).await.is_err());
        drop(stream);
        rig.at_rest(&budget);
        assert!(budget.snapshot().spent().nanos() > 0);
        assert_eq!(rig.client.stats().answered, 0);
    }
}

#[tokio::test]
async fn a_stream_whose_reader_gives_up_waiting_asks_once() {
    let policy = rules(&json!([{"what": ["detector:tone"], "direction": ["output"], "action": "log"}]));
    let (extensions, waiting) = endless();
    let rig = Rig::extended(vec![Reply::text("well said").into()], policy, extensions).await;
    let mut stream = soon(rig.client.stream(ask("x", 50), within([]))).await.unwrap();
    for _ in 0..3 {
        soon(async {
            while waiting.load(Ordering::SeqCst) == 0 {
                assert!(polled(stream.next_batch(), 1).await.is_none());
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        })
        .await;
        assert!(polled(stream.next_batch(), 1).await.is_none());
        assert_eq!(waiting.load(Ordering::SeqCst), 1);
    }
    drop(stream);
    assert_eq!((waiting.load(Ordering::SeqCst), rig.client.in_flight()), (0, 0));
}

#[tokio::test]
async fn what_a_detector_leaves_of_a_stream_is_what_has_to_fit() {
    let policy = rules(&json!([{"what": ["detector:tone"], "direction": ["output"], "action": "redact"}]));
    let format = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {
        "type": "object", "properties": {"a": {"enum": ["rude"]}}, "required": ["a"],
    }}});
    for text in ["{\"a\": \"rude\"}", "{\"a\": \"fine\"}"] {
        let rig =
            Rig::extended(vec![Reply::text(text).into()], policy.clone(), tone(|text, _| Ok(rude(text))))
                .await;
        let mut request = ask("x", 50);
        param(&mut request, "response_format", &format);
        let plain = soon(rig.client.chat(request.clone(), within([]))).await.unwrap_err();
        let (shown, _, failed, _) = streamed(&rig, request).await;
        let failed = failed.unwrap();
        assert_eq!(failed.code(), ErrorCode::OutputInvalid);
        assert_eq!(failed.to_string(), plain.to_string());
        assert_eq!(shown, text.replace("rude", "[detector:tone/word]"), "it was judged before");
    }
}
