//! Rules on tools, as the provider and the caller see them.

mod streams;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use iron_runtime::policy::Direction;
use iron_runtime::tool::{Approval, ApprovalRequest, Approver, ApproverFn};
use iron_runtime::{CallContext, Cause, ChatRequest, Error, PolicyDenied, Run, Who};
use iron_simulator::{Reply, Rule, ToolCall};
use serde_json::{Value, json};

use crate::rig::{Rig, ask, param, polled, soon, within};

/// The model calls these tools.
fn calling(calls: &[(&str, Value)]) -> Vec<Rule> {
    let call = |(name, arguments): &(&str, Value)| ToolCall {
        name: (*name).to_owned(),
        arguments: Some(arguments.clone()),
        id: None,
    };
    vec![Rule::from(Reply { tool_calls: calls.iter().map(call).collect(), ..Reply::default() })]
}

async fn rig(rules: Vec<Rule>, tools: Value) -> Rig {
    Rig::with(rules, json!({ "tools": tools })).await
}

fn function(name: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"to": {"type": "string"}}});
    json!({"type": "function", "function": {"name": name, "parameters": schema}})
}

fn offering(names: &[&str]) -> ChatRequest {
    let mut request = ask("x", 200);
    let tools: Vec<_> = names.iter().map(|name| function(name)).collect();
    param(&mut request, "tools", &json!(tools));
    request
}

fn denied(error: Error) -> PolicyDenied {
    match error {
        Error::PolicyDenied(denied) => *denied,
        other => panic!("{other:?}"),
    }
}

/// An approver of which every answer is `answer`, and how often it was asked.
fn approver(
    answer: impl Fn(ApprovalRequest) -> Result<Approval, Cause> + Send + Sync + 'static,
) -> (Arc<dyn Approver>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let decide = move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        let answer = answer(request);
        async move { answer }.boxed()
    };
    (Arc::new(ApproverFn::new(decide)), asked)
}

fn with(approver: Arc<dyn Approver>) -> CallContext {
    CallContext { approver: Some(approver), ..CallContext::new() }
}

#[tokio::test]
async fn a_request_with_a_tool_that_is_denied_is_never_sent() {
    let rig = rig(vec![], json!({"deny": ["db_*"]})).await;
    let budget = rig.budget(1_000_000_000);
    let request = offering(&["search", "db_drop"]);
    let error = soon(rig.client.chat(request.clone(), within([budget.clone()]))).await.unwrap_err();
    assert_eq!(error.to_string(), "rule \"tools.deny\" refuses the tool \"db_drop\": it is denied");
    assert!(!error.retryable());
    let denied = denied(error);
    assert_eq!((&*denied.rule, denied.direction), ("tools.deny", Direction::Input));
    assert!(soon(rig.client.stream(request, within([budget.clone()]))).await.is_err());
    assert_eq!(rig.stats().await.requests, 0);
    rig.at_rest(&budget);
    assert_eq!(budget.snapshot().spent().nanos(), 0);
}

#[tokio::test]
async fn a_tool_that_is_denied_is_left_out_where_the_settings_say_so() {
    let rig = rig(vec![], json!({"deny": ["db_*"], "on_denied": "drop"})).await;
    let reply = soon(rig.client.chat(offering(&["search", "db_drop"]), within([]))).await.unwrap();
    assert_eq!(reply.report.warnings.len(), 1, "{:?}", reply.report.warnings);
    let sent = rig.simulator.requests().pop().unwrap().body;
    assert_eq!(sent["tools"], json!([function("search")]));
}

#[tokio::test]
async fn a_call_that_may_not_be_made_is_not_shown_and_is_paid_for() {
    for (calls, settings, rule) in [
        (vec![("mail", json!({"to": "a"}))], json!({"deny": ["x"]}), "tools"),
        (vec![("search", json!({"to": 1}))], json!({"deny": ["x"]}), "tools.check_arguments"),
        (vec![("search", json!("{\"to\": "))], json!({"deny": ["x"]}), "tools.check_arguments"),
        (
            vec![("search", json!({})), ("search", json!({"to": "b"}))],
            json!({"limits": {"search": 1}}),
            "tools.limits.search",
        ),
        (vec![("search", json!({})), ("search", json!({}))], json!({"max_repeats": 1}), "tools.max_repeats"),
        (vec![("search", json!({}))], json!({"require_approval": ["sea*"]}), "tools.require_approval"),
    ] {
        let rig = rig(calling(&calls), settings).await;
        let budget = rig.budget(1_000_000_000);
        let error = soon(rig.client.chat(offering(&["search"]), within([budget.clone()]))).await.unwrap_err();
        let denied = denied(error);
        assert_eq!((&*denied.rule, denied.direction), (rule, Direction::ToolArguments));
        assert_eq!(rig.stats().await.requests, 1, "it is not tried again");
        rig.at_rest(&budget);
        assert!(budget.snapshot().spent().nanos() > 0);
    }
}

#[tokio::test]
async fn every_choice_is_judged() {
    let rig = rig(calling(&[("search", json!({}))]), json!({"limits": {"search": 1}})).await;
    let mut request = offering(&["search"]);
    request.n = Some(2);
    let error = soon(rig.client.chat(request, within([]))).await.unwrap_err();
    assert_eq!(&*denied(error).rule, "tools.limits.search");
}

#[tokio::test]
async fn an_approver_is_asked_for_each_call_and_what_it_approves_is_shown() {
    let (approver, asked) = approver(|request| {
        assert_eq!(&*request.tool, "send_mail");
        assert_eq!(serde_json::from_str::<Value>(&request.arguments).unwrap(), json!({"to": "a"}));
        assert!(!format!("{request:?}").contains("\"to\""), "{request:?}");
        Ok(Approval::Approved)
    });
    let calls = [("send_mail", json!({"to": "a"})), ("search", json!({})), ("send_mail", json!({"to": "a"}))];
    let rig = rig(calling(&calls), json!({"require_approval": ["send_*"]})).await;
    let reply = soon(rig.client.chat(offering(&["search", "send_mail"]), with(approver))).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let shown: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(shown["choices"][0]["message"]["tool_calls"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_refusal_of_the_approver_and_its_failure_are_told_apart() {
    let rig = rig(calling(&[("send", json!({}))]), json!({"require_approval": ["send"]})).await;
    let asked = |approver| rig.client.chat(offering(&["send"]), with(approver));
    let refusing = approver(|_| Ok(Approval::Denied { reason: "not on a Sunday".into() })).0;
    let refused = denied(soon(asked(refusing)).await.unwrap_err());
    assert_eq!(refused.reason, "the approver denies it: not on a Sunday");
    let failing = approver(|_| Err("the pager is off".into())).0;
    let failed = denied(soon(asked(failing)).await.unwrap_err());
    assert_eq!(failed.reason, "the approver failed");
    assert_eq!(failed.cause.unwrap().to_string(), "the pager is off");
}

/// An approver that never answers, and how many wait for it.
fn silent() -> (Arc<dyn Approver>, Arc<()>) {
    let waiting = Arc::new(());
    let held = waiting.clone();
    let decide = move |_| {
        let held = held.clone();
        async move {
            let never = std::future::pending().await;
            drop(held);
            never
        }
        .boxed()
    };
    (Arc::new(ApproverFn::new(decide)), waiting)
}

#[tokio::test]
async fn an_approval_that_comes_too_late_is_a_refusal() {
    let settings = json!({"require_approval": ["send"], "approval_timeout_ms": 20});
    let rig = rig(calling(&[("send", json!({}))]), settings).await;
    let budget = rig.budget(1_000_000_000);
    let context = CallContext { budgets: vec![budget.clone()], ..with(silent().0) };
    let late = denied(soon(rig.client.chat(offering(&["send"]), context)).await.unwrap_err());
    assert_eq!(late.reason, "no approval came within 0.0 s");
    rig.at_rest(&budget);
}

#[tokio::test]
async fn the_deadline_of_the_call_ends_the_wait_for_approval() {
    let rig = rig(calling(&[("send", json!({}))]), json!({"require_approval": ["send"]})).await;
    let context = CallContext { timeout: Some(Duration::from_millis(300)), ..with(silent().0) };
    let late = denied(soon(rig.client.chat(offering(&["send"]), context)).await.unwrap_err());
    assert!(late.reason.starts_with("no approval came within 0."), "{}", late.reason);
}

#[tokio::test]
async fn a_call_given_up_while_it_waits_for_approval_leaves_nothing_behind() {
    let rig = rig(calling(&[("send", json!({}))]), json!({"require_approval": ["send"]})).await;
    let budget = rig.budget(1_000_000_000);
    let (approver, waiting) = silent();
    let context = CallContext { budgets: vec![budget.clone()], ..with(approver) };
    let mut call = Box::pin(rig.client.chat(offering(&["send"]), context));
    soon(async {
        // One count is ours, one the approver's, and one that of the future that waits.
        while Arc::strong_count(&waiting) < 3 {
            assert!(polled(&mut call, 2).await.is_none());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert!(budget.snapshot().spent().nanos() > 0, "the reply is settled before anybody is asked");
    drop(call);
    assert_eq!(Arc::strong_count(&waiting), 1);
    rig.at_rest(&budget);
}

#[tokio::test]
async fn without_rules_nothing_is_looked_at() {
    let rig = Rig::new(calling(&[("mail", json!("no JSON"))])).await;
    let mut request = offering(&["search"]);
    param(&mut request, "functions", &json!("no list"));
    let reply = soon(rig.client.chat(request, within([]))).await.unwrap();
    let shown: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(shown["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "mail");
}

fn run(agent: Option<&str>) -> Run {
    Run::new(Who::new(agent, &["eu"]).unwrap())
}

fn part_of(run: &Run) -> CallContext {
    CallContext { run: Some(run.clone()), ..CallContext::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_once_pass_a_limit_of_ten_ten_times() {
    let rig = rig(calling(&[("search", json!({}))]), json!({"limits": {"search": 10}})).await;
    let one = run(None);
    let call = |_| rig.client.chat(offering(&["search"]), part_of(&one));
    let replies = soon(futures::future::join_all((0..1_000).map(call))).await;
    assert_eq!(replies.iter().filter(|reply| reply.is_ok()).count(), 10);
    for error in replies.into_iter().filter_map(Result::err) {
        assert_eq!(&*denied(error).rule, "tools.limits.search");
    }
    // Another run has counts of its own, and a call outside of any is one by itself.
    soon(rig.client.chat(offering(&["search"]), part_of(&run(None)))).await.unwrap();
    soon(rig.client.chat(offering(&["search"]), within([]))).await.unwrap();
}

#[tokio::test]
async fn rules_of_an_agent_hold_its_runs_and_the_approver_is_told_who_asks() {
    let settings = json!({"agents": {"research-*": {"deny": ["send"]}}, "require_approval": ["send"]});
    let rig = rig(calling(&[("send", json!({}))]), settings).await;
    let (approver, asked) = approver(|request| {
        assert_eq!(request.agent.as_deref(), Some("writer"));
        assert_eq!(request.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["eu"]);
        Ok(Approval::Approved)
    });
    let context = |agent| CallContext { run: Some(run(Some(agent))), ..with(approver.clone()) };
    soon(rig.client.chat(offering(&["send"]), context("writer"))).await.unwrap();
    let refused =
        denied(soon(rig.client.chat(offering(&["send"]), context("research-7"))).await.unwrap_err());
    assert_eq!(&*refused.rule, "tools.agents.\"research-*\".deny");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn calls_that_were_not_approved_do_not_count() {
    let settings = json!({"require_approval": ["send"], "limits": {"send": 1}, "approval_timeout_ms": 20});
    let rig = rig(calling(&[("send", json!({}))]), settings).await;
    let one = run(None);
    let context = |approver| CallContext { run: Some(one.clone()), ..with(approver) };
    for approver in [silent().0, approver(|_| Ok(Approval::Denied { reason: String::new() })).0] {
        let refused =
            denied(soon(rig.client.chat(offering(&["send"]), context(approver))).await.unwrap_err());
        assert_eq!(&*refused.rule, "tools.require_approval");
    }
    let approving = approver(|_| Ok(Approval::Approved)).0;
    soon(rig.client.chat(offering(&["send"]), context(approving.clone()))).await.unwrap();
    let refused = denied(soon(rig.client.chat(offering(&["send"]), context(approving))).await.unwrap_err());
    assert_eq!(&*refused.rule, "tools.limits.send");
}
