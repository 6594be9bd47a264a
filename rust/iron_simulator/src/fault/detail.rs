//! What is to be set of each fault.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A fault with nothing to set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bare {}

/// A refusal with a status; what is not given is what OpenAI sends with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusFault {
    /// From 400 to 999.
    pub status: u16,
    /// The `retry-after` header. Default none.
    #[serde(default)]
    pub retry_after: Option<RetryAfter>,
    /// The `retry-after-ms` header. Default none.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// `error.code`, such as `insufficient_quota`.
    #[serde(default)]
    pub code: Option<String>,
    /// `error.message`.
    #[serde(default)]
    pub message: Option<String>,
    /// What the body is. Default an OpenAI error.
    #[serde(default)]
    pub body: ErrorBody,
}

impl StatusFault {
    /// OpenAI's error of that status.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            retry_after: None,
            retry_after_ms: None,
            code: None,
            message: None,
            body: ErrorBody::OpenAi,
        }
    }
}

/// A `retry-after` header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RetryAfter {
    /// Seconds, as a number.
    Seconds(u64),
    /// This text, whatever it says.
    Text(String),
    /// An HTTP date so many seconds from now by the wall clock: `{"date_in_s": 2}`.
    Date {
        /// Seconds from now.
        date_in_s: u64,
    },
}

/// What the body of a refusal is; in JSON `"openai"`, `"html"`, `"empty"`, `{"text": ".."}` or `{"json": {..}}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorBody {
    /// `{"error": {"message", "type", "param", "code"}}`.
    #[default]
    #[serde(rename = "openai")]
    OpenAi,
    /// A page such as a proxy sends.
    Html,
    /// Nothing.
    Empty,
    /// This text, as `text/plain`.
    Text(String),
    /// This JSON.
    Json(Value),
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedirectFault {
    /// The `location`.
    pub to: String,
    /// From 300 to 399. Default 307.
    #[serde(default = "temporary_redirect")]
    pub status: u16,
}

fn temporary_redirect() -> u16 {
    307
}

/// A stall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StallFault {
    /// Where it happens.
    pub at: At,
    /// How long it lasts. Default for ever: until the client leaves or the simulator stops.
    #[serde(default)]
    pub ms: Option<u64>,
}

/// A connection that breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakFault {
    /// Where it happens.
    pub at: At,
}

/// A place in a reply; in JSON `"before_headers"`, `"after_headers"`, `{"after_bytes": 10}` or `{"after_chunks": 3}`.
///
/// A place beyond the end of a stream is just before its end; a plain reply never comes to one beyond its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// Before the first byte.
    BeforeHeaders,
    /// Between headers and body.
    AfterHeaders,
    /// After so many bytes of the body. Within an event of a stream, that event's HTTP chunk is cut short.
    AfterBytes(u64),
    /// After so many events of a stream, of which the first carries the role. A plain reply is one chunk.
    AfterChunks(u64),
}

/// A `content-length` that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthFault {
    /// Bytes added to the true length: positive claims bytes that never come, negative leaves bytes over.
    pub by: i64,
}

/// An event that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFault {
    /// Events before it. Beyond the end it is the last one. Default 1.
    #[serde(default = "one")]
    pub after_chunks: u64,
    /// A line `event: error` stands before its data. Default no.
    #[serde(default)]
    pub named: bool,
}

impl EventFault {
    /// After so many events, without a name.
    pub fn after(after_chunks: u64) -> Self {
        Self { after_chunks, named: false }
    }
}

fn one() -> u64 {
    1
}

/// A stream without events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmptyFault {
    /// Whether `[DONE]` is sent. Default no.
    #[serde(default)]
    pub done: bool,
}

/// A chunked body that is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruncateFault {
    /// How many of the body's last bytes never come, at most all; with 0 the chunk that ends the body is all that is
    /// missing. Default 1.
    #[serde(default = "one")]
    pub missing: u64,
}

/// White space before a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaddingFault {
    /// How much of it; the last is a line end. Default 1 GiB.
    #[serde(default = "gigabyte")]
    pub bytes: u64,
    /// How all of the body is compressed. Default not at all.
    #[serde(default)]
    pub coding: Option<Coding>,
}

fn gigabyte() -> u64 {
    1 << 30
}

/// A way of compressing, by the name that HTTP has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, which HTTP calls so.
    Deflate,
    /// Brotli, RFC 7932.
    Br,
    /// Zstandard, RFC 8878.
    Zstd,
}

/// A stream that never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndlessFault {
    /// What is sent for ever, once the reply has been sent up to its finish reason. Default chunks.
    #[serde(default)]
    pub with: Filler,
    /// The time before each. Default 0: as fast as the client reads.
    #[serde(default)]
    pub every_ms: u64,
}

/// What goes on for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filler {
    /// Chunks whose text is a space.
    #[default]
    Chunks,
    /// Comments, as a server sends them to keep a connection alive.
    Comments,
}
