//! A streamed reply as it is read, whichever format it has.

use bytes::Bytes;

use super::{ReplyFacts, Told, WireFormat, anthropic, openai};
use crate::call::{ChatRequest, Chunk};

/// What has been read of one stream.
#[derive(Debug)]
pub(crate) enum Reading {
    OpenAi(openai::Reading),
    Anthropic(anthropic::Reading),
}

/// A reply put together from its events.
#[derive(Debug)]
pub(crate) struct Whole {
    /// As OpenAI shapes it.
    pub(crate) body: Bytes,
    /// As the provider shapes it, where that is another shape.
    pub(crate) raw: Option<Bytes>,
}

impl Reading {
    /// Of the reply to `request`; nothing has been read yet.
    pub(crate) fn new(format: WireFormat, request: &ChatRequest) -> Self {
        match format {
            WireFormat::OpenAi => Self::OpenAi(openai::Reading::new(request)),
            WireFormat::Anthropic => Self::Anthropic(anthropic::Reading::new(request)),
        }
    }

    /// Read one event and append the chunks that it makes: whether it says that nothing comes after it.
    ///
    /// # Errors
    /// The error that it tells, or what is wrong with it, as a sentence without its content.
    pub(crate) fn read(&mut self, data: Bytes, chunks: &mut Vec<Chunk>) -> Result<bool, Told> {
        match self {
            Self::OpenAi(reading) => reading.read(data, chunks),
            Self::Anthropic(reading) => reading.read(data, chunks),
        }
    }

    /// Whether all that was asked for has ended with a reason.
    pub(crate) fn finished(&self) -> bool {
        match self {
            Self::OpenAi(reading) => reading.finished(),
            Self::Anthropic(reading) => reading.finished(),
        }
    }

    /// What settling needs to know, as far as it has been told.
    pub(crate) fn facts(&self) -> &ReplyFacts {
        match self {
            Self::OpenAi(reading) => reading.facts(),
            Self::Anthropic(reading) => reading.facts(),
        }
    }

    /// An upper bound on the tokens of everything that came.
    pub(crate) fn most_tokens(&self) -> u64 {
        match self {
            Self::OpenAi(reading) => reading.most_tokens(),
            Self::Anthropic(reading) => reading.most_tokens(),
        }
    }

    /// What the plain call would have given.
    pub(crate) fn whole(&self) -> Whole {
        match self {
            Self::OpenAi(reading) => Whole { body: reading.body(), raw: None },
            Self::Anthropic(reading) => reading.whole(),
        }
    }
}

/// Whether the caller asked for the event that tells the usage; otherwise it is ours alone.
pub(super) fn shows_usage(request: &ChatRequest) -> bool {
    request.param("stream_options").is_some_and(|options| {
        let options: Result<serde_json::Value, _> = serde_json::from_str(options.as_str());
        options.is_ok_and(|options| options["include_usage"] == true)
    })
}
