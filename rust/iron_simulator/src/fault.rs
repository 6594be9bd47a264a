//! Faults: the ways in which a reply goes wrong.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One way in which a reply goes wrong; in JSON, `{"kind": "status", "status": 429}`.
///
/// The kinds marked *stream* apply to streamed replies only, those marked *plain* to replies that are not streamed:
/// a rule with such a fault doesn't match the other sort of request. "Refused" means that nothing is generated, so no
/// tokens count as served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// Refused with a status.
    Status(StatusFault),
    /// Refused by closing the connection as soon as it is accepted. Consulted per connection, before any request is
    /// read, so of the rule's conditions `nth` alone is allowed.
    Refuse(Bare),
    /// Refused with a redirect.
    Redirect(RedirectFault),
    /// Refused with status 200 and an error body.
    ErrorInOk(Bare),
    /// Refused with status 200 and no body.
    EmptyBody(Bare),
    /// Nothing is sent for a time, or for ever.
    Stall(StallFault),
    /// The connection is reset (TCP RST). Before the headers: refused.
    Reset(BreakFault),
    /// The connection is closed (TCP FIN) in the middle. Before the headers: refused.
    Close(BreakFault),
    /// *Plain*: the body is not JSON, though its length is right.
    MalformedJson(Bare),
    /// *Plain*: `content-length` is not the body's length, and the connection is closed after the body.
    WrongLength(LengthFault),
    /// *Stream*: the data of one event is not JSON.
    MalformedEvent(EventFault),
    /// *Stream*: an event with an error stands in place of the rest.
    ErrorEvent(EventFault),
    /// *Stream*: no `[DONE]` at the end.
    NoDone(Bare),
    /// *Stream*: no chunk has a `finish_reason`.
    NoFinishReason(Bare),
    /// Every byte of the body is written alone, in a chunk of its own if chunked, so that every character is split.
    SplitBytes(Bare),
    /// *Stream*: lines end in CR LF.
    Crlf(Bare),
    /// *Stream*: a comment stands before each event.
    Comments(Bare),
    /// *Stream*: the data of each event takes two lines.
    MultiLineData(Bare),
}

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

impl Fault {
    /// Refused with OpenAI's error of that status.
    pub fn status(status: u16) -> Self {
        Self::Status(StatusFault::new(status))
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
}

fn one() -> u64 {
    1
}

impl Fault {
    /// The kind's name, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Refuse(_) => "refuse",
            Self::Redirect(_) => "redirect",
            Self::ErrorInOk(_) => "error_in_ok",
            Self::EmptyBody(_) => "empty_body",
            Self::Stall(_) => "stall",
            Self::Reset(_) => "reset",
            Self::Close(_) => "close",
            Self::MalformedJson(_) => "malformed_json",
            Self::WrongLength(_) => "wrong_length",
            Self::MalformedEvent(_) => "malformed_event",
            Self::ErrorEvent(_) => "error_event",
            Self::NoDone(_) => "no_done",
            Self::NoFinishReason(_) => "no_finish_reason",
            Self::SplitBytes(_) => "split_bytes",
            Self::Crlf(_) => "crlf",
            Self::Comments(_) => "comments",
            Self::MultiLineData(_) => "multi_line_data",
        }
    }

    /// Whether the fault can be done to a reply that is (`true`) or is not streamed.
    pub(crate) fn applies(&self, stream: bool) -> bool {
        match self {
            Self::MalformedJson(_) | Self::WrongLength(_) => !stream,
            Self::MalformedEvent(_)
            | Self::ErrorEvent(_)
            | Self::NoDone(_)
            | Self::NoFinishReason(_)
            | Self::Crlf(_)
            | Self::Comments(_)
            | Self::MultiLineData(_) => stream,
            Self::Refuse(_) => false,
            _ => true,
        }
    }
}
