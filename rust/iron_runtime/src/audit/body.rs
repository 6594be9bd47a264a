//! What records say, beyond their place in a chain.

use iron_protocol::NanoUsd;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::digest::{Digest, Key};

/// What a log tells of itself.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Note {
    /// A file begins.
    Segment { segment: u64 },
    /// A process begins to write, or goes on with what another has left.
    Opened {
        pid: u32,
        version: &'static str,
        resumed: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
    },
    /// A process ends in order.
    Closed { pid: u32 },
    /// Bytes that are no record were put aside.
    Torn { file: String, bytes: u64, sha256: Digest },
    /// Records that had been counted are not there.
    Gap { first: u64, last: u64 },
    /// What calls could not be recorded, or were refused because they could not be.
    Unrecorded { calls: u64, refused: u64 },
    /// An old file is deleted, as the configuration says.
    Pruned { segment: u64, last_seq: u64, last_hash: Digest },
}

impl Note {
    pub(super) fn opened(key: Option<&Key>, resumed: bool) -> Self {
        let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION"));
        Self::Opened { pid, version, resumed, key_id: key.map(Key::id) }
    }

    pub(super) fn closed() -> Self {
        Self::Closed { pid: std::process::id() }
    }
}

/// Which call a record is of.
#[derive(Debug, Serialize)]
pub(super) struct Of<'c> {
    pub(super) request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<&'c str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<&'c str>,
    pub(super) config: &'c str,
}

/// What a rule made of a text.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "finding")]
pub(super) struct Finding<'c> {
    #[serde(flatten)]
    pub(super) of: &'c Of<'c>,
    pub(super) direction: &'static str,
    pub(super) entity: String,
    pub(super) action: &'static str,
    pub(super) rule: &'c str,
    /// The highest of all.
    pub(super) score: f32,
    pub(super) count: u64,
}

/// A call that was not let through.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "refusal")]
pub(super) struct Refusal<'c> {
    #[serde(flatten)]
    pub(super) of: &'c Of<'c>,
    pub(super) code: &'static str,
    #[serde(flatten)]
    pub(super) by: &'c By,
}

/// What refused a call.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum By {
    Rule {
        rule: String,
        direction: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
    },
    Budget {
        budget: String,
        limit_usd: NanoUsd,
        settled_usd: NanoUsd,
        held_usd: NanoUsd,
        estimate_usd: NanoUsd,
    },
    Reason {
        reason: String,
    },
}

/// How a call ended.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "call")]
pub(super) struct Call<'c> {
    #[serde(flatten)]
    pub(super) of: &'c Of<'c>,
    pub(super) operation: &'static str,
    pub(super) model: &'c str,
    pub(super) outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream: Option<&'c str>,
    pub(super) attempts: u32,
    pub(super) cost_usd: NanoUsd,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) settlement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Map<String, Value>>,
    pub(super) duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply: Option<Content>,
}

/// A text: its digest, or the text itself.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content {
    Hash { hmac_sha256: Digest, bytes: u64 },
    Full(Box<RawValue>),
}
