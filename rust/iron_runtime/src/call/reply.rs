//! What came back: whole, or piece by piece.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::{CallReport, Text};
use crate::output;

/// The reply to a chat or embeddings call.
#[derive(Clone)]
pub struct Reply {
    /// What governing the call found out.
    pub report: CallReport,
    /// The body, as OpenAI shapes it.
    pub body: Bytes,
    /// The provider's own body, untouched, where that has another shape.
    pub raw: Option<Bytes>,
}

impl Reply {
    /// The provider's own body.
    pub fn raw(&self) -> &Bytes {
        self.raw.as_ref().unwrap_or(&self.body)
    }

    /// The text of the first choice; empty if it has none.
    pub fn text(&self) -> Cow<'_, str> {
        output::text(&self.body)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("report", &self.report)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// One event of a streamed reply.
#[derive(Clone)]
pub struct Chunk {
    /// The event's JSON, as OpenAI shapes it.
    pub data: Bytes,
    /// The provider's own event, untouched, where that has another shape.
    pub raw: Option<Bytes>,
    /// Text added to the choice; empty for events that add none.
    pub text: Text,
    /// The choice it belongs to.
    pub index: u32,
    /// Why the choice ended, on its last event.
    pub finish_reason: Option<Text>,
}

impl Chunk {
    /// The provider's own event.
    pub fn raw(&self) -> &Bytes {
        self.raw.as_ref().unwrap_or(&self.data)
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("index", &self.index)
            .field("text_bytes", &self.text.len())
            .field("finish_reason", &self.finish_reason)
            .finish_non_exhaustive()
    }
}
