//! Rules on tools, as whoever reads a stream sees them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use iron_runtime::tool::Approval;
use iron_runtime::{CallContext, ChatStream, Chunk, Error};
use iron_simulator::{At, BreakFault, Fault, Rule, Text};
use serde_json::{Value, json};

use super::{approver, calling, denied, offering, rig, run, silent, with};
use crate::rig::{Rig, polled, soon, within};

/// Whether a chunk tells of a call.
fn calls(chunk: &Chunk) -> bool {
    let event: Value = serde_json::from_slice(&chunk.data).unwrap();
    event["choices"][0]["delta"].get("tool_calls").is_some()
}

/// What a stream shows, and how it fails if it does.
async fn read(stream: &mut ChatStream) -> (Vec<Chunk>, Option<Error>) {
    let (mut chunks, mut failed) = (Vec::new(), None);
    while let Some(batch) = soon(stream.next_batch()).await {
        match batch {
            Ok(batch) => chunks.extend(batch),
            Err(error) => failed = Some(error),
        }
    }
    (chunks, failed)
}

/// The model says something, and then calls a tool.
fn saying_and_calling() -> Vec<Rule> {
    let mut rules = calling(&[("send", json!({"to": "a"}))]);
    rules[0].reply.as_mut().unwrap().text = Some(Text::One("I will send it".into()));
    rules
}

#[tokio::test]
async fn a_stream_shows_text_as_it_comes_and_calls_once_they_are_judged() {
    let rig = rig(saying_and_calling(), json!({"require_approval": ["send"]})).await;
    let budget = rig.budget(1_000_000_000);
    for (answer, shown) in [(Approval::Approved, true), (Approval::Denied { reason: "no".into() }, false)] {
        let (approver, asked) = approver(move |_| Ok(answer.clone()));
        let context = CallContext { budgets: vec![budget.clone()], ..with(approver) };
        let mut stream = soon(rig.client.stream(offering(&["send"]), context)).await.unwrap();
        let (chunks, failed) = read(&mut stream).await;
        let text: String = chunks.iter().map(|chunk| &*chunk.text).collect();
        assert_eq!(text, "I will send it");
        assert_eq!(chunks.iter().any(calls), shown);
        assert_eq!(chunks.iter().any(|chunk| chunk.finish_reason.is_some()), shown);
        assert_eq!(soon(stream.reply()).await.is_ok(), shown);
        let failed = failed.map(|error| denied(error).reason);
        assert_eq!(failed, (!shown).then(|| "the approver denies it: no".to_owned()));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        drop(stream);
        rig.at_rest(&budget);
    }
    let stats = rig.client.stats();
    assert_eq!((stats.answered, stats.begun), (1, 2));
    // What is refused was paid for, to the token.
    assert_eq!(budget.snapshot().spent().nanos() % 2, 0, "twice the same");
}

#[tokio::test]
async fn a_stream_ends_as_the_plain_call_does() {
    for (made, settings) in [
        (vec![("mail", json!({"to": "a"}))], json!({"deny": ["x"]})),
        (vec![("search", json!({"to": 1}))], json!({"deny": ["x"]})),
        (vec![("search", json!("{\"to\": "))], json!({"deny": ["x"]})),
        (vec![("search", json!({})), ("search", json!({"to": "b"}))], json!({"limits": {"search": 1}})),
        (vec![("search", json!({})), ("search", json!({}))], json!({"max_repeats": 1})),
        (vec![("search", json!({}))], json!({"require_approval": ["sea*"]})),
        (vec![("search", json!({"to": "a"})), ("search", json!({"to": "b"}))], json!({"per_run": 2})),
        (vec![], json!({"deny": ["x"]})),
    ] {
        let rig = rig(calling(&made), settings).await;
        let budget = rig.budget(1_000_000_000);
        for n in [1, 2] {
            let mut request = offering(&["search"]);
            request.n = Some(n);
            let plain = soon(rig.client.chat(request.clone(), within([budget.clone()]))).await;
            let mut stream = soon(rig.client.stream(request, within([budget.clone()]))).await.unwrap();
            let (chunks, failed) = read(&mut stream).await;
            // Ids are drawn anew, and fields that are empty stand in plain replies alone.
            let said = |reply: &iron_runtime::Reply| {
                let body: Value = serde_json::from_slice(&reply.body).unwrap();
                let choices = body["choices"].as_array().unwrap().iter();
                let calls = |message: &Value| {
                    let calls = message["tool_calls"].as_array().into_iter().flatten();
                    calls.map(|call| call["function"].clone()).collect::<Vec<_>>()
                };
                let said =
                    choices.map(|choice| (choice["message"]["content"].clone(), calls(&choice["message"])));
                said.collect::<Vec<_>>()
            };
            match plain {
                Ok(plain) => {
                    let streamed = soon(stream.reply()).await.unwrap();
                    assert_eq!(said(&streamed), said(&plain));
                    assert_eq!(streamed.report.cost, plain.report.cost);
                }
                Err(refused) => {
                    assert_eq!(failed.unwrap().to_string(), refused.to_string());
                    assert!(!chunks.iter().any(calls));
                }
            }
            drop(stream);
            rig.at_rest(&budget);
        }
    }
}

#[tokio::test]
async fn a_wait_for_approval_that_is_given_up_is_taken_up_again() {
    let rig = rig(saying_and_calling(), json!({"require_approval": ["send"]})).await;
    let (approver, waiting) = silent();
    let mut stream = soon(rig.client.stream(offering(&["send"]), with(approver))).await.unwrap();
    for _ in 0..3 {
        soon(async {
            // One count is ours, one the approver's, and one that of the future that waits.
            while Arc::strong_count(&waiting) < 3 {
                if let Some(batch) = polled(stream.next_batch(), 1).await {
                    assert!(!batch.unwrap().unwrap().iter().any(calls));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        assert!(polled(stream.next_batch(), 1).await.is_none());
    }
    assert_eq!(Arc::strong_count(&waiting), 3, "it was asked once");
    assert_eq!(rig.client.stats().answered, 0);
    drop(stream);
    assert_eq!(Arc::strong_count(&waiting), 1);
}

#[tokio::test]
async fn calls_of_a_stream_that_are_given_up_do_not_count() {
    let settings = json!({"require_approval": ["send"], "limits": {"send": 1}, "approval_timeout_ms": 20});
    let rig = rig(saying_and_calling(), settings).await;
    let one = run(None);
    let context = |approver| CallContext { run: Some(one.clone()), ..with(approver) };
    for (approver, shown) in [
        (silent().0, false),
        (approver(|_| Err("the pager is off".into())).0, false),
        (approver(|_| Ok(Approval::Approved)).0, true),
        (approver(|_| Ok(Approval::Approved)).0, false),
    ] {
        let mut stream = soon(rig.client.stream(offering(&["send"]), context(approver))).await.unwrap();
        assert_eq!(read(&mut stream).await.0.iter().any(calls), shown);
    }
}

#[tokio::test]
async fn the_policy_has_judged_what_an_approver_of_a_stream_sees() {
    let rules = json!([{"what": ["EMAIL_ADDRESS"], "action": "redact"}, {"what": ["CREDIT_CARD"], "action": "block"}]);
    for (to, shown) in [("jane@example.org", true), ("4111 1111 1111 1111", false)] {
        let mut script = calling(&[("send", json!({"to": to}))]);
        script[0].reply.as_mut().unwrap().text = Some(Text::One("To ada@example.org".into()));
        let settings = json!({"policy": {"rules": rules}, "tools": {"require_approval": ["send"]}});
        let rig = Rig::with(script, settings).await;
        let (approver, asked) = approver(|request| {
            let arguments: Value = serde_json::from_str(&request.arguments).unwrap();
            assert_eq!(arguments, json!({"to": "[EMAIL_ADDRESS]"}));
            Ok(Approval::Approved)
        });
        let plain = soon(rig.client.chat(offering(&["send"]), with(approver.clone()))).await;
        let mut stream = soon(rig.client.stream(offering(&["send"]), with(approver))).await.unwrap();
        let (chunks, failed) = read(&mut stream).await;
        let text: String = chunks.iter().map(|chunk| &*chunk.text).collect();
        assert_eq!(text, "To [EMAIL_ADDRESS]");
        assert_eq!(asked.load(Ordering::Relaxed), if shown { 2 } else { 0 });
        assert_eq!(chunks.iter().any(calls), shown);
        assert!(!chunks.iter().any(|chunk| String::from_utf8_lossy(chunk.raw()).contains(to)));
        match plain {
            Ok(plain) => {
                let streamed = soon(stream.reply()).await.unwrap();
                assert_eq!(streamed.report.findings, plain.report.findings);
                let call = |reply: &iron_runtime::Reply| {
                    let body: Value = serde_json::from_slice(&reply.body).unwrap();
                    body["choices"][0]["message"]["tool_calls"][0]["function"].clone()
                };
                assert_eq!(call(&streamed), call(&plain));
            }
            Err(blocked) => {
                assert!(matches!(failed, Some(Error::ContentBlocked(_))), "{failed:?}");
                assert_eq!(failed.unwrap().to_string(), blocked.to_string());
            }
        }
    }
}

#[tokio::test]
async fn calls_in_a_stream_that_breaks_are_not_shown_and_nobody_is_asked() {
    let broken = Fault::Close(BreakFault { at: At::AfterChunks(6) });
    let mut script = calling(&[("send", json!({"to": "somebody whose name is long"}))]);
    script[0].fault = Some(broken);
    let rig = rig(script, json!({"require_approval": ["send"]})).await;
    let budget = rig.budget(1_000_000_000);
    let (approver, asked) = approver(|_| Ok(Approval::Approved));
    let context = CallContext { budgets: vec![budget.clone()], ..with(approver) };
    let mut stream = soon(rig.client.stream(offering(&["send"]), context)).await.unwrap();
    let (chunks, failed) = read(&mut stream).await;
    assert!(matches!(failed, Some(Error::UpstreamConnection { .. })), "{failed:?}");
    assert!(!chunks.iter().any(calls));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    drop(stream);
    rig.at_rest(&budget);
}

#[tokio::test]
async fn calls_of_anthropic_s_models_are_held_and_their_events_with_them() {
    let simulator = crate::rig::simulator(saying_and_calling()).await;
    let root = simulator.url().trim_end_matches("/v1").to_owned();
    let price =
        json!({"input_usd": "1", "output_usd": "4", "context_tokens": 200_000, "max_output_tokens": 20_000});
    let changes = json!({
        "providers": {"anthropic": {"base_url": root, "api_key": "sk-none"}},
        "prices": {"anthropic/m": price},
        "tools": {"require_approval": ["send"]},
    });
    let rig = Rig::of(simulator, changes);
    let mut request = offering(&["send"]);
    request.model = "anthropic/m".to_owned();
    for (answer, shown) in [(Approval::Approved, true), (Approval::Denied { reason: String::new() }, false)] {
        let (approver, asked) = approver(move |_| Ok(answer.clone()));
        let mut stream = soon(rig.client.stream(request.clone(), with(approver))).await.unwrap();
        let (chunks, _) = read(&mut stream).await;
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let text: String = chunks.iter().map(|chunk| &*chunk.text).collect();
        assert_eq!(text, "I will send it");
        assert_eq!(chunks.iter().any(calls), shown);
        let seen = |chunk: &Chunk| String::from_utf8_lossy(chunk.raw()).contains("\"send\"");
        assert_eq!(chunks.iter().any(seen), shown);
        assert_eq!(soon(stream.reply()).await.is_ok(), shown);
    }
}

#[tokio::test]
async fn a_stream_of_which_nothing_may_be_shown_yet_is_not_idle() {
    let mut script = calling(&[("send", json!({"to": "a b c d e f g h i j ".repeat(16)}))]);
    script[0].tokens_per_second = Some(50.0);
    let rig = Rig::with(script, json!({"tools": {"deny": ["x"]}, "timeouts": {"idle_ms": 250}})).await;
    let start = tokio::time::Instant::now();
    let mut stream = soon(rig.client.stream(offering(&["send"]), within([]))).await.unwrap();
    let (chunks, failed) = read(&mut stream).await;
    assert!(failed.is_none(), "{failed:?}");
    assert!(chunks.iter().any(calls));
    assert!(start.elapsed() >= Duration::from_millis(500), "twice the time between two parts");
}
