//! One record a call, however it ends, and one a decision.

use std::os::unix::fs::PermissionsExt;

use iron_runtime::audit::Key;
use iron_runtime::{CallContext, EmbedRequest, Error, Settlement};
use iron_simulator::{Reply, Rule, ToolCall};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Audited, count, everything, of_kind, sound};
use crate::rig::{MODEL, ask, polled, soon, within};

const SECRET: &str = "AKIAQ3EGRZ2VMX7LTWHB";
const CARD: &str = "4111 1111 1111 1111";

fn rules(action: &str) -> Value {
    json!({"policy": {"rules": [{"name": "found", "what": ["CREDIT_CARD", "API_KEY"], "action": action}]}})
}

#[tokio::test]
async fn a_call_is_recorded_with_what_it_came_to() {
    let audited = Audited::new(vec![], json!({})).await;
    let context = CallContext::new();
    let id = context.request_id;
    let reply = soon(audited.client.chat(ask("Hello", 20), context)).await.unwrap();
    let records = audited.records().await;
    let kinds: Vec<_> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["segment", "opened", "call"]);
    let call = &records[2];
    assert_eq!(call["request_id"], id.to_string());
    assert_eq!((&call["operation"], &call["model"]), (&json!("chat"), &json!(MODEL)));
    assert_eq!((&call["outcome"], &call["upstream"]), (&json!("answered"), &json!(MODEL)));
    assert_eq!((&call["attempts"], &call["settlement"]), (&json!(1), &json!("settled")));
    assert_eq!(call["cost_usd"], reply.report.cost.to_string());
    assert_eq!(call["usage"]["output_tokens"], reply.report.usage.output_tokens);
    assert_eq!(call["config"].as_str().unwrap().len(), 16);
    assert!(call.get("code").is_none());
    sound(audited.directory.path());
}

#[tokio::test]
async fn content_is_hashed_under_a_key_unless_asked_otherwise() {
    let asked = r#"{"messages":[{"role":"user","content":"Say it"}]}"#;
    let said = r#"{"messages":[{"role":"assistant","content":"So be it","refusal":null}]}"#;
    for (content, shown) in [("none", None), ("hash", None), ("full", Some((asked, said)))] {
        let audited =
            Audited::new(vec![Reply::text("So be it".to_owned()).into()], json!({"content": content})).await;
        soon(audited.client.chat(ask("Say it", 20), within([]))).await.unwrap();
        let mut stream = soon(audited.client.stream(ask("Say it", 20), within([]))).await.unwrap();
        soon(stream.reply()).await.unwrap();
        drop(stream);
        let embed = EmbedRequest { model: MODEL.into(), input: vec!["Say it".into()], params: Vec::new() };
        soon(audited.client.embed(embed, within([]))).await.unwrap();
        let records = audited.records().await;
        let calls = of_kind(&records, "call");
        let text = everything(audited.directory.path());
        assert_eq!(text.contains("Say it") || text.contains("So be it"), shown.is_some(), "{content}");
        match (content, shown) {
            ("hash", _) => {
                let key = std::fs::read(audited.directory.path().join("content.key")).unwrap();
                let digest = Key::new(&key).unwrap().digest(asked.as_bytes());
                assert_eq!(calls[0]["prompt"], json!({"hmac_sha256": digest, "bytes": asked.len()}));
                assert_eq!(calls[1]["prompt"], calls[0]["prompt"]);
                assert_ne!(calls[2]["prompt"], calls[0]["prompt"]);
            }
            (_, Some((asked, said))) => {
                assert_eq!(calls[0]["prompt"], serde_json::from_str::<Value>(asked).unwrap());
                let said: Value = serde_json::from_str(said).unwrap();
                assert_eq!(calls[0]["reply"]["messages"][0]["content"], said["messages"][0]["content"]);
                assert_eq!(calls[1]["reply"]["messages"][0]["content"], "So be it");
                assert_eq!(calls[2]["prompt"], json!({"input": ["Say it"]}));
            }
            _ => {
                assert!(calls.iter().all(|call| call.get("prompt").is_none() && call.get("reply").is_none()));
            }
        }
        assert!(calls[2].get("reply").is_none(), "vectors are no text");
    }
}

#[tokio::test]
async fn findings_are_recorded_and_what_they_found_is_not() {
    let audited = Audited::with(vec![Reply::text(format!("paid by {CARD}")).into()], {
        let mut changes = rules("redact");
        changes["audit"] = json!({"content": "full"});
        changes
    })
    .await;
    soon(audited.client.chat(ask(&format!("{CARD} or {CARD}, {SECRET}"), 20), within([]))).await.unwrap();
    let records = audited.records().await;
    let found: Vec<_> = of_kind(&records, "finding")
        .into_iter()
        .map(|found| {
            (
                found["entity"].as_str().unwrap(),
                found["direction"].as_str().unwrap(),
                found["count"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(found, [("API_KEY", "input", 1), ("CREDIT_CARD", "input", 2), ("CREDIT_CARD", "output", 1)]);
    assert_eq!(of_kind(&records, "finding")[0]["rule"], "found");
    let text = everything(audited.directory.path());
    assert!(!text.contains(CARD) && !text.contains(SECRET));
    assert!(text.contains("[CREDIT_CARD]"), "the text after the rules");
}

#[tokio::test]
async fn what_a_rule_blocks_is_recorded_without_its_text() {
    let said = vec![Reply::text(SECRET.to_owned()).into()];
    let mut changes = rules("block");
    changes["audit"] = json!({"content": "full"});
    let audited = Audited::with(said, changes).await;
    for prompt in [SECRET, "tell me"] {
        let refused = soon(audited.client.chat(ask(prompt, 20), within([]))).await.unwrap_err();
        assert!(matches!(refused, Error::ContentBlocked(_)), "{refused:?}");
    }
    let records = audited.records().await;
    let calls = of_kind(&records, "call");
    assert_eq!(count(&records, "outcome"), [("refused", 2)].into());
    assert_eq!(count(&records, "code"), [("content_blocked", 2)].into());
    assert_eq!((&calls[0]["attempts"], &calls[1]["attempts"]), (&json!(0), &json!(1)));
    assert_ne!(calls[1]["cost_usd"], "0", "what was generated is paid for");
    assert_eq!(of_kind(&records, "finding").len(), 2);
    assert!(!everything(audited.directory.path()).contains(SECRET));
}

#[tokio::test]
async fn a_refusal_by_a_budget_tells_its_figures() {
    let audited = Audited::new(vec![], json!({})).await;
    let budget = iron_runtime::budget::Budget::new(&audited.ledger, "small", crate::rig::nanos(1));
    soon(audited.client.chat(ask("Hello", 20), within([budget]))).await.unwrap_err();
    let records = audited.records().await;
    let refusal = of_kind(&records, "refusal")[0];
    assert_eq!((&refusal["code"], &refusal["budget"]), (&json!("budget_exceeded"), &json!("small")));
    assert_eq!(refusal["limit_usd"], "0.000000001");
    assert_eq!(count(&records, "outcome"), [("refused", 1)].into());
}

/// A tenth of the calls each: answered, failed, refused, timed out, cancelled before and after they were sent, streamed
/// to the end, left in the middle, broken off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_once_leave_a_thousand_records() {
    let rules: Vec<Rule> = serde_json::from_value(json!([
        {"every": 7, "fault": {"kind": "status", "status": 500}},
        {"every": 11, "fault": {"kind": "reset", "at": "before_headers"}},
        {"reply": {"output_tokens": 40}},
    ]))
    .unwrap();
    let audited =
        Audited::with(rules, json!({"retry": {"max_attempts": 1}, "breaker": {"enabled": false}})).await;
    let mut calls = JoinSet::new();
    for nth in 0..1_000_usize {
        let client = audited.client.clone();
        let nothing = iron_runtime::budget::Budget::new(&audited.ledger, "nothing", crate::rig::nanos(0));
        calls.spawn(async move {
            let request = ask(&format!("call {nth}"), 50);
            match nth % 5 {
                0 => drop(client.chat(request, within([])).await),
                1 => drop(client.chat(request, within([nothing])).await),
                2 => drop(polled(client.chat(request, within([])), 1 + nth % 7).await),
                3 => {
                    let timeout = Some(std::time::Duration::from_micros(200 * (nth as u64 % 50)));
                    drop(client.chat(request, CallContext { timeout, ..CallContext::new() }).await);
                }
                _ => {
                    let Ok(mut stream) = client.stream(request, within([])).await else { return };
                    let mut left = nth % 20;
                    while left > 0 && matches!(stream.next_batch().await, Some(Ok(_))) {
                        left -= 1;
                    }
                }
            }
        });
    }
    soon(calls.join_all()).await;
    let stats = audited.client.stats();
    let records = audited.records().await;
    let calls = of_kind(&records, "call");
    assert_eq!(calls.len(), 1_000);
    let ids: std::collections::BTreeSet<_> =
        calls.iter().map(|call| call["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1_000);
    let outcomes = count(&records, "outcome");
    let told = |outcome: &str| outcomes.get(outcome).copied().unwrap_or_default() as u64;
    assert_eq!((told("answered"), told("cancelled")), (stats.answered, stats.cancelled));
    assert!(outcomes.values().all(|count| *count > 0) && outcomes.len() == 4, "{outcomes:?}");
    let cost: iron_protocol::NanoUsd = calls
        .iter()
        .map(|call| call["cost_usd"].as_str().unwrap().parse::<iron_protocol::NanoUsd>().unwrap())
        .fold(iron_protocol::NanoUsd::ZERO, iron_protocol::NanoUsd::saturating_add);
    assert_eq!(cost, stats.cost);
    let in_doubt = calls.iter().filter(|call| call["settlement"] == Settlement::InDoubt.as_str());
    assert!(in_doubt.count() > 0);
    sound(audited.directory.path());
}

#[tokio::test]
async fn with_always_a_reply_waits_for_its_record() {
    let audited = Audited::new(vec![], json!({"sync": "always"})).await;
    for _ in 0..3 {
        let reply = soon(audited.client.chat(ask("Hello", 20), within([]))).await.unwrap();
        let records = super::records(audited.directory.path());
        assert_eq!(records.last().unwrap()["request_id"], reply.report.request_id.to_string());
    }
    let mut stream = soon(audited.client.stream(ask("Hello", 20), within([]))).await.unwrap();
    let reply = soon(stream.reply()).await.unwrap();
    let records = super::records(audited.directory.path());
    assert_eq!(records.last().unwrap()["request_id"], reply.report.request_id.to_string());
}

#[tokio::test]
async fn the_files_are_for_their_user_alone() {
    let audited = Audited::new(vec![], json!({})).await;
    let directory = audited.directory.path().join("deep/er");
    let changes = super::settings(&directory, json!({}));
    let client = crate::rig::client(&audited.ledger, &audited.simulator.url(), changes).unwrap();
    assert!(!directory.exists(), "made by the first call");
    soon(client.chat(ask("Hello", 20), within([]))).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for file in std::fs::read_dir(&directory).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn clients_of_one_directory_share_one_chain_and_its_settings() {
    let audited = Audited::new(vec![], json!({})).await;
    let client = |audit: Value| {
        let changes = super::settings(audited.directory.path(), audit);
        crate::rig::client(&audited.ledger, &audited.simulator.url(), changes)
    };
    let other = client(json!({"content": "none"})).unwrap();
    let wrong = client(json!({"sync": "always"})).unwrap_err().to_string();
    assert!(wrong.contains("is written by another client of this process with other settings"), "{wrong}");
    for client in [&audited.client, &other] {
        soon(client.chat(ask("Hello", 20), within([]))).await.unwrap();
    }
    let records = audited.records().await;
    assert_eq!(of_kind(&records, "call").len(), 2);
    assert_eq!(sound(audited.directory.path()).chains.len(), 1);
    drop((other, audited.client));
    let again = crate::rig::client(
        &audited.ledger,
        &audited.simulator.url(),
        super::settings(audited.directory.path(), json!({})),
    );
    soon(again.unwrap().chat(ask("Hello", 20), within([]))).await.unwrap();
    let records = super::records(audited.directory.path());
    let kinds: Vec<_> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["segment", "opened", "call", "call", "closed", "opened", "call", "closed"]);
    assert_eq!(sound(audited.directory.path()).chains.len(), 1);
}

#[tokio::test]
async fn of_pseudonyms_the_placeholders_are_recorded_and_never_the_values() {
    let (jane, joe) = ("jane@example.org", "joe@example.org");
    let mut changes =
        json!({"policy": {"rules": [{"name": "mail", "what": ["EMAIL_ADDRESS"], "action": "pseudonymize"}]}});
    changes["audit"] = json!({"content": "full"});
    let call =
        ToolCall { name: "send".into(), arguments: Some(json!({"to": "[EMAIL_ADDRESS_2]"})), id: None };
    let says = Reply { tool_calls: vec![call], ..Reply::text("It is [EMAIL_ADDRESS_1]") };
    let audited = Audited::with(vec![says.into()], changes).await;
    let prompt = format!("{jane} and {joe}");
    let plain = soon(audited.client.chat(ask(&prompt, 50), within([]))).await.unwrap();
    let mut stream = soon(audited.client.stream(ask(&prompt, 50), within([]))).await.unwrap();
    let streamed = soon(stream.reply()).await.unwrap();
    drop(stream);
    for reply in [plain, streamed] {
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(body.contains(jane) && body.contains(joe), "{body}");
    }
    let records = audited.records().await;
    for call in of_kind(&records, "call") {
        assert_eq!(call["prompt"]["messages"][0]["content"], "[EMAIL_ADDRESS_1] and [EMAIL_ADDRESS_2]");
        let said = &call["reply"]["messages"][0];
        assert_eq!(said["content"], "It is [EMAIL_ADDRESS_1]");
        assert_eq!(said["tool_calls"][0]["function"]["arguments"], r#"{"to":"[EMAIL_ADDRESS_2]"}"#);
    }
    let found = of_kind(&records, "finding");
    assert_eq!(found.len(), 2, "one of each call");
    assert!(found.iter().all(|found| found["action"] == "pseudonymize"), "{found:?}");
    let text = everything(audited.directory.path());
    assert!(text.contains("pseudonymize") && !text.contains("example.org"), "{text}");
    sound(audited.directory.path());
}
