//! A streamed reply as it is read, whichever format it has.

use bytes::Bytes;

use super::{ReplyFacts, WireFormat, openai};
use crate::call::{ChatRequest, Chunk};

/// What has been read of one stream.
#[derive(Debug)]
pub(crate) enum Reading {
    OpenAi(openai::Reading),
}

impl Reading {
    /// Of the reply to `request`; nothing has been read yet.
    pub(crate) fn new(format: WireFormat, request: &ChatRequest) -> Self {
        match format {
            WireFormat::OpenAi => Self::OpenAi(openai::Reading::new(request)),
        }
    }

    /// Read one event and append the chunks that it makes: whether it says that nothing comes after it.
    ///
    /// # Errors
    /// What the provider says went wrong, or what is wrong with the event, as a sentence without its content.
    pub(crate) fn read(&mut self, data: Bytes, chunks: &mut Vec<Chunk>) -> Result<bool, String> {
        match self {
            Self::OpenAi(reading) => reading.read(data, chunks),
        }
    }

    /// Whether all that was asked for has ended with a reason.
    pub(crate) fn finished(&self) -> bool {
        match self {
            Self::OpenAi(reading) => reading.finished(),
        }
    }

    /// What settling needs to know, as far as it has been told.
    pub(crate) fn facts(&self) -> &ReplyFacts {
        match self {
            Self::OpenAi(reading) => reading.facts(),
        }
    }

    /// An upper bound on the tokens of everything that came.
    pub(crate) fn most_tokens(&self) -> u64 {
        match self {
            Self::OpenAi(reading) => reading.most_tokens(),
        }
    }

    /// The body that the plain call would have had.
    pub(crate) fn body(&self) -> Bytes {
        match self {
            Self::OpenAi(reading) => reading.body(),
        }
    }
}
