//! Policies, as the provider and the caller see them.

use iron_protocol::ErrorCode;
use iron_runtime::policy::{Action, Direction};
use iron_runtime::{ChatRequest, Content, EmbedRequest, Error, Json, Message, Role, Run, Who};
use iron_simulator::{Reply, Rule, ToolCall};
use serde_json::{Value, json};

use crate::rig::{MODEL, Rig, ask, soon, within};

const CARD: &str = "4111 1111 1111 1111";
const KEY: &str = "AKIAQ3EGRZ2VMX7LTWHB";

async fn rig(rules: Vec<Rule>, policy: Value) -> Rig {
    Rig::with(rules, json!({"policy": {"rules": policy}})).await
}

fn body(rig: &Rig) -> Value {
    let mut requests = rig.simulator.requests();
    requests.pop().unwrap().body
}

#[tokio::test]
async fn a_request_is_sent_as_the_rules_leave_it() {
    let rig = rig(vec![], json!([{"name": "cards", "what": ["CREDIT_CARD"], "action": "redact"}])).await;
    let mut request = ask(&format!("Charge {CARD} now"), 50);
    let arguments = json!([{"id": "c", "type": "function", "function": {"name": "pay", "arguments": json!({"card": CARD, "id": CARD}).to_string()}}]);
    let call = ("tool_calls".into(), Json::from_value(&arguments).unwrap());
    request.messages.push(Message { role: Role::Assistant, content: Content::None, extra: vec![call] });
    let id = ("tool_call_id".into(), Json::from_value(&"c").unwrap());
    let result = Content::Text(format!("paid by {CARD}").into());
    request.messages.push(Message { role: Role::Tool, content: result, extra: vec![id] });
    let reply = soon(rig.client.chat(request, within([]))).await.unwrap();

    let sent = body(&rig);
    assert_eq!(sent["messages"][0]["content"], "Charge [CREDIT_CARD] now");
    let arguments = sent["messages"][1]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    let expected = json!({"card": "[CREDIT_CARD]", "id": "[CREDIT_CARD]"});
    assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), expected);
    assert_eq!(sent["messages"][2]["content"], "paid by [CREDIT_CARD]");
    let told: Vec<_> = reply.report.findings.iter().map(|told| (told.direction, told.action)).collect();
    assert_eq!(
        told[..4],
        [
            (Direction::Input, Action::Redact),
            (Direction::Input, Action::Redact),
            (Direction::Input, Action::Redact),
            (Direction::ToolResults, Action::Redact),
        ]
    );
}

#[tokio::test]
async fn a_blocked_request_is_never_sent_and_costs_nothing() {
    let rig = rig(vec![], json!([{"name": "keys", "what": ["secret"], "action": "block"}])).await;
    let budget = rig.budget(1_000_000_000);
    let request = ask(&format!("use {KEY}"), 50);
    let error = soon(rig.client.chat(request, within([budget.clone()]))).await.unwrap_err();
    let Error::ContentBlocked(told) = &error else { panic!("{error:?}") };
    assert_eq!((&*told.rule, told.direction), ("keys", Direction::Input));
    assert_eq!(error.to_string(), "rule \"keys\" blocks input that has API_KEY");
    assert!(!format!("{error:?}").contains(KEY));
    assert!(!error.retryable());
    let embed = EmbedRequest { model: MODEL.into(), input: vec![KEY.into()], params: Vec::new() };
    let error = soon(rig.client.embed(embed, within([budget.clone()]))).await.unwrap_err();
    assert!(matches!(error, Error::ContentBlocked(_)), "{error:?}");
    assert_eq!(rig.stats().await.requests, 0);
    rig.at_rest(&budget);
    assert_eq!(budget.snapshot().spent().nanos(), 0);
}

#[tokio::test]
async fn a_reply_is_handed_over_as_the_rules_leave_it_or_not_at_all() {
    let said = |text: &str| vec![Rule::from(Reply::text(text.to_owned()))];
    let redacting =
        rig(said(&format!("The card is {CARD}.")), json!([{"what": ["CREDIT_CARD"], "action": "redact"}]))
            .await;
    let reply = soon(redacting.client.chat(ask("x", 50), within([]))).await.unwrap();
    let shown: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(shown["choices"][0]["message"]["content"], "The card is [CREDIT_CARD].");
    assert!(!String::from_utf8_lossy(reply.raw()).contains(CARD));
    assert!(reply.report.usage.output_tokens > 0);

    let blocking = rig(said(KEY), json!([{"name": "keys", "what": ["API_KEY"], "action": "block"}])).await;
    let budget = blocking.budget(1_000_000_000);
    let error = soon(blocking.client.chat(ask("x", 50), within([budget.clone()]))).await.unwrap_err();
    assert!(
        matches!(&error, Error::ContentBlocked(told) if told.direction == Direction::Output),
        "{error:?}"
    );
    blocking.at_rest(&budget);
    assert!(budget.snapshot().spent().nanos() > 0, "what was generated is paid for");
}

#[tokio::test]
async fn a_stream_is_screened_on_its_way_in() {
    let input =
        json!([{"name": "cards", "what": ["CREDIT_CARD"], "direction": ["input"], "action": "redact"}]);
    let rig = rig(vec![], input).await;
    let mut stream = soon(rig.client.stream(ask(CARD, 50), within([]))).await.unwrap();
    let reply = soon(stream.reply()).await.unwrap();
    assert_eq!(body(&rig)["messages"][0]["content"], "[CREDIT_CARD]");
    assert_eq!(reply.report.findings.len(), 1);
}

#[tokio::test]
async fn without_rules_nothing_is_looked_at() {
    let rig = Rig::new(vec![]).await;
    let request = ChatRequest::new(MODEL, vec![Message::user(format!("{KEY} {CARD}"))]);
    let reply = soon(rig.client.chat(request, within([]))).await.unwrap();
    assert!(reply.report.findings.is_empty());
    assert_eq!(body(&rig)["messages"][0]["content"], format!("{KEY} {CARD}"));
}

#[tokio::test]
async fn a_model_that_an_agent_may_not_use_is_refused_before_anything_is_sent() {
    let rules =
        json!([{"name": "cheap", "agents": ["intern"], "not_models": ["ollama/*"], "action": "block"}]);
    let rig = rig(vec![], rules).await;
    let context = |agent: &str| {
        let mut context = within([]);
        context.run = Some(Run::new(Who::new::<&str>(Some(agent), &[]).unwrap()));
        context
    };
    let refused = soon(rig.client.chat(ask("x", 50), context("intern"))).await.unwrap_err();
    let Error::PolicyDenied(denied) = &refused else { panic!("{refused:?}") };
    assert_eq!((&*denied.rule, denied.direction), ("cheap", Direction::Input));
    assert!(refused.to_string().contains(MODEL), "{refused}");
    let embed = EmbedRequest { model: MODEL.into(), input: vec!["x".into()], params: Vec::new() };
    assert!(soon(rig.client.embed(embed, context("intern"))).await.is_err());
    assert!(soon(rig.client.stream(ask("x", 50), context("intern"))).await.is_err());
    assert_eq!(rig.stats().await.requests, 0);
    soon(rig.client.chat(ask("x", 50), context("senior"))).await.unwrap();
}

#[tokio::test]
async fn a_rule_for_a_tool_is_about_its_arguments_and_results() {
    let reply = Reply {
        tool_calls: ["pay", "mail"]
            .map(|name| ToolCall { name: name.into(), arguments: Some(json!({"card": CARD})), id: None })
            .into(),
        ..Reply::default()
    };
    let rules = json!([{"what": ["CREDIT_CARD"], "tools": ["pay*"], "action": "redact"}]);
    let rig = rig(vec![Rule::from(reply)], rules).await;
    let mut request = ask("x", 50);
    let calls = json!([
        {"id": "1", "type": "function", "function": {"name": "pay", "arguments": "{}"}},
        {"id": "2", "type": "function", "function": {"name": "mail", "arguments": "{}"}},
    ]);
    let calls = ("tool_calls".into(), Json::from_value(&calls).unwrap());
    request.messages.push(Message { role: Role::Assistant, content: Content::None, extra: vec![calls] });
    for id in ["1", "2", "gone"] {
        let id = ("tool_call_id".into(), Json::from_value(&id).unwrap());
        let content = Content::Text(CARD.into());
        request.messages.push(Message { role: Role::Tool, content, extra: vec![id] });
    }
    let reply = soon(rig.client.chat(request, within([]))).await.unwrap();
    let sent = body(&rig);
    let results: Vec<_> = (2..5).map(|nth| sent["messages"][nth]["content"].as_str().unwrap()).collect();
    assert_eq!(results, ["[CREDIT_CARD]", CARD, "[CREDIT_CARD]"]);
    let shown: Value = serde_json::from_slice(&reply.body).unwrap();
    let arguments = |nth: usize| {
        let text = &shown["choices"][0]["message"]["tool_calls"][nth]["function"]["arguments"];
        serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap()["card"].clone()
    };
    assert_eq!([arguments(0), arguments(1)], ["[CREDIT_CARD]", CARD]);
}

#[tokio::test]
async fn a_text_that_is_too_long_is_refused_or_told_of() {
    let rules = json!([
        {"name": "long", "what": ["size"], "max_bytes": 20, "direction": ["input"], "action": "block"},
        {"name": "much", "what": ["size"], "max_total_bytes": 20, "action": "log"},
    ]);
    let rig = rig(vec![], rules).await;
    let refused = soon(rig.client.chat(ask(&"x".repeat(21), 50), within([]))).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "rule \"long\" refuses the call: input is longer than max_bytes = 20; shorten it, or raise the bound"
    );
    let mut request = ask("0123456789ab", 50);
    request.messages.push(Message::user("0123456789ab".to_owned()));
    let reply = soon(rig.client.chat(request, within([]))).await.unwrap();
    let told: Vec<_> = reply.report.findings.iter().map(|told| told.to_owned().entity.to_string()).collect();
    assert_eq!(told[0], "SIZE");
}

/// Another provider would be told what this one was not to be told.
#[tokio::test]
async fn a_refusal_leads_to_no_other_upstream() {
    let secret = |direction: &str| json!({"what": ["secret"], "direction": [direction], "action": "block"});
    for (rule, text, requests) in [
        (secret("input"), format!("use {KEY}"), 0),
        (secret("output"), "which key?".to_owned(), 1),
        (json!({"models": ["sim/*"], "action": "block"}), "hello".to_owned(), 0),
    ] {
        let settings = json!({
            "policy": {"rules": [rule]},
            "models": {"fast": {"upstreams": [MODEL, "other/m"]}},
        });
        let rig = Rig::with(vec![Reply::text(format!("it is {KEY}")).into()], settings).await;
        let request = ChatRequest::new("fast", vec![Message::user(text)]);
        let plain = soon(rig.client.chat(request.clone(), within([]))).await.unwrap_err();
        assert!(matches!(plain.code(), ErrorCode::ContentBlocked | ErrorCode::PolicyDenied), "{plain:?}");
        assert_eq!(rig.stats().await.requests, requests, "{rule}");
        let streamed = match soon(rig.client.stream(request, within([]))).await {
            Ok(mut stream) => soon(stream.reply()).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(streamed.code(), plain.code(), "{streamed:?}");
        assert_eq!(rig.stats().await.requests, requests * 2, "{rule}");
    }
}
