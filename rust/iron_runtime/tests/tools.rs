//! Rules on tools, as the provider and the caller see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use iron_runtime::policy::Direction;
use iron_runtime::tool::{Approval, ApprovalRequest, Approver, ApproverFn};
use iron_runtime::{CallContext, Cause, ChatRequest, ChatStream, Chunk, Error, PolicyDenied, Run, Who};
use iron_simulator::{At, BreakFault, Fault, Reply, Rule, Text, ToolCall};
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
