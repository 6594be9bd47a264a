//! Faults: the ways in which a reply goes wrong.

use serde::{Deserialize, Serialize};

mod detail;

pub use detail::{
    At, Bare, BreakFault, Coding, EmptyFault, EndlessFault, ErrorBody, EventFault, Filler, LengthFault,
    PaddingFault, RedirectFault, RetryAfter, StallFault, StatusFault, TruncateFault,
};

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
    /// Refused with status 200 and a page in HTML.
    Page(Bare),
    /// *Stream*: refused with a stream that has no events, or `[DONE]` alone.
    EmptyStream(EmptyFault),
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
    /// *Plain*: the body is chunked, and the connection is closed before the last of it.
    TruncatedChunks(TruncateFault),
    /// White space stands before the reply, and all of it may be compressed: a body without measure, or a bomb.
    Padded(PaddingFault),
    /// *Stream*: the data of one event is not JSON.
    MalformedEvent(EventFault),
    /// *Stream*: an event with an error stands in place of the rest.
    ErrorEvent(EventFault),
    /// *Stream*: no `[DONE]` at the end.
    NoDone(Bare),
    /// *Stream*: no chunk has a `finish_reason`.
    NoFinishReason(Bare),
    /// *Stream*: it never ends. The reply's tokens count; what follows them is not generated and counts nothing.
    Endless(EndlessFault),
    /// *Stream*: a byte-order mark stands at the start.
    Bom(Bare),
    /// Every byte of the body is written alone, in a chunk of its own if chunked, so that every character is split.
    SplitBytes(Bare),
    /// *Stream*: lines end in CR LF.
    Crlf(Bare),
    /// *Stream*: a comment stands before each event.
    Comments(Bare),
    /// *Stream*: the data of each event takes two lines.
    MultiLineData(Bare),
}

impl Fault {
    /// Every kind's name, in the order of their definition.
    pub const KINDS: [&'static str; 24] = [
        "status",
        "refuse",
        "redirect",
        "error_in_ok",
        "empty_body",
        "page",
        "empty_stream",
        "stall",
        "reset",
        "close",
        "malformed_json",
        "wrong_length",
        "truncated_chunks",
        "padded",
        "malformed_event",
        "error_event",
        "no_done",
        "no_finish_reason",
        "endless",
        "bom",
        "split_bytes",
        "crlf",
        "comments",
        "multi_line_data",
    ];

    /// Refused with OpenAI's error of that status.
    pub fn status(status: u16) -> Self {
        Self::Status(StatusFault::new(status))
    }
    /// The kind's name, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Refuse(_) => "refuse",
            Self::Redirect(_) => "redirect",
            Self::ErrorInOk(_) => "error_in_ok",
            Self::EmptyBody(_) => "empty_body",
            Self::Page(_) => "page",
            Self::EmptyStream(_) => "empty_stream",
            Self::Stall(_) => "stall",
            Self::Reset(_) => "reset",
            Self::Close(_) => "close",
            Self::MalformedJson(_) => "malformed_json",
            Self::WrongLength(_) => "wrong_length",
            Self::TruncatedChunks(_) => "truncated_chunks",
            Self::Padded(_) => "padded",
            Self::MalformedEvent(_) => "malformed_event",
            Self::ErrorEvent(_) => "error_event",
            Self::NoDone(_) => "no_done",
            Self::NoFinishReason(_) => "no_finish_reason",
            Self::Endless(_) => "endless",
            Self::Bom(_) => "bom",
            Self::SplitBytes(_) => "split_bytes",
            Self::Crlf(_) => "crlf",
            Self::Comments(_) => "comments",
            Self::MultiLineData(_) => "multi_line_data",
        }
    }

    /// Whether the fault can be done to a reply that is (`true`) or is not streamed.
    pub(crate) fn applies(&self, stream: bool) -> bool {
        match self {
            Self::MalformedJson(_) | Self::WrongLength(_) | Self::TruncatedChunks(_) => !stream,
            Self::EmptyStream(_)
            | Self::MalformedEvent(_)
            | Self::ErrorEvent(_)
            | Self::NoDone(_)
            | Self::NoFinishReason(_)
            | Self::Endless(_)
            | Self::Bom(_)
            | Self::Crlf(_)
            | Self::Comments(_)
            | Self::MultiLineData(_) => stream,
            Self::Refuse(_) => false,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_kinds_is_the_one_that_is_read() {
        let error = serde_json::from_str::<Fault>(r#"{"kind": "?"}"#).unwrap_err().to_string();
        let (_, read) = error.split_once("expected one of ").unwrap();
        let read: Vec<_> = read.split('`').skip(1).step_by(2).collect();
        assert_eq!(read, Fault::KINDS);
    }
}
