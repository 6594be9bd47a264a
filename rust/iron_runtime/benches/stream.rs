//! What a rule costs a chunk of a stream: what is read and passed on, beside what a window holds and judges.
//!
//! `cargo bench -p iron_runtime --features bench --bench stream`

use bytes::Bytes;
use divan::counter::ItemsCount;
use futures::FutureExt;
use iron_runtime::budget::Ledger;
use iron_runtime::config::{Config, Sources};
use iron_runtime::{ChatRequest, Client, Message};

fn main() {
    divan::main();
}

/// Policies, by what acts on output, or comes back in it.
const RULES: [(&str, &str); 5] = [
    ("no policy", ""),
    ("told alone", r#"{"what": ["*"], "action": "log"}"#),
    ("pseudonyms", r#"{"what": ["EMAIL_ADDRESS"], "action": "pseudonymize"}"#),
    ("size", r#"{"what": ["size"], "max_bytes": 1000000, "action": "block"}"#),
    ("secrets and personal data", r#"{"what": ["pii", "secret"], "action": "redact"}"#),
];
const PROSE: &str = "The delivery of 14 March left at 9:40 and came in two parts, of which the second was late. \
    We have written to everybody who asked for it, and can send the rest on Monday. ";
/// Rows of numbers: each waits for what stands behind it.
const NUMBERS: &str = "4021 88412 7710 93 551024 18 20944 7 6612 905177 38 4410 ";

fn client(rules: &str) -> Client {
    let policy =
        if rules.is_empty() { String::new() } else { format!(r#""policy": {{"rules": [{rules}]}},"#) };
    let settings = format!(r#"{{{policy} "providers": {{"openai": {{"api_key": "k"}}}}}}"#);
    let sources = Sources { overrides: Some(settings), ..Sources::default() };
    // A bench has nobody to tell.
    let Ok(client) = Config::load(&sources).and_then(|config| Client::new(config, &Ledger::new())) else {
        std::process::abort()
    };
    client
}

/// A reply of so many chunks, a word each.
fn events(text: &str, chunks: usize) -> Vec<Bytes> {
    let words = text.split_inclusive(' ').cycle().take(chunks);
    let event = |(nth, word): (usize, &str)| {
        let end = if nth + 1 == chunks { r#""stop""# } else { "null" };
        let choice = format!(r#"{{"index":0,"delta":{{"content":"{word}"}},"finish_reason":{end}}}"#);
        format!(
            r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{choice}]}}"#
        )
        .into()
    };
    words.enumerate().map(event).collect()
}

fn stream(bencher: divan::Bencher<'_, '_>, text: &str, rules: &str) {
    const CHUNKS: usize = 2_000;
    let (client, events) = (client(rules), events(text, CHUNKS));
    let request = ChatRequest::new("openai/gpt-6-luna", vec![Message::user("I am jane@example.org")]);
    bencher.counter(ItemsCount::new(CHUNKS)).bench_local(|| {
        let streamed = iron_runtime::bench::streamed(&client, request.clone(), &events);
        let Some(Ok(shown)) = streamed.now_or_never() else { std::process::abort() };
        shown
    });
}

#[divan::bench(args = RULES.map(|(name, _)| name))]
fn prose(bencher: divan::Bencher<'_, '_>, name: &str) {
    let rules = RULES.iter().find(|(own, _)| *own == name).map_or("", |(_, rules)| rules);
    stream(bencher, PROSE, rules);
}

#[divan::bench(args = RULES.map(|(name, _)| name))]
fn numbers(bencher: divan::Bencher<'_, '_>, name: &str) {
    let rules = RULES.iter().find(|(own, _)| *own == name).map_or("", |(_, rules)| rules);
    stream(bencher, NUMBERS, rules);
}
