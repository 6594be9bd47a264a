//! The same text, whole and in every kind of split, comes out as the same text with the same findings.

mod formats;
mod sizes;

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::called::Answers;
use super::{Screen, StreamScreen};
use crate::Error;
use crate::call::{ChatRequest, Chunk, Message};
use crate::config::PolicySettings;
use crate::policy::{Caller, Chain, PolicySet, Told};
use crate::provider::{Reading, WireFormat};
use crate::run::Who;

/// Of each kind, where a split, the text before it or the text behind it may hide or make a match.
const PLANTS: &[&str] = &[
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "card 5500005555555559",
    "12 34 56 78 90",
    "5 of 12",
    "2024-05-17",
    "jane.doe@example.org",
    "a@b.co",
    "@",
    "mail to:",
    "x@y",
    "https://example.org/a?b=c",
    "http://",
    "192.168.17.42",
    "2001:db8:85a3::8a2e:370:7334",
    "00:1b:44:11:3a:b7",
    "10:30",
    "+1 (415) 555-0132",
    "(415) 555-0132",
    "call",
    "415 555 0132",
    "+49 30 901820",
    "SSN 536-22-8726",
    "536-22-8726",
    "is my SSN",
    "536 22 8726 ",
    "born on March 12, 1985",
    "date of birth: 12 March 1985",
    "GB82 WEST 1234 5698 7654 32",
    "DE89370400440532013000",
    "AB 12 34 56 C",
    "DE 136695976",
    "VAT",
    "AKIAQ3EGRZ2VMX7LTWHB",
    "AKIA",
    "ghp_Zx81kQp20LrTgVbn46YsWcEf93HuJd5mKa7R",
    "ghp_",
    "password = \"k3$Rp9!xZq\"",
    "password is hunter2!Qx9",
    "token:",
    "secret",
    "postgres://app:s3cr3tPw9@db/x",
    "openai_key = ",
    "heroku",
    "discord token = ",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "eyJ",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKjMzEfYyji\n-----END PRIVATE KEY-----\n",
    "-----BEGIN CERTIFICATE-----",
    "project falcon",
    "Project",
    "falcon",
    "project",
    "ACME-1234",
    "ACME-",
    "ticket 77x",
    "０４１１",
    "４１１１ １１１１ １１１１ １１１１",
    "4\u{200b}111 1111 1111 1111",
    "é",
    "è\u{301}",
    "раsswоrd = x9$kPq!2zR",
    "电话是",
    "发送到jane@example.org。",
    "🦀",
    "\n",
    "\t",
    "  ",
    ". ",
    ", ",
    "(",
    ")",
    "\"",
    "\\",
    "{\"a\": \"",
    "the",
    "quick",
    "brown fox",
    "Hello",
    "how are you",
    "AB",
    "NL",
    "X9",
    "B2B",
    "H2O",
    "[",
    "]",
    "'",
    "-",
    "--",
    "a-b_c",
    "longword",
    "ﬁn",
    "№ 5",
];

fn policy(action: &str, threshold: f32) -> Arc<Chain> {
    let settings: PolicySettings = serde_json::from_value(json!({
        "keywords": {
            "birds": ["falcon", "brown fox", "falcon the quick"],
            "projects": ["project falcon", "falcon", "project falcon nine"],
        },
        "patterns": {"ticket": r"ACME-\d{2,}", "loose": r"\bticket \w+\b"},
        "rules": [
            {"name": "let", "what": ["MAC_ADDRESS"], "action": "allow"},
            {"name": "act", "what": ["pii", "network", "secret", "keyword:birds", "keyword:projects", "pattern:ticket", "pattern:loose"],
             "action": action, "threshold": threshold},
            {"name": "rest", "what": ["*"], "action": "log"},
        ],
    }))
    .unwrap();
    let nobody = Who::default();
    Arc::new(Chain::new([&PolicySet::new(&settings).unwrap()], &Caller::new(&nobody, "", [])))
}

fn request(n: u32) -> ChatRequest {
    let mut request = ChatRequest::new("m", vec![Message::user("x")]);
    request.n = Some(n);
    request
}

/// What the plain call makes of the message: it, or the rule that refuses it; and what was found.
fn whole(policy: &Arc<Chain>, messages: &[Value]) -> (Result<Vec<Value>, Told>, Vec<String>) {
    let choices: Vec<_> = messages.iter().map(|message| json!({"message": message})).collect();
    let body = Bytes::from(json!({"choices": choices}).to_string());
    let mut told = Vec::new();
    let screened = Screen::new(policy, None, &mut told, &mut Answers::default()).body(&body);
    let found = sorted(&told);
    match screened {
        Ok(changed) => {
            let body: Value = serde_json::from_slice(&changed.unwrap_or(body)).unwrap();
            let messages = body["choices"].as_array().unwrap().iter();
            (Ok(messages.map(|choice| choice["message"].clone()).collect()), found)
        }
        Err(Error::ContentBlocked(told)) => (Err(*told), found),
        Err(error) => panic!("{error}"),
    }
}

fn sorted(told: &[Told]) -> Vec<String> {
    let mut told: Vec<_> = told.iter().map(|told| format!("{told:?}")).collect();
    told.sort();
    told
}

/// What a stream of these events makes of it; each event is a choice, and a delta.
struct Streamed {
    shown: Vec<Chunk>,
    body: Value,
    told: Vec<String>,
    blocked: Option<Told>,
}

fn streamed(policy: &Arc<Chain>, n: u32, events: &[(u32, Value, Option<&str>)]) -> Streamed {
    let request = request(n);
    let mut screen = StreamScreen::new(policy, &request);
    let mut reading = Reading::new(WireFormat::OpenAi, &request);
    let (mut shown, mut blocked) = (Vec::new(), None);
    for (index, delta, reason) in events {
        let event = json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": index, "delta": delta, "finish_reason": reason}]});
        let mut came = Vec::new();
        reading.read(event.to_string().into(), &mut came).unwrap();
        match screen.pass(came.into_iter(), &mut shown) {
            Ok(()) => {}
            Err(Error::ContentBlocked(told)) => {
                blocked = Some(*told);
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let told: Vec<_> = screen.told().collect();
    let body = serde_json::from_slice(&screen.whole(reading.whole()).body).unwrap();
    Streamed { shown, body, told: sorted(&told), blocked }
}

/// The text in parts that end at `cuts`, as far as characters allow.
fn split<'t>(text: &'t str, cuts: &[prop::sample::Index]) -> Vec<&'t str> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    ends.extend([0, text.len()]);
    ends.retain(|end| text.is_char_boundary(*end));
    ends.sort_unstable();
    ends.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(PLANTS).prop_map(str::to_owned),
        3 => prop::sample::select(formats::all()),
        2 => Just(" ".to_owned()),
        1 => "[a-zA-Z0-9 .@:/_-]{0,12}",
        1 => "\\PC{0,6}",
    ];
    let joint = prop_oneof![3 => Just(" "), 1 => Just(""), 1 => Just(" and "), 1 => Just("\n")];
    prop::collection::vec((piece, joint), 0..14)
        .prop_map(|pieces| pieces.into_iter().flat_map(|(piece, joint)| [piece, joint.to_owned()]).collect())
}

fn content(shown: &[Chunk], index: u32) -> String {
    shown.iter().filter(|chunk| chunk.index == index).map(|chunk| &*chunk.text).collect()
}

const ACTIONS: &[&str] = &["mask", "redact", "hash", "block", "log"];

proptest! {
    #[test]
    fn text_in_any_split_is_the_text_at_once(
        text in text(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        each in any::<bool>(),
        action in prop::sample::select(ACTIONS),
        threshold in prop::sample::select(&[0.3f32, 0.5, 0.8][..]),
    ) {
        let policy = policy(action, threshold);
        let parts: Vec<&str> = if each { text.split_inclusive(|_| true).collect() } else { split(&text, &cuts) };
        let mut events: Vec<_> = parts.iter().map(|part| (0, json!({"content": part}), None)).collect();
        events.push((0, json!({}), Some("stop")));
        let streamed = streamed(&policy, 1, &events);
        let (expected, found) = whole(&policy, &[json!({"role": "assistant", "content": text})]);
        match expected {
            Ok(messages) if !policy_is_behind(&policy) => {
                let expected = messages[0]["content"].as_str().unwrap();
                prop_assert_eq!(content(&streamed.shown, 0), expected);
                prop_assert_eq!(streamed.body["choices"][0]["message"]["content"].as_str().unwrap_or_default(), expected);
                prop_assert_eq!(streamed.told, found);
                prop_assert!(streamed.blocked.is_none());
            }
            Ok(_) => prop_assert_eq!(content(&streamed.shown, 0), text),
            Err(told) => {
                prop_assert!(text.starts_with(&content(&streamed.shown, 0)));
                let blocked = streamed.blocked.unwrap();
                prop_assert_eq!(blocked.rule, told.rule);
            }
        }
    }

    #[test]
    fn choices_and_calls_do_not_mix(
        said in prop::collection::vec(text(), 2),
        passed in prop::collection::vec(text(), 2),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        order in any::<u64>(),
        action in prop::sample::select(&["mask", "redact", "hash"][..]),
    ) {
        let policy = policy(action, 0.5);
        let arguments: Vec<_> = passed.iter().map(|text| json!({"to": text, "n": 5, "id": text}).to_string()).collect();
        let mut lanes: Vec<Vec<(u32, Value, Option<&str>)>> = Vec::new();
        for (index, text) in (0u32..).zip(&said) {
            lanes.push(split(text, &cuts).iter().map(|part| (index, json!({"content": part}), None)).collect());
        }
        for (call, json) in arguments.iter().enumerate() {
            let first = json!({"tool_calls": [{"index": call, "id": format!("c{call}"), "type": "function", "function": {"name": "send", "arguments": ""}}]});
            let mut lane = vec![(0, first, None)];
            // A split within an escape hides nothing.
            lane.extend(split(json, &cuts).iter().map(|part| (0, json!({"tool_calls": [{"index": call, "function": {"arguments": part}}]}), None)));
            lanes.push(lane);
        }
        let mut events = Vec::new();
        let (mut order, mut lanes) = (order, lanes.into_iter().map(Vec::into_iter).collect::<Vec<_>>());
        while !lanes.is_empty() {
            order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let lane = usize::try_from(order >> 33).unwrap() % lanes.len();
            match lanes[lane].next() {
                Some(event) => events.push(event),
                None => drop(lanes.remove(lane)),
            }
        }
        events.extend([(1, json!({}), Some("stop")), (0, json!({}), Some("tool_calls"))]);
        let streamed = streamed(&policy, 2, &events);
        let calls: Vec<_> = arguments.iter().enumerate().map(|(call, json)| json!({"id": format!("c{call}"), "type": "function", "function": {"name": "send", "arguments": json}})).collect();
        let (expected, found) = whole(&policy, &[
            json!({"content": said[0], "tool_calls": calls}),
            json!({"content": said[1]}),
        ]);
        let expected = expected.unwrap();
        for (index, message) in (0u32..).zip(&expected) {
            prop_assert_eq!(content(&streamed.shown, index), message["content"].as_str().unwrap());
        }
        let by_id = |calls: &Value| {
            let mut calls: Vec<_> = calls.as_array().unwrap().iter().map(|call| (call["id"].to_string(), call["function"].clone())).collect();
            calls.sort_by(|one, other| one.0.cmp(&other.0));
            calls
        };
        prop_assert_eq!(by_id(&streamed.body["choices"][0]["message"]["tool_calls"]), by_id(&expected[0]["tool_calls"]));
        for call in expected[0]["tool_calls"].as_array().unwrap() {
            let arguments = call["function"]["arguments"].as_str().unwrap();
            prop_assert!(serde_json::from_str::<Value>(arguments).is_ok());
        }
        prop_assert_eq!(streamed.told, found);
    }
}

fn policy_is_behind(policy: &Arc<Chain>) -> bool {
    StreamScreen::new(policy, &request(1)).is_behind()
}

/// How many bytes wait behind each word of a text that comes word by word.
fn held(policy: &Arc<Chain>, text: &str) -> Vec<usize> {
    let mut screen = StreamScreen::new(policy, &request(1));
    let (mut came, mut shown) = (0, 0);
    let words = text.split_inclusive(' ').map(|word| {
        let event = json!({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": null}]});
        let chunk = Chunk {
            data: event.to_string().into(),
            raw: None,
            text: word.into(),
            index: 0,
            finish_reason: None,
        };
        let mut passed = Vec::new();
        screen.pass([chunk].into_iter(), &mut passed).unwrap();
        came += word.len();
        shown += content(&passed, 0).len();
        came - shown
    });
    words.collect()
}

#[test]
fn what_cannot_begin_a_match_does_not_wait() {
    let policy = policy("redact", 0.5);
    let prose = "Hello, how are you today? The committee met in 2024 and approved 3 of 12 plans: the roads, the \
                 school and a bridge. Nobody objected, so work begins when the weather allows it. ";
    assert_eq!(
        held(&policy, prose).iter().max(),
        Some(&"2024 ".len()),
        "a short number waits for the next word"
    );
    assert_eq!(held(&policy, "Hel").last(), Some(&3), "a word that may go on");
    let chinese = "今天天气很好我们去公园散步吧".repeat(20);
    assert!(*held(&policy, &chinese).last().unwrap() < 64 + 4, "64 bytes, and the character that they cut");
    // A number waits for the words behind it that may say what it is, and not longer.
    let after = held(&policy, &format!("It is 536228726 {}", "and so on ".repeat(30)));
    assert!(after.iter().any(|held| *held > 30) && after.iter().all(|held| *held < 160), "{after:?}");
    assert_eq!(after.last(), Some(&0));
}

#[test]
fn a_text_of_which_too_much_waits_is_shown_at_its_end() {
    let policy = policy("redact", 0.5);
    let long = format!("-----BEGIN PRIVATE KEY-----\n{} jane@example.org", "x".repeat(100_000));
    let parts: Vec<_> = split(&long, &[]).into_iter().flat_map(|text| text.as_bytes().chunks(50)).collect();
    let mut events: Vec<_> =
        parts.iter().map(|part| (0, json!({"content": std::str::from_utf8(part).unwrap()}), None)).collect();
    events.push((0, json!({}), Some("stop")));
    let streamed = streamed(&policy, 1, &events);
    let (expected, found) = whole(&policy, &[json!({"content": long})]);
    assert_eq!(content(&streamed.shown, 0), expected.unwrap()[0]["content"].as_str().unwrap());
    assert_eq!(streamed.told, found);
}

#[test]
fn what_a_custom_tool_is_given_is_judged_as_arguments_are() {
    // It looks like JSON, and is text all the same.
    let input = "{\"to\": \"jane@example.org\",  1e2}";
    for input in [input, "[1.50, \"jane@example.org\"]", "plain jane@example.org"] {
        let policy = policy("redact", 0.5);
        let call = json!({"id": "c", "type": "custom", "custom": {"name": "note", "input": input}});
        let (expected, found) = whole(&policy, &[json!({"content": null, "tool_calls": [call]})]);
        let expected = expected.unwrap()[0]["tool_calls"][0]["custom"].clone();
        assert_eq!(expected["input"], input.replace("jane@example.org", "[EMAIL_ADDRESS]"));
        assert!(found[0].contains("ToolArguments"), "{found:?}");
        for size in [1, 7, 100] {
            let characters: Vec<_> = input.chars().collect();
            let first = json!({"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "note", "input": ""}}]});
            let mut events = vec![(0, first, None)];
            events.extend(characters.chunks(size).map(|part| {
                let part: String = part.iter().collect();
                (0, json!({"tool_calls": [{"index": 0, "custom": {"input": part}}]}), None)
            }));
            events.push((0, json!({}), Some("tool_calls")));
            let streamed = streamed(&policy, 1, &events);
            assert_eq!(streamed.body["choices"][0]["message"]["tool_calls"][0]["custom"], expected);
            assert_eq!(streamed.told, found);
            assert!(
                !streamed.shown.iter().any(|chunk| String::from_utf8_lossy(&chunk.data).contains("jane"))
            );
        }
    }
}
