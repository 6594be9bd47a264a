//! Several keys of one provider: how many requests go out under each.

use std::collections::BTreeMap;

use futures::future::join_all;
use iron_protocol::ErrorCode;
use iron_runtime::{CallReport, Error};
use iron_simulator::{Bare, Fault, Match, Reply, RetryAfter, Rule, StatusFault};
use serde_json::json;

use crate::rig::{Rig, ask, soon, within};

const KEYS: [&str; 3] = ["sk-number-aaaa", "sk-number-bbbb", "sk-number-cccc"];

fn replying() -> Rule {
    Reply::tokens(3).into()
}

/// What goes wrong under one key.
fn under(key: &str, fault: Fault) -> Rule {
    let headers = [("authorization".to_owned(), format!("Bearer {key}"))].into();
    Rule { when: Match { headers, ..Match::default() }, ..fault.into() }
}

async fn rig(rules: Vec<Rule>) -> Rig {
    Rig::with(rules, json!({"providers": {"sim": {"api_key": null, "api_keys": KEYS}}})).await
}

async fn call(rig: &Rig) -> Result<CallReport, Error> {
    soon(rig.client.chat(ask("x", 5), within([]))).await.map(|reply| reply.report)
}

/// How many requests went out under each key, by its end.
fn requests(rig: &Rig) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in rig.simulator.requests() {
        *counts.entry(request.headers["authorization"].replace("Bearer ...", "")).or_default() += 1;
    }
    counts
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected.into_iter().map(|(key, count)| (key.to_owned(), count)).collect()
}

#[tokio::test]
async fn keys_are_used_in_turn_and_named_by_number() {
    let rig = rig(vec![replying()]).await;
    let mut names = Vec::new();
    for _ in 0..6 {
        names.push(call(&rig).await.unwrap().upstream.to_string());
    }
    assert_eq!(names, ["sim#1/m", "sim#2/m", "sim#3/m", "sim#1/m", "sim#2/m", "sim#3/m"]);
    soon(join_all((0..24).map(|_| call(&rig)))).await;
    assert_eq!(requests(&rig), counts([("aaaa", 10), ("bbbb", 10), ("cccc", 10)]));
}

#[tokio::test]
async fn a_key_that_is_refused_is_left_for_the_next_and_comes_last() {
    let used_up = StatusFault { code: Some("insufficient_quota".into()), ..StatusFault::new(429) };
    for fault in [Fault::status(401), Fault::Status(used_up)] {
        let rig = rig(vec![under(KEYS[0], fault), replying()]).await;
        let first = call(&rig).await.unwrap();
        assert_eq!((&*first.upstream, first.attempts), ("sim#2/m", 2));
        for _ in 0..6 {
            assert_eq!(call(&rig).await.unwrap().attempts, 1);
        }
        let requests = requests(&rig);
        assert_eq!((requests["aaaa"], requests["bbbb"] + requests["cccc"]), (1, 7), "{requests:?}");
    }
}

#[tokio::test]
async fn each_key_has_a_gate_of_its_own() {
    let throttled = StatusFault { retry_after: Some(RetryAfter::Seconds(300)), ..StatusFault::new(429) };
    let rig = rig(vec![under(KEYS[1], Fault::Status(throttled)), replying()]).await;
    for _ in 0..9 {
        call(&rig).await.unwrap();
    }
    let requests = requests(&rig);
    assert_eq!((requests["bbbb"], requests["aaaa"] + requests["cccc"]), (1, 9), "{requests:?}");
    let closed: Vec<_> =
        rig.client.upstreams().iter().map(|upstream| upstream.closed_for.is_some()).collect();
    assert_eq!(closed, [false, true, false]);
}

#[tokio::test]
async fn what_is_wrong_with_the_provider_is_not_tried_under_every_key() {
    for (fault, requests) in [(Fault::status(503), 3), (Fault::status(404), 1), (Fault::status(400), 1)] {
        let told = format!("{fault:?}");
        let rig = rig(vec![fault.into()]).await;
        call(&rig).await.unwrap_err();
        assert_eq!(rig.stats().await.requests, requests, "{told}");
    }
}

#[tokio::test]
async fn when_every_key_is_refused_each_is_told_of_and_none_is_shown() {
    let rig = rig(vec![Fault::status(401).into()]).await;
    let error = call(&rig).await.unwrap_err();
    let Error::NoUpstream { failures, .. } = &error else { panic!("{error}") };
    assert_eq!(failures.iter().map(Error::code).collect::<Vec<_>>(), [ErrorCode::UpstreamStatus; 3]);
    let shown = format!("{error} {error:?} {:?} {:?}", rig.client, rig.client.upstreams());
    assert!(shown.contains("sim#3/m") && !KEYS.iter().any(|key| shown.contains(key)), "{shown}");
    assert_eq!(rig.stats().await.requests, 3);
}

#[tokio::test]
async fn an_upstream_of_one_key_may_have_limits_of_its_own() {
    let changes = json!({
        "providers": {"sim": {"api_key": null, "api_keys": KEYS}},
        "limits": {"upstreams": {"sim#1/m": {"requests_per_minute": 1}}},
    });
    let rig = Rig::with(vec![replying()], changes).await;
    for _ in 0..9 {
        assert_eq!(call(&rig).await.unwrap().attempts, 1);
    }
    assert_eq!(requests(&rig)["aaaa"], 1);
}

#[tokio::test]
async fn a_key_that_a_provider_quotes_is_in_no_error() {
    let said = format!("you sent {} and \"team/one-and-two\"", KEYS[0]);
    let refusal =
        |status| Fault::Status(StatusFault { message: Some(said.clone()), ..StatusFault::new(status) });
    let garbled =
        Rule { fault: Some(Fault::MalformedJson(Bare::default())), ..Reply::text(said.clone()).into() };
    let changes = json!({
        "providers": {"sim": {"api_key": KEYS[0], "headers": {"x-team": "\"team/one-and-two\""}}},
        "retry": {"max_attempts": 1},
    });
    for rule in [refusal(400).into(), refusal(401).into(), refusal(429).into(), garbled] {
        let told = format!("{rule:?}");
        let rig = Rig::with(vec![rule], changes.clone()).await;
        let error = soon(rig.client.chat(ask("x", 50), within([]))).await.unwrap_err();
        let body = match &error {
            Error::UpstreamStatus { body, .. } => String::from_utf8_lossy(body),
            _ => "".into(),
        };
        let shown = format!("{error} {error:?} {body}");
        assert!(shown.contains("you sent *** and ***"), "{told}: {shown}");
        assert!(!shown.contains(KEYS[0]) && !shown.contains("one-and-two"), "{told}: {shown}");
    }
}
