//! Streams in any split and any order of choices and calls are restored as the whole reply is.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::call::{ChatRequest, Message};
use crate::policy::{Action, Caller, Chain, Direction, PolicySet, Vault};
use crate::provider::{Reading, WireFormat};
use crate::run::Who;

const PARTS: &[&str] = &[
    "[EMAIL_ADDRESS_1]",
    "EMAIL_ADDRESS_2",
    r"\[EMAIL\_ADDRESS\_1\]",
    "[email address 2]",
    "[EMAIL_ADDRESS_3]",
    "[ODD_1]",
    "[EMAIL",
    "EMAIL_",
    "[",
    "\\",
    "\"",
    " and ",
    "é",
    "\n",
];

fn pseudonyms(content: Form) -> Pseudonyms {
    let settings = serde_json::from_value(json!({
        "patterns": {"odd": r#"a "b" \\c"#},
        "rules": [{"what": ["EMAIL_ADDRESS", "pattern:odd"], "action": Action::Pseudonymize}],
    }));
    let (policy, nobody) = (PolicySet::new(&settings.unwrap()).unwrap(), Who::default());
    let chain = Chain::new([&policy], &Caller::new(&nobody, "", []));
    let (vault, text) = (Vault::default(), r#"jane@example.org, joe@example.org: a "b" \c"#);
    chain.judge_with(text, Direction::Input, None, Vec::new(), Some(&vault)).unwrap();
    Pseudonyms::of(vault, content)
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PARTS), 0..8).prop_map(|parts| parts.concat())
}

/// Pieces of so many characters, each within the field or the call where `put` puts it.
fn pieces(text: &str, size: usize, put: impl Fn(String) -> Value) -> Vec<Value> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size).map(|piece| put(piece.iter().collect())).collect()
}

fn chunks(data: &Value, reading: &mut Reading) -> Vec<Chunk> {
    let mut came = Vec::new();
    reading.read(data.to_string().into(), &mut came).unwrap();
    came
}

fn reading() -> Reading {
    let mut request = ChatRequest::new("m", vec![Message::user("x")]);
    request.n = Some(2);
    Reading::new(WireFormat::OpenAi, &request)
}

fn body(whole: &Bytes) -> Value {
    serde_json::from_slice(whole).unwrap()
}

proptest! {
    #[test]
    fn in_any_split_it_is_the_whole_reply_s(
        said in prop::collection::vec(text(), 2),
        refusal in text(),
        passed in prop::collection::vec(text(), 2),
        size in 1usize..9,
        mut seed in any::<u64>(),
        together in any::<bool>(),
        structured in any::<bool>(),
    ) {
        let mut lanes: Vec<Vec<(u32, Value)>> = Vec::new();
        for (index, text) in (0..).zip(&said) {
            lanes.push(pieces(text, size, |piece| json!({"content": piece})).into_iter().map(|delta| (index, delta)).collect());
        }
        lanes.push(pieces(&refusal, size, |piece| json!({"refusal": piece})).into_iter().map(|delta| (1, delta)).collect());
        for (call, text) in passed.iter().enumerate() {
            let arguments = json!({"to": text, "[ODD_1]": 1}).to_string();
            let first = json!({"tool_calls": [{"index": call, "id": "c", "type": "function", "function": {"name": "EMAIL_ADDRESS_1", "arguments": ""}}]});
            let more = pieces(&arguments, size, |piece| json!({"tool_calls": [{"index": call, "function": {"arguments": piece}}]}));
            lanes.push(std::iter::once(first).chain(more).map(|delta| (0, delta)).collect());
        }
        let mut deltas = Vec::new();
        let mut lanes: Vec<_> = lanes.into_iter().map(Vec::into_iter).collect();
        while !lanes.is_empty() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let lane = usize::try_from(seed >> 33).unwrap() % lanes.len();
            match lanes[lane].next() {
                Some(delta) => deltas.push(delta),
                None => drop(lanes.remove(lane)),
            }
        }
        let choice = |(index, delta): &(u32, Value)| json!({"index": index, "delta": delta, "finish_reason": null});
        let mut events: Vec<Value> = deltas
            .chunk_by(|one, next| together && one.0 < next.0)
            .map(|pair| json!({"choices": pair.iter().map(choice).collect::<Vec<_>>()}))
            .collect();
        events.extend([1, 0].map(|index| json!({"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]})));

        let pseudonyms = pseudonyms(if structured { Form::Json } else { Form::Plain });
        let mut restore = StreamRestore::new(&pseudonyms).unwrap();
        let (mut came, mut shown) = (reading(), Vec::new());
        for event in &events {
            restore.pass(chunks(event, &mut came).into_iter(), &mut shown).unwrap();
        }
        let whole = restore.whole(came.whole());
        let mut seen = reading();
        for chunk in &shown {
            seen.read(chunk.data.clone(), &mut Vec::new()).unwrap();
        }
        prop_assert_eq!(body(&seen.whole().body), body(&whole.body));
        let message = |index: usize| body(&whole.body)["choices"][index]["message"].clone();
        for call in message(0)["tool_calls"].as_array().unwrap() {
            prop_assert_eq!(&call["function"]["name"], "EMAIL_ADDRESS_1");
            let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            prop_assert_eq!(&arguments[r#"a "b" \c"#], 1);
        }
        let spoken: String = shown.iter().filter(|chunk| chunk.index == 1).map(|chunk| &*chunk.text).collect();
        let said = message(1)["content"].as_str().unwrap_or_default().to_owned();
        prop_assert_eq!(spoken, said);
    }
}

#[test]
fn what_has_nothing_to_restore_passes_as_it_came() {
    let mut restore = StreamRestore::new(&pseudonyms(Form::Plain)).unwrap();
    let event = json!({"choices": [{"index": 0, "delta": {"content": "Nothing [here] for YOU. "}, "finish_reason": null}], "own": 1});
    let came = chunks(&event, &mut reading());
    let mut shown = Vec::new();
    restore.pass(came.clone().into_iter(), &mut shown).unwrap();
    assert_eq!(shown[0].data.as_ptr(), came[0].data.as_ptr(), "it is not even written anew");
}
