//! Calls in any split and any order of pieces are judged as the plain call's, and shown as those once they may be.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Held, Judged, Waiting, calls, judged};
use crate::call::{ChatRequest, Chunk, Message};
use crate::clock::now;
use crate::json::Json;
use crate::provider::{Reading, WireFormat};
use crate::tool::{Approval, ApproverFn, ToolJudge, ToolRules, called};
use crate::{CallContext, PolicyDenied};

const NAMES: [&str; 4] = ["search", "send", "note", "unknown"];

/// Rules of which each call above breaks some.
fn judge(settings: &Value) -> ToolJudge {
    let rules = ToolRules::new(&serde_json::from_value(settings.clone()).unwrap()).unwrap().unwrap();
    let schema = json!({"type": "object", "properties": {"to": {"type": "string"}}});
    let function = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": schema}});
    let mut offered: Vec<_> = ["search", "send"].map(function).into();
    offered.push(json!({"type": "custom", "custom": {"name": "note"}}));
    let mut request = request(1);
    request.params.push(("tools".into(), Json::from_value(&json!(offered)).unwrap()));
    let approver = ApproverFn::new(|asked| {
        let approved = !asked.arguments.contains("Eve");
        let denied = Approval::Denied { reason: "not to her".to_owned() };
        async move { Ok(if approved { Approval::Approved } else { denied }) }.boxed()
    });
    ToolJudge {
        offer: rules.offer(&mut request, None, &mut Vec::new()).unwrap(),
        tally: Arc::default(),
        approver: Some(Arc::new(approver)),
        who: Arc::default(),
        request_id: CallContext::new().request_id,
        deadline: now() + std::time::Duration::from_secs(3600),
    }
}

fn request(n: u32) -> ChatRequest {
    let mut request = ChatRequest::new("m", vec![Message::user("x")]);
    request.n = Some(n);
    request
}

/// Which tool is called, and with what.
fn call() -> impl Strategy<Value = (usize, String)> {
    let arguments = prop_oneof![
        4 => Just(json!({"to": "Ada"}).to_string()),
        1 => Just(json!({"to": "Eve"}).to_string()),
        2 => Just(json!({}).to_string()),
        1 => Just(String::new()),
        1 => Just(json!({"to": 7}).to_string()),
        1 => Just("{\"to\": \"A".to_owned()),
        1 => Just("{\"to\": \"\\u0041da\"}".to_owned()),
    ];
    (prop_oneof![8 => 0usize..3, 1 => Just(3)], arguments)
}

/// The pieces of a call in the order in which they come.
fn pieces(place: usize, (tool, arguments): &(usize, String), size: usize) -> Vec<Value> {
    let (kind, field) = if NAMES[*tool] == "note" { ("custom", "input") } else { ("function", "arguments") };
    let first = json!({"index": place, "id": format!("c{place}"), "type": kind, kind: {"name": NAMES[*tool], field: ""}});
    let characters: Vec<char> = arguments.chars().collect();
    let more = characters
        .chunks(size)
        .map(|part| json!({"index": place, kind: {field: part.iter().collect::<String>()}}));
    std::iter::once(first).chain(more).map(|piece| json!({"tool_calls": [piece]})).collect()
}

/// Deal the lanes out in an order that `seed` draws; each keeps its own.
fn dealt<T>(lanes: Vec<Vec<T>>, mut seed: u64) -> Vec<T> {
    let mut lanes: Vec<_> = lanes.into_iter().map(Vec::into_iter).collect();
    let mut dealt = Vec::new();
    while !lanes.is_empty() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lane = usize::try_from(seed >> 33).unwrap() % lanes.len();
        match lanes[lane].next() {
            Some(one) => dealt.push(one),
            None => drop(lanes.remove(lane)),
        }
    }
    dealt
}

fn event(choices: &[Value]) -> Bytes {
    json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": choices}).to_string().into()
}

fn body(events: impl Iterator<Item = Bytes>, n: u32) -> Value {
    let mut reading = Reading::new(WireFormat::OpenAi, &request(n));
    for event in events {
        reading.read(event, &mut Vec::new()).unwrap();
    }
    assert!(reading.finished());
    serde_json::from_slice(&reading.whole().body).unwrap()
}

/// What comes of a judgement: who approves answers at once here.
fn at_once<T>(judgement: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(judgement)
}

fn told(outcome: Result<(), PolicyDenied>) -> Result<(), String> {
    outcome.map_err(|denied| denied.to_string())
}

proptest! {
    #[test]
    fn calls_in_any_split_are_judged_as_at_once(
        choices in prop::collection::vec(prop::collection::vec(call(), 0..3), 1..3),
        size in 1usize..12,
        seed in any::<u64>(),
        together in any::<bool>(),
        settings in prop::sample::select(vec![
            json!({"deny": ["x"]}),
            json!({"limits": {"search": 1}}),
            json!({"max_repeats": 1}),
            json!({"require_approval": ["send", "note"]}),
            json!({"check_arguments": false, "per_run": 2}),
        ]),
    ) {
        let n = u32::try_from(choices.len()).unwrap();
        let mut lanes: Vec<Vec<(u32, Value)>> = Vec::new();
        for (index, calls) in (0..).zip(&choices) {
            lanes.push(["I ", "will ", "see."].map(|text| (index, json!({"content": text}))).into());
            for (place, call) in calls.iter().enumerate() {
                lanes.push(pieces(place, call, size).into_iter().map(|piece| (index, piece)).collect());
            }
        }
        let deltas = dealt(lanes, seed);
        let choice = |(index, delta): &(u32, Value)| json!({"index": index, "delta": delta, "finish_reason": null});
        // Some send what comes at the same time in one event.
        let pairs = deltas.chunk_by(|one, next| together && one.0 < next.0);
        let mut events: Vec<_> = pairs.map(|pair| event(&pair.iter().map(choice).collect::<Vec<_>>())).collect();
        events.extend((0..n).map(|index| event(&[json!({"index": index, "delta": {}, "finish_reason": "tool_calls"})])));
        let whole = body(events.iter().cloned(), n);

        let mut held = Held::new(Waiting::Calls, Some(judge(&settings)));
        let mut reading = Reading::new(WireFormat::OpenAi, &request(n));
        let mut shown: Vec<Chunk> = Vec::new();
        for event in &events {
            let (mut came, first) = (Vec::new(), shown.len());
            reading.read(event.clone(), &mut came).unwrap();
            shown.extend(held.keep(came).unwrap());
            held.keep_ends(&mut shown, first);
        }
        prop_assert!(!shown.iter().any(calls), "nothing of a call is shown before it is judged");
        let said: String = shown.iter().filter(|chunk| chunk.index == 0).map(|chunk| &*chunk.text).collect();
        prop_assert_eq!(Some(&*said), whole["choices"][0]["message"]["content"].as_str());

        let plain = called(whole.to_string().as_bytes()).and_then(|calls| {
            at_once(judge(&settings).judge(&calls))
        });
        let (kept, decides) = (std::mem::take(&mut held.kept), held.judge.take());
        let Judged { kept, outcome, .. } = at_once(judged(None, None, decides, kept));
        let outcome = outcome.map_err(|error| error.to_string());
        prop_assert_eq!(&outcome, &told(plain));
        if outcome.is_ok() {
            shown.extend(held.released(kept, None));
            let ends: Vec<_> = shown.iter().filter(|chunk| chunk.finish_reason.is_some()).collect();
            prop_assert_eq!(ends.len(), choices.len());
            // An event of two choices that holds no call is shown for each of them.
            shown.dedup_by(|later, sooner| later.data == sooner.data);
            prop_assert_eq!(body(shown.into_iter().map(|chunk| chunk.data), n), whole);
        }
    }
}

fn chunk(data: &Value) -> Chunk {
    let mut came = Vec::new();
    Reading::new(WireFormat::OpenAi, &request(1)).read(data.to_string().into(), &mut came).unwrap();
    came.remove(0)
}

#[test]
fn what_holds_no_call_is_shown_as_it_came() {
    let mut held = Held::new(Waiting::Calls, Some(judge(&json!({"deny": ["x"]}))));
    let mut data = json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": null, "own": 1}], "own": 2});
    for calls in [json!(null), json!([])] {
        data["choices"][0]["delta"]["refusal"] = calls;
        let came = chunk(&data);
        let shown =
            held.keep(vec![Chunk { raw: Some(Bytes::from_static(b"theirs")), ..came.clone() }]).unwrap();
        assert_eq!((&shown[0].data, &shown[0].raw), (&came.data, &Some(Bytes::from_static(b"theirs"))));
    }
    assert!(!held.waits());
}

#[test]
fn a_call_hides_nowhere() {
    let call = json!([{"index": 0, "id": "c", "function": {"name": "send", "arguments": "{}"}}]);
    let other = json!({"index": 1, "delta": {"tool_calls": call}, "finish_reason": null});
    for choices in [
        json!([{"index": 0, "delta": {"content": "a", "tool_calls": call}, "finish_reason": null}]),
        json!([{"index": 0, "delta": {"content": "a", "function_call": {"name": "send"}}, "finish_reason": null}]),
        // In the event of another choice, and in a message that repeats what has come.
        json!([{"index": 0, "delta": {"content": "a"}, "finish_reason": null}, other]),
        json!([{"index": 0, "delta": {"content": "a"}, "message": {"tool_calls": call}, "finish_reason": null}]),
    ] {
        let mut held = Held::new(Waiting::Calls, Some(judge(&json!({"deny": ["x"]}))));
        let data = json!({"choices": choices});
        // By an escape in the name of the field.
        let escaped = data.to_string().replace("tool_calls", "tool\\u005fcalls");
        for data in [data.to_string(), escaped] {
            let came =
                Chunk { data: data.into(), raw: None, text: "a".into(), index: 0, finish_reason: None };
            let shown = held.keep(vec![came]).unwrap();
            assert_eq!(&*shown[0].text, "a");
            assert!(!String::from_utf8_lossy(&shown[0].data).contains("send"), "{:?}", shown[0].data);
        }
    }
}

#[test]
fn what_cannot_be_read_is_not_shown() {
    let mut held = Held::new(Waiting::Calls, Some(judge(&json!({"deny": ["x"]}))));
    let data = Bytes::from_static(b"{\"choices\": [{\"delta\": 7}]}");
    let unreadable = Chunk { data, raw: None, text: "a".into(), index: 3, finish_reason: None };
    assert!(held.keep(vec![unreadable]).is_err());
}
