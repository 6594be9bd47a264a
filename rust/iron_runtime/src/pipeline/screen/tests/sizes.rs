//! Rules about sizes, on a stream: each text is measured as it comes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{content, request};
use crate::config::PolicySettings;
use crate::pipeline::screen::StreamScreen;
use crate::policy::{Caller, Chain, PolicySet, Told};
use crate::provider::{Reading, WireFormat};
use crate::run::Who;
use crate::{Error, PolicyDenied};

fn policy(rules: &Value) -> Arc<Chain> {
    let settings: PolicySettings = serde_json::from_value(json!({"rules": rules})).unwrap();
    let nobody = Who::default();
    Arc::new(Chain::new([&PolicySet::new(&settings).unwrap()], &Caller::new(&nobody, "", [])))
}

/// What is shown of the deltas, why the stream is cut, and what is told.
fn passed(policy: &Arc<Chain>, deltas: &[Value]) -> (String, Option<PolicyDenied>, Vec<Told>) {
    let request = request(1);
    let mut screen = StreamScreen::new(policy, &request);
    let mut reading = Reading::new(WireFormat::OpenAi, &request);
    let (mut shown, mut denied) = (Vec::new(), None);
    let last = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    let events = deltas.iter().map(|delta| json!({"index": 0, "delta": delta, "finish_reason": null}));
    for choice in events.chain([last]) {
        let event = json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice]});
        let mut came = Vec::new();
        reading.read(event.to_string().into(), &mut came).unwrap();
        match screen.pass(came.into_iter(), &mut shown) {
            Ok(()) => {}
            Err(Error::PolicyDenied(error)) => {
                denied = Some(*error);
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (content(&shown, 0), denied, screen.told().collect())
}

#[test]
fn a_stream_is_cut_where_it_grows_too_long() {
    let policy = policy(&json!([{"name": "short", "what": ["size"], "max_bytes": 10, "action": "block"}]));
    let deltas = ["four", "four", "four", "more"].map(|text| json!({"content": text}));
    let (shown, denied, told) = passed(&policy, &deltas);
    assert_eq!(shown, "fourfour", "what fits is shown as it comes, and nothing behind it");
    let denied = denied.unwrap();
    assert_eq!(&*denied.rule, "short");
    assert!(denied.to_string().contains("max_bytes = 10"), "{denied}");
    assert_eq!(told.len(), 1, "{told:?}");
    let (shown, denied, told) = passed(&policy, &deltas[..2]);
    assert!(denied.is_none() && told.is_empty());
    assert_eq!(shown, "fourfour");
}

#[test]
fn texts_that_come_side_by_side_are_added_up() {
    let policy =
        policy(&json!([{"name": "sum", "what": ["size"], "max_total_bytes": 10, "action": "block"}]));
    let thought = json!({"reasoning_content": "six by"});
    let (shown, denied, _) = passed(&policy, &[thought.clone(), json!({"content": "four"})]);
    assert_eq!((&*shown, denied.is_some()), ("four", false));
    let (shown, denied, _) = passed(&policy, &[thought, json!({"content": "four"}), json!({"content": "!"})]);
    assert_eq!((&*shown, denied.map(|denied| denied.rule)), ("four", Some("sum".into())));
}

#[test]
fn a_size_that_is_told_alone_is_told_once_and_cuts_nothing() {
    let policy = policy(&json!([{"name": "note", "what": ["size"], "max_bytes": 5, "action": "log"}]));
    let deltas = ["four", "four", "four"].map(|text| json!({"content": text}));
    let (shown, denied, told) = passed(&policy, &deltas);
    assert_eq!((&*shown, denied.is_some()), ("fourfourfour", false));
    assert_eq!(told.len(), 1, "{told:?}");
}
