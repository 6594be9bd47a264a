//! Who may ask, and for whom.

use http::{Request, StatusCode};
use http_body_util::Full;
use iron_runtime::config::new_token;
use serde_json::json;

use crate::rig::{Rig, hello, post};

fn with(headers: &[(&'static str, &str)]) -> Request<Full<bytes::Bytes>> {
    let mut request = post("/v1/chat/completions", &hello());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_token_is_needed_where_there_are_tokens() {
    let (ours, digest) = new_token();
    let tokens = json!([{"name": "ci", "sha256": digest.to_string()}]);
    let mut rig = Rig::with(json!([]), json!({"router": {"tokens": tokens}})).await;
    let bearer = format!("Bearer {ours}");
    for headers in [&[("authorization", &*bearer)], &[("x-api-key", &*ours)]] {
        assert_eq!(rig.ask(with(headers)).await.status, StatusCode::OK);
    }
    let other = format!("Bearer {}", new_token().0);
    for headers in
        [&[][..], &[("authorization", &*other)], &[("authorization", "Basic eA==")], &[("x-api-key", "")]]
    {
        let answer = rig.ask(with(headers)).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (StatusCode::UNAUTHORIZED, &json!("invalid_token"))
        );
        assert!(!format!("{answer:?}").contains(&other[7..]));
    }
    assert_eq!(rig.simulator.stats().requests, 2);
}

#[tokio::test]
async fn a_tokens_limit_holds_its_own_calls_alone() {
    let ((poor, small), (rich, large)) = (new_token(), new_token());
    let tokens = json!([
        {"name": "poor", "sha256": small.to_string(), "limit_usd": "0.000001"},
        {"name": "rich", "sha256": large.to_string(), "limit_usd": 5},
    ]);
    let mut rig =
        Rig::with(json!([]), json!({"router": {"tokens": tokens}, "budget": {"limit_usd": 1}})).await;
    let answer = rig.ask(with(&[("authorization", &format!("Bearer {poor}"))])).await;
    assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("\"poor\""));
    let answer = rig.ask(with(&[("authorization", &format!("Bearer {rich}"))])).await;
    // The client's budget holds all calls, and has less left than the token's.
    assert!(answer.header("x-iron-budget-remaining-usd").unwrap().starts_with("0.99"));
}

#[tokio::test]
async fn rules_hold_by_the_agent_of_the_token_and_by_what_callers_say_of_themselves() {
    let (ours, digest) = new_token();
    let tokens = json!([{"name": "ci", "sha256": digest.to_string(), "agent": "guarded"}]);
    let rules = json!([{"what": ["keyword:words"], "agents": ["guarded"], "action": "block"}]);
    let policy = json!({"keywords": {"words": ["hello"]}, "rules": rules});
    let mut rig = Rig::with(json!([]), json!({"router": {"tokens": tokens}, "policy": policy})).await;
    let bearer = format!("Bearer {ours}");
    // A token that is an agent's stays that agent's.
    let answer = rig.ask(with(&[("authorization", &*bearer), ("x-iron-agent", "free")])).await;
    assert_eq!(answer.json()["error"]["code"], "content_blocked");

    let mut rig = Rig::with(json!([]), json!({"policy": policy})).await;
    assert_eq!(
        rig.ask(with(&[("x-iron-agent", "free"), ("x-iron-tags", "eu, beta")])).await.status,
        StatusCode::OK
    );
    assert_eq!(rig.ask(with(&[("x-iron-agent", "guarded")])).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(rig.ask(with(&[("x-iron-tags", "a,,b")])).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_tokens_a_name_that_is_not_this_machines_is_no_host() {
    let mut rig = Rig::new(json!([])).await;
    for host in ["localhost:8080", "127.0.0.1", "[::1]:80"] {
        assert_eq!(rig.ask(with(&[("host", host)])).await.status, StatusCode::OK, "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
        assert_eq!(rig.ask(with(&[("host", host)])).await.status, StatusCode::FORBIDDEN, "{host}");
    }
}
