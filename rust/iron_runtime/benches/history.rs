//! What a conversation costs whose earlier messages have been judged before: no network, no Python.
//!
//! `cargo bench -p iron_runtime --features bench --bench history`

use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use iron_runtime::budget::Ledger;
use iron_runtime::config::{Config, Sources};
use iron_runtime::{CallContext, ChatRequest, Client, Message};
use sha2::{Digest, Sha256};

fn main() {
    divan::main();
}

const MESSAGES: usize = 200;
const BYTES: usize = 2_000;
const PROSE: &str = "The delivery of 14 March left at 9:40 and came in two parts, of which the second was late. \
    We have written to everybody who asked for it, and can send the rest on Monday. ";

/// Prose that no message before it had.
fn prose() -> String {
    static NTH: AtomicU64 = AtomicU64::new(0);
    let nth = NTH.fetch_add(1, Ordering::Relaxed);
    let mut text = format!("Note {nth}. ");
    text.extend(std::iter::repeat_n(PROSE, BYTES / PROSE.len()));
    text
}

fn client(history_bytes: u64) -> Client {
    let rules = r#"[
        {"what": ["secret", "prompt_injection"], "action": "block", "threshold": 0.9},
        {"what": ["*"], "action": "log"}
    ]"#;
    let settings = format!(
        r#"{{"policy": {{"rules": {rules}, "history_bytes": {history_bytes}}}, "providers": {{"openai": {{"api_key": "k"}}}}}}"#
    );
    let sources = Sources { overrides: Some(settings), ..Sources::default() };
    // A bench has nobody to tell.
    let Ok(client) = Config::load(&sources).and_then(|config| Client::new(config, &Ledger::new())) else {
        std::process::abort()
    };
    client
}

fn screen(client: &Client, request: ChatRequest) -> ChatRequest {
    let screened = iron_runtime::bench::screened(client, request, CallContext::new());
    let Some(Ok(request)) = screened.now_or_never() else { std::process::abort() };
    request
}

fn conversation(messages: usize) -> ChatRequest {
    let messages = (0..messages).map(|_| Message::user(prose())).collect();
    ChatRequest::new("openai/gpt-6-luna", messages)
}

/// A conversation with a new message at its end, each time: all the others have been judged.
fn goes_on(bencher: divan::Bencher<'_, '_>, messages: usize, history_bytes: u64) {
    let client = client(history_bytes);
    let before = screen(&client, conversation(messages - 1));
    let next = || {
        let mut request = before.clone();
        request.messages.push(Message::user(prose()));
        request
    };
    bencher.with_inputs(next).bench_local_values(|request| screen(&client, request));
}

#[divan::bench]
fn the_newest_message_alone(bencher: divan::Bencher<'_, '_>) {
    goes_on(bencher, 1, 8 << 20);
}

#[divan::bench]
fn two_hundred_messages(bencher: divan::Bencher<'_, '_>) {
    goes_on(bencher, MESSAGES, 8 << 20);
}

#[divan::bench]
fn two_hundred_messages_without_history(bencher: divan::Bencher<'_, '_>) {
    goes_on(bencher, MESSAGES, 0);
}

/// What it would cost to know the messages by a strong hash instead of by themselves.
#[divan::bench]
fn sha_256_of_two_hundred_messages(bencher: divan::Bencher<'_, '_>) {
    let texts: Vec<_> = (0..MESSAGES).map(|_| prose()).collect();
    bencher.bench_local(|| texts.iter().map(|text| Sha256::digest(text)[0]).fold(0, |all, byte| all ^ byte));
}
