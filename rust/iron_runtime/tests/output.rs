//! What a reply has to be, and what becomes of one that is something else.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use iron_protocol::ErrorCode;
use iron_runtime::output::{Objection, OutputInvalid, OutputValidator, Validity};
use iron_runtime::{
    CallContext, ChatRequest, Error, Event, Events, Happened, Settlement, Text, Told, Violation,
};
use iron_simulator::{Fault, Match, Reply, Rule};
use serde_json::{Value, json};

use crate::rig::{self, MODEL, Rig, ask, param, polled, served, soon, within};

const RIGHT: &str = r#"{"city": "Oslo"}"#;
const WRONG: &str = r#"{"city": "Oslo", "SECRET": 5}"#;

fn says(text: &str) -> Reply {
    Reply::text(text)
}

/// The answers, one after another, and the last of them from then on.
fn answers(texts: &[&str]) -> Vec<Rule> {
    let (last, first) = texts.split_last().unwrap();
    let mut rules: Vec<_> =
        first.iter().map(|text| Rule { times: Some(1), ..Rule::from(says(text)) }).collect();
    rules.push(Rule::from(says(last)));
    rules
}

fn format() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": false,
    });
    json!({"type": "json_schema", "json_schema": {"name": "city", "schema": schema}})
}

fn asking(format: &Value) -> ChatRequest {
    let mut request = ask("Where?", 100);
    param(&mut request, "response_format", format);
    request
}

fn repairing(times: u32) -> CallContext {
    CallContext { max_repairs: Some(times), ..CallContext::new() }
}

fn invalid(error: Error) -> OutputInvalid {
    match error {
        Error::OutputInvalid(invalid) => *invalid,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reply_that_fits_is_given() {
    let rig = Rig::new(answers(&[RIGHT])).await;
    let reply = soon(rig.client.chat(asking(&format()), repairing(3))).await.unwrap();
    assert_eq!(reply.text(), RIGHT);
    assert_eq!((reply.report.attempts, reply.report.repairs), (1, 0));
}

#[tokio::test]
async fn a_reply_that_does_not_fit_is_paid_for_and_not_shown() {
    for (format, text, violation) in [
        (format(), WRONG, "has a key that the schema does not name"),
        (format(), "{}", "\"city\" is a required property"),
        (format(), r#"{"city": 5}"#, "city: the value is not of type \"string\""),
        (format(), "Oslo, SECRET", "is not valid JSON: expected value at line 1 column 1"),
        (json!({"type": "json_object"}), "SECRET", "is not valid JSON: expected value at line 1 column 1"),
    ] {
        let rig = Rig::new(answers(&[text])).await;
        let budget = rig.budget(1_000_000_000);
        let error = soon(rig.client.chat(asking(&format), within([budget.clone()]))).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the answer of {MODEL} is not what response_format asks for: {violation}")
        );
        assert_eq!((error.code(), error.retryable()), (ErrorCode::OutputInvalid, true));
        assert!(!format!("{error:?}").contains("SECRET"));
        let invalid = invalid(error);
        assert_eq!(invalid.violations.iter().map(ToString::to_string).collect::<Vec<_>>(), [violation]);
        let stats = rig.stats().await;
        assert_eq!((stats.requests, served(&stats)), (1, invalid.cost));
        assert_eq!(budget.snapshot().settled, invalid.cost);
        rig.at_rest(&budget);
    }
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_validated() {
    let off = CallContext { validate_output: Some(false), ..CallContext::new() };
    let rig = Rig::new(answers(&[WRONG])).await;
    let reply = soon(rig.client.chat(asking(&format()), off.clone())).await.unwrap();
    assert_eq!(reply.text(), WRONG);
    assert!(soon(rig.client.chat(asking(&json!({"type": "text"})), CallContext::new())).await.is_ok());
    assert!(soon(rig.client.chat(ask("Where?", 100), CallContext::new())).await.is_ok());
    let rig = Rig::with(answers(&[WRONG]), json!({"output": {"validate": false}})).await;
    assert!(soon(rig.client.chat(asking(&format()), CallContext::new())).await.is_ok());
    let on = CallContext { validate_output: Some(true), ..CallContext::new() };
    assert!(soon(rig.client.chat(asking(&format()), on)).await.is_err());
}

#[tokio::test]
async fn what_is_cut_off_is_not_taken_for_whole_and_not_repaired() {
    // Whole to look at, but for the reason of its end.
    let cut = Reply { finish_reason: Some("length".into()), ..says(RIGHT) };
    let rig = Rig::new(vec![Rule::from(cut)]).await;
    let error = soon(rig.client.chat(asking(&format()), repairing(3))).await.unwrap_err();
    assert!(error.to_string().contains("raise max_tokens"), "{error}");
    assert!(!error.retryable());
    assert_eq!(invalid(error).cut_off, Some("length"));
    assert_eq!(rig.stats().await.requests, 1);
    let filtered = Reply { finish_reason: Some("content_filter".into()), ..says("") };
    rig.simulator.set_rules(vec![Rule::from(filtered)]).unwrap();
    let error = soon(rig.client.chat(asking(&format()), repairing(3))).await.unwrap_err();
    assert_eq!(invalid(error).cut_off, Some("content_filter"));
}

#[tokio::test]
async fn a_refusal_is_a_reply() {
    let refusal = Reply { refusal: Some("No.".into()), ..Reply::default() };
    let rig = Rig::new(vec![Rule::from(refusal)]).await;
    let reply = soon(rig.client.chat(asking(&format()), repairing(3))).await.unwrap();
    assert_eq!((&*reply.text(), reply.report.attempts), ("", 1));
}

#[tokio::test]
async fn a_schema_that_cannot_be_used_is_refused_unsent() {
    let rig = Rig::new(vec![]).await;
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "strin"}}});
    for error in [
        soon(rig.client.chat(asking(&format), CallContext::new())).await.unwrap_err(),
        soon(rig.client.stream(asking(&format), CallContext::new())).await.unwrap_err(),
    ] {
        let message = error.to_string();
        assert!(message.starts_with("response_format.json_schema.schema is no JSON Schema"), "{message}");
        assert_eq!(error.code(), ErrorCode::Config);
    }
    assert_eq!(rig.stats().await.requests, 0);
}

#[tokio::test]
async fn an_answer_is_repaired_and_all_of_them_are_paid_for() {
    let events = Events::new();
    let rig = Rig::new(answers(&["Oslo", WRONG, RIGHT])).await;
    let client = rig::watched(&rig.ledger, &rig.simulator.url(), json!({}), &events).unwrap();
    let (budget, mut reader) = (rig.budget(1_000_000_000), events.read());
    let context = CallContext { max_repairs: Some(2), ..within([budget.clone()]) };
    let reply = soon(client.chat(asking(&format()), context)).await.unwrap();
    assert_eq!(reply.text(), RIGHT);
    assert_eq!((reply.report.attempts, reply.report.repairs), (3, 2));
    let stats = rig.stats().await;
    assert_eq!((reply.report.usage.input_tokens, reply.report.usage.output_tokens), {
        (stats.input_tokens, stats.output_tokens)
    });
    assert_eq!(reply.report.cost, served(&stats));
    assert_eq!(reply.report.settlement, Settlement::Settled);
    assert_eq!(budget.snapshot().settled, served(&stats));
    rig.at_rest(&budget);
    assert_eq!(client.stats().repairs, 2);
    let requests = rig.simulator.requests();
    let roles = |body: &Value| {
        let messages = body["messages"].as_array().unwrap().clone();
        messages.iter().map(|message| message["role"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(roles(&requests[2].body), ["user", "assistant", "user", "assistant", "user"]);
    assert_eq!(requests[2].body["messages"][3]["content"], WRONG);
    let told = requests[2].body["messages"][4]["content"].as_str().unwrap();
    assert!(told.contains("- has a key that the schema does not name\n"), "{told}");
    let mut repairs = Vec::new();
    while let Some(Told::Event(event)) = reader.take() {
        if let Event { what: Happened::Repaired { repair, violations, .. }, .. } = &*event {
            repairs.push((*repair, *violations));
        }
    }
    assert_eq!(repairs, [(1, 1), (2, 1)]);
}

fn violation(message: &str) -> Violation {
    Violation { path: "city".to_owned(), message: message.to_owned() }
}

/// Takes nothing but what says `Bergen`, and says nothing of what says `Oslo`.
#[derive(Debug)]
struct Choosy;

impl OutputValidator for Choosy {
    fn validate(&self, text: Text) -> BoxFuture<'static, Validity> {
        let validity = match &*text {
            text if text.contains("Bergen") => Validity::Valid,
            text if text.contains("Oslo") => Validity::Unknown("nobody knows".into()),
            _ => Validity::Invalid(Objection {
                violations: vec![violation("is another")],
                told: vec![violation(&format!("is in {text}"))],
                cause: Some("it is no Bergen".into()),
            }),
        };
        async move { validity }.boxed()
    }
}

#[tokio::test]
async fn a_validator_has_a_word_of_its_own_on_what_fits() {
    let validated = || CallContext { validator: Some(Arc::new(Choosy)), ..repairing(1) };
    let rig = Rig::new(answers(&[r#"{"city": "Paris"}"#, r#"{"city": "Bergen"}"#])).await;
    let reply = soon(rig.client.chat(asking(&format()), validated())).await.unwrap();
    assert_eq!(reply.report.repairs, 1);
    let told = rig.simulator.requests()[1].body["messages"][2]["content"].to_string();
    assert!(told.contains(r#"- city: is in {\"city\": \"Paris\"}"#), "{told}");
    // The caller's error says nothing of the text.
    let rig = Rig::new(answers(&[r#"{"city": "Paris"}"#])).await;
    let error = soon(rig.client.chat(asking(&format()), validated())).await.unwrap_err();
    assert!(error.to_string().ends_with("asks for: city: is another (after one repair)"), "{error}");
    assert_eq!(invalid(error).refusal.unwrap().to_string(), "it is no Bergen");
    // What nobody can tell is not repaired.
    let rig = Rig::new(answers(&[RIGHT])).await;
    let error = soon(rig.client.chat(asking(&format()), validated())).await.unwrap_err();
    assert!(error.to_string().ends_with("asks for: was not validated: nobody knows"), "{error}");
    assert_eq!(rig.stats().await.requests, 1);
}

#[tokio::test]
async fn repairs_end_where_they_are_bounded() {
    let rig = Rig::with(answers(&["Oslo"]), json!({"output": {"max_repairs": 2}})).await;
    let error = soon(rig.client.chat(asking(&format()), CallContext::new())).await.unwrap_err();
    assert!(error.to_string().ends_with(" (after 2 repairs)"), "{error}");
    let (invalid, stats) = (invalid(error), rig.stats().await);
    assert_eq!((invalid.repairs, stats.requests, invalid.cost), (2, 3, served(&stats)));
    assert!(invalid.cause.is_none());
    assert!(soon(rig.client.chat(asking(&format()), repairing(0))).await.is_err());
    assert_eq!(rig.stats().await.requests, 4);
}

#[tokio::test]
async fn a_repair_that_no_budget_pays_for_leaves_the_answer_invalid() {
    let rig = Rig::new(answers(&["Oslo", RIGHT])).await;
    // Enough for the first request alone.
    let limit = u64::try_from(rig::reserved("Where?", 100).nanos()).unwrap() + 200_000;
    let budget = rig.budget(limit);
    let context = CallContext { max_repairs: Some(3), ..within([budget.clone()]) };
    let error = soon(rig.client.chat(asking(&format()), context)).await.unwrap_err();
    assert!(error.to_string().ends_with("; it could not be sent back to be repaired"), "{error}");
    let invalid = invalid(error);
    assert!(matches!(invalid.cause.as_deref(), Some(Error::BudgetExceeded(_))), "{invalid:?}");
    let stats = rig.stats().await;
    assert_eq!((stats.requests, invalid.repairs, invalid.cost), (1, 0, served(&stats)));
    assert_eq!(budget.snapshot().settled, served(&stats));
    rig.at_rest(&budget);
}

#[tokio::test]
async fn a_repair_that_fails_leaves_the_answer_invalid() {
    let mut rules = answers(&["Oslo", RIGHT]);
    rules[1] = Rule::from(Fault::status(400));
    let rig = Rig::new(rules).await;
    let error = soon(rig.client.chat(asking(&format()), repairing(1))).await.unwrap_err();
    let invalid = invalid(error);
    assert_eq!(invalid.repairs, 0);
    assert!(matches!(invalid.cause.as_deref(), Some(Error::UpstreamStatus { status: 400, .. })));
}

#[tokio::test]
async fn what_is_sent_back_passes_the_policy_and_so_does_what_comes() {
    let rules = json!([
        {"name": "mail", "what": ["EMAIL_ADDRESS"], "direction": ["input"], "action": "redact"},
        {"name": "word", "what": ["keyword:words"], "direction": ["output"], "action": "block"},
    ]);
    let policy = json!({"rules": rules, "keywords": {"words": ["swordfish"]}});
    let rig = Rig::with(
        answers(&["ann@example.org", r#"{"city": "swordfish"}"#]),
        json!({"policy": policy, "output": {"max_repairs": 1}}),
    )
    .await;
    let error = soon(rig.client.chat(asking(&format()), CallContext::new())).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ContentBlocked, "{error}");
    let requests = rig.simulator.requests();
    let sent_back = &requests[1].body["messages"][1]["content"];
    assert!(!sent_back.to_string().contains("ann@example.org"), "{sent_back}");
}

#[tokio::test]
async fn what_is_sent_back_has_the_placeholders_that_it_was_written_with() {
    let of_repair = Match { text: Some("Your last answer".into()), ..Match::default() };
    let repaired = Rule { when: of_repair, ..Rule::from(says(r#"{"city": "[EMAIL_ADDRESS_1]"}"#)) };
    let rules = vec![repaired, Rule::from(says("it is [EMAIL_ADDRESS_1]"))];
    let policy = json!({"rules": [{"name": "mail", "what": ["EMAIL_ADDRESS"], "action": "pseudonymize"}]});
    let rig = Rig::with(rules, json!({"policy": policy, "output": {"max_repairs": 1}})).await;
    let mut request = asking(&format());
    request.messages[0] = iron_runtime::Message::user("Where is ann@example.org?");
    let reply = soon(rig.client.chat(request, CallContext::new())).await.unwrap();
    assert_eq!(reply.text(), r#"{"city": "ann@example.org"}"#);
    let requests = rig.simulator.requests();
    assert_eq!(requests[1].body["messages"][1]["content"], "it is [EMAIL_ADDRESS_1]");
    assert!(!requests[1].body.to_string().contains("ann@"), "{}", requests[1].body);
}

#[tokio::test]
async fn sizes_count_what_is_sent_back() {
    let rules = json!([
        {"name": "size", "what": ["size"], "max_total_bytes": 200, "direction": ["input"], "action": "block"},
    ]);
    let rig = Rig::with(
        answers(&["Oslo", RIGHT]),
        json!({"policy": {"rules": rules}, "output": {"max_repairs": 1}}),
    )
    .await;
    let mut request = asking(&format());
    request.messages[0] = iron_runtime::Message::user("x".repeat(50));
    let error = soon(rig.client.chat(request, CallContext::new())).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::PolicyDenied, "{error}");
    assert_eq!(rig.stats().await.requests, 1);
}

#[tokio::test]
async fn dropped_at_any_await_a_call_that_is_repaired_holds_nothing() {
    let of_repair = Match { text: Some("Your last answer".into()), ..Match::default() };
    let rules = vec![Rule { when: of_repair, ..Rule::from(says(RIGHT)) }, Rule::from(says("Oslo"))];
    let rig = Rig::new(rules).await;
    let budget = rig.budget(1_000_000_000_000);
    let mut polls = 0;
    loop {
        let context = CallContext { max_repairs: Some(1), ..within([budget.clone()]) };
        let done = soon(polled(rig.client.chat(asking(&format()), context), polls)).await;
        rig.at_rest(&budget);
        let stats = rig.stats().await;
        assert!(served(&stats) <= budget.snapshot().settled, "{polls}: what was served is paid for");
        if let Some(outcome) = done {
            assert_eq!(outcome.unwrap().report.repairs, 1);
            break;
        }
        polls += 1;
    }
    assert!(polls > 2, "it waited for both answers");
}

#[tokio::test]
async fn the_deadline_of_a_call_is_that_of_its_repairs() {
    let of_repair = Match { text: Some("Your last answer".into()), ..Match::default() };
    let late = Rule { when: of_repair, latency_ms: Some(3_600_000.0.into()), ..Rule::default() };
    let rig = Rig::new(vec![late, Rule::from(says("Oslo"))]).await;
    let budget = rig.budget(1_000_000_000);
    let context = CallContext {
        timeout: Some(Duration::from_secs(2)),
        max_repairs: Some(2),
        ..within([budget.clone()])
    };
    let error = soon(rig.client.chat(asking(&format()), context)).await.unwrap_err();
    let invalid = invalid(error);
    assert!(matches!(invalid.cause.as_deref(), Some(Error::UpstreamTimeout { .. })), "{invalid:?}");
    rig.at_rest(&budget);
}

#[tokio::test]
async fn a_stream_that_does_not_fit_fails_after_all_of_it_is_shown() {
    for (text, fits) in [(RIGHT, true), (WRONG, false)] {
        let rig = Rig::new(answers(&[text])).await;
        let budget = rig.budget(1_000_000_000);
        let mut stream = soon(rig.client.stream(asking(&format()), within([budget.clone()]))).await.unwrap();
        let (mut shown, mut failure) = (String::new(), None);
        while let Some(batch) = soon(stream.next_batch()).await {
            match batch {
                Ok(chunks) => chunks.iter().for_each(|chunk| shown.push_str(&chunk.text)),
                Err(error) => failure = Some(error),
            }
        }
        assert_eq!(shown, text);
        assert_eq!(failure.is_none(), fits);
        assert_eq!(soon(stream.reply()).await.is_ok(), fits);
        let stats = rig.stats().await;
        assert_eq!(budget.snapshot().settled, served(&stats));
        if let Some(error) = failure {
            assert_eq!(invalid(error).cost, served(&stats));
        }
        drop(stream);
        rig.at_rest(&budget);
    }
}

#[tokio::test]
async fn repairs_that_cannot_be_made_are_refused_unsent() {
    let rig = Rig::with(answers(&[RIGHT]), json!({"output": {"max_repairs": 1}})).await;
    let mut several = asking(&format());
    several.n = Some(2);
    let off = CallContext { validate_output: Some(false), ..repairing(1) };
    for error in [
        soon(rig.client.chat(ask("Where?", 100), repairing(1))).await.unwrap_err(),
        soon(rig.client.chat(asking(&format()), off)).await.unwrap_err(),
        soon(rig.client.chat(several.clone(), repairing(1))).await.unwrap_err(),
        soon(rig.client.stream(asking(&format()), repairing(1))).await.unwrap_err(),
    ] {
        assert!(error.to_string().starts_with("max_repairs has "), "{error}");
        assert_eq!(error.code(), ErrorCode::Config);
    }
    assert_eq!(rig.stats().await.requests, 0);
    // What the configuration says of all calls is not said of those.
    assert!(soon(rig.client.chat(several, CallContext::new())).await.is_ok());
    assert!(soon(rig.client.stream(asking(&format()), CallContext::new())).await.is_ok());
}
