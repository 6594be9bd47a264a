//! A record: one line, whose bytes are what is hashed.
//!
//! `{"v":1,"chain":"000","seq":7,"prev":"...","at":"...","kind":"call",...,"hash":"..."}`: `hash` is the SHA-256 digest of
//! the line's bytes before `,"hash":`, and `prev` the `hash` of the record before. Who checks a record needs no second
//! opinion on how JSON is written.

use std::io::Write as _;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::{DIGITS, Digest};

/// The version of the form that is written.
pub(super) const VERSION: u32 = 1;
const HASH: &[u8] = br#","hash":""#;
const END: &[u8] = br#""}"#;
/// What stands behind the bytes that are hashed.
const TAIL: usize = HASH.len() + DIGITS + END.len();

/// A place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The number of the record, from 1.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

impl Link {
    /// Before the first record.
    pub(super) const BEGINNING: Self = Self { seq: 0, hash: Digest::NONE };
}

/// What every record begins with.
#[derive(Clone, Debug, Deserialize)]
pub struct Envelope {
    /// The version of its form.
    pub v: u32,
    /// The chain that it belongs to.
    pub chain: String,
    /// Its number in the chain, from 1.
    pub seq: u64,
    /// The hash of the record before.
    pub prev: Digest,
    /// When it was told, in UTC.
    pub at: String,
    /// What it is a record of.
    pub kind: String,
}

/// Append the record that follows `after`, a line: its place.
pub(super) fn write(
    into: &mut Vec<u8>,
    chain: &str,
    after: Link,
    at: SystemTime,
    body: &impl Serialize,
) -> Link {
    let (start, seq) = (into.len(), after.seq + 1);
    let (prev, at) = (after.hash, time(at));
    // Writing to memory cannot fail.
    let _ = write!(into, r#"{{"v":{VERSION},"chain":"{chain}","seq":{seq},"prev":"{prev}","at":"{at}","#);
    let body_start = into.len();
    drop(serde_json::to_writer(&mut *into, body));
    into.remove(body_start);
    into.pop_if(|last| *last == b'}');
    let hash = Digest::of(&into[start..]);
    into.extend_from_slice(HASH);
    let _ = write!(into, "{hash}");
    into.extend_from_slice(END);
    into.push(b'\n');
    Link { seq, hash }
}

/// To the microsecond, so that records sort by it as text.
pub fn time(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| "1970-01-01T00:00:00.000000Z".to_owned(), |at| format!("{at:.6}"))
}

/// The day of a time, `2026-11-24`.
pub(super) fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

/// The hash that a line has, and the one that it says.
pub(super) fn hashes(line: &[u8]) -> Option<(Digest, Digest)> {
    let (hashed, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
    let said = tail.strip_prefix(HASH)?.strip_suffix(END)?;
    Some((Digest::of(hashed), str::from_utf8(said).ok()?.parse().ok()?))
}

/// The record of a line that is what it says.
pub(super) fn sound(line: &[u8]) -> Option<(Envelope, Digest)> {
    let (has, says) = hashes(line)?;
    if has != says {
        return None;
    }
    Some((serde_json::from_slice(line).ok()?, has))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_hashed_as_it_stands_and_names_the_one_before() {
        let mut lines = Vec::new();
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1_764_000_000_000_001);
        let first =
            write(&mut lines, "000", Link::BEGINNING, at, &serde_json::json!({"kind": "x", "é": "\n"}));
        let second = write(&mut lines, "000", first, at, &serde_json::json!({"kind": "y"}));
        let lines: Vec<_> = lines.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), 3);
        let (envelope, hash) = sound(lines[1]).unwrap();
        assert_eq!((envelope.seq, envelope.prev, hash), (2, first.hash, second.hash));
        assert_eq!((envelope.at.as_str(), day(&envelope.at)), ("2025-11-24T16:00:00.000001Z", "2025-11-24"));
        assert_eq!(envelope.kind, "y");
        for (at, _) in lines[0].iter().enumerate() {
            let mut flipped = lines[0].to_vec();
            flipped[at] ^= 1;
            assert!(sound(&flipped).is_none(), "byte {at}");
        }
    }
}
