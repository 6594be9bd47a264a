//! The events of a stream, in whichever dialect.

use crate::anthropic::stream::MessageStream;
use crate::body::Piece;
use crate::fault::Fault;
use crate::openai::stream::ChatStream;

/// Events, made one at a time as they are asked for.
pub(crate) enum Events {
    OpenAi(ChatStream),
    Anthropic(MessageStream),
}

impl Events {
    /// Do `fault` to the events, if it is one that is done to them.
    pub(crate) fn with_fault(self, fault: &Fault) -> Self {
        match self {
            Self::OpenAi(stream) => Self::OpenAi(stream.with_fault(fault)),
            Self::Anthropic(stream) => Self::Anthropic(stream.with_fault(fault)),
        }
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        match self {
            Self::OpenAi(stream) => stream.next(),
            Self::Anthropic(stream) => stream.next(),
        }
    }
}
