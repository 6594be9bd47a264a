//! Recorded requests: what was received, and what became of each.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::{HeaderMap, Method};
use serde::Serialize;
use serde_json::Value;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is still being answered.
    InProgress,
    /// Answered whole, with success.
    Served,
    /// Answered with an error status or a refusal.
    Refused,
    /// A fault broke or spoiled the reply.
    Faulted,
    /// The client left before it had the whole reply.
    Cut,
}

/// A request as it was received.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// Its place in the sequence of requests, from 0.
    pub ordinal: u64,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The headers by lower-case name. Of keys only the scheme and the last four characters are kept.
    pub headers: BTreeMap<String, String>,
    /// The body: JSON, or its text if it isn't JSON, or null if it was empty or too long to remember.
    pub body: Value,
    /// Length of the body; 0 if it was longer than is accepted.
    pub body_bytes: usize,
    /// When the head came, in milliseconds since the simulator started.
    pub at_ms: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// The status that was answered; none if no head was.
    pub status: Option<u16>,
    /// The kind of fault that was injected.
    pub fault: Option<String>,
}

/// One request, from its head to its end.
pub(crate) struct Exchange {
    pub(crate) ordinal: u64,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) at_ms: u64,
    content: OnceLock<Content>,
    outcome: AtomicU8,
    status: AtomicU16,
    fault: OnceLock<&'static str>,
}

/// Headers and body as they are remembered: copies, since to keep the originals would keep the buffer that the
/// connection read them into, and make it take a new one for every request.
#[derive(Default)]
struct Content {
    /// A line each, name and value parted by a colon.
    headers: String,
    body: Box<[u8]>,
    body_bytes: usize,
}

impl Exchange {
    pub(crate) fn new(ordinal: u64, method: Method, path: String, at_ms: u64) -> Self {
        Self {
            ordinal,
            method,
            path,
            at_ms,
            content: OnceLock::new(),
            outcome: AtomicU8::new(Outcome::InProgress as u8),
            status: AtomicU16::new(0),
            fault: OnceLock::new(),
        }
    }

    pub(crate) fn set_outcome(&self, outcome: Outcome) {
        self.outcome.store(outcome as u8, Ordering::Relaxed);
    }

    pub(crate) fn set_status(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub(crate) fn status(&self) -> u16 {
        self.status.load(Ordering::Relaxed)
    }

    /// Note the fault; the first stands.
    pub(crate) fn set_fault(&self, kind: &'static str) {
        let _ = self.fault.set(kind);
    }

    pub(crate) fn fault(&self) -> Option<&'static str> {
        self.fault.get().copied()
    }

    fn recorded(&self) -> RecordedRequest {
        let nothing = Content::default();
        let Content { headers, body, body_bytes } = self.content.get().unwrap_or(&nothing);
        let outcome = match self.outcome.load(Ordering::Relaxed) {
            o if o == Outcome::Served as u8 => Outcome::Served,
            o if o == Outcome::Refused as u8 => Outcome::Refused,
            o if o == Outcome::Faulted as u8 => Outcome::Faulted,
            o if o == Outcome::Cut as u8 => Outcome::Cut,
            _ => Outcome::InProgress,
        };
        RecordedRequest {
            ordinal: self.ordinal,
            method: self.method.to_string(),
            path: self.path.clone(),
            headers: headers
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: if body.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(body)
                    .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
            },
            body_bytes: *body_bytes,
            at_ms: self.at_ms,
            outcome,
            status: Some(self.status()).filter(|status| *status > 0),
            fault: self.fault().map(String::from),
        }
    }
}

/// A header's value, or the part of it that does not give a key away.
fn shown<'a>(name: &str, value: &'a [u8]) -> Cow<'a, str> {
    let value = String::from_utf8_lossy(value);
    match name {
        "authorization" | "proxy-authorization" => match value.split_once(' ') {
            Some((scheme, key)) => format!("{scheme} {}", last_four(key)).into(),
            None => last_four(&value).into(),
        },
        "api-key" | "x-api-key" | "x-goog-api-key" | "cookie" => last_four(&value).into(),
        _ => value,
    }
}

fn shown_lines(headers: &HeaderMap) -> String {
    let mut lines = String::with_capacity(headers.len() * 48);
    for (name, value) in headers {
        for part in [name.as_str(), ":", &shown(name.as_str(), value.as_bytes()), "\n"] {
            lines.push_str(part);
        }
    }
    lines
}

/// The end of a key, or nothing of one so short that its end would be most of it.
pub(crate) fn last_four(key: &str) -> String {
    let chars = key.chars().count();
    format!("...{}", key.chars().skip(if chars > 8 { chars - 4 } else { chars }).collect::<String>())
}

/// The last requests.
pub(crate) struct Journal {
    limit: usize,
    body_limit: usize,
    entries: Mutex<VecDeque<Arc<Exchange>>>,
}

impl Journal {
    pub(crate) fn new(limit: usize, body_limit: usize) -> Self {
        Self { limit, body_limit, entries: Mutex::new(VecDeque::new()) }
    }

    pub(crate) fn add(&self, exchange: &Arc<Exchange>, headers: &HeaderMap, body: &[u8]) {
        if self.limit == 0 {
            return;
        }
        let kept = if body.len() <= self.body_limit { body } else { &[] };
        let content = Content { headers: shown_lines(headers), body: kept.into(), body_bytes: body.len() };
        let _ = exchange.content.set(content);
        let forgotten = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            let forgotten = (entries.len() >= self.limit).then(|| entries.pop_front()).flatten();
            entries.push_back(Arc::clone(exchange));
            forgotten
        };
        // Freed outside the lock that every request takes.
        drop(forgotten);
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone();
        entries.iter().map(|exchange| exchange.recorded()).collect()
    }

    pub(crate) fn clear(&self) {
        let entries = std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner));
        drop(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hidden() {
        assert_eq!(shown("authorization", b"Bearer sk-1234567890abcd"), "Bearer ...abcd");
        assert_eq!(shown("authorization", b"sk-1234567890abcd"), "...abcd");
        assert_eq!(shown("x-api-key", b"short"), "...");
        assert_eq!(shown("accept", b"*/*"), "*/*");
    }

    #[test]
    fn the_oldest_are_forgotten_and_long_bodies_not_kept() {
        let journal = Journal::new(2, 4);
        for (ordinal, body) in ["1", "22", "333333"].into_iter().enumerate() {
            let exchange = Exchange::new(ordinal as u64, Method::POST, "/".into(), 0);
            journal.add(&Arc::new(exchange), &HeaderMap::new(), body.as_bytes());
        }
        let seen: Vec<_> =
            journal.requests().into_iter().map(|r| (r.ordinal, r.body, r.body_bytes)).collect();
        assert_eq!(seen, [(1, Value::from(22), 2), (2, Value::Null, 6)]);
        journal.clear();
        assert!(journal.requests().is_empty());
    }
}
