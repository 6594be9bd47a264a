//! The face of all wire formats: what a call asks of one, whichever it is.

use bytes::Bytes;

use super::openai;
use crate::call::{ChatRequest, EmbedRequest, Usage};
use crate::config::Target;
use crate::pricing::Tier;

/// How a provider is spoken to. Each call is one `match`: no format is behind a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireFormat {
    OpenAi,
}

/// The bound on the output as it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Output {
    /// What the caller asked for, if anything.
    Asked,
    /// Lowered to fit a budget.
    Lowered(u64),
}

/// What settling a reply needs to know.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplyFacts {
    /// `None` if the provider told none, or none that can be true.
    pub(crate) usage: Option<Usage>,
    pub(crate) tier: Option<Tier>,
}

/// What an error body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) message: Option<String>,
    pub(crate) out_of_quota: bool,
    /// The request does not fit the model's context.
    pub(crate) too_long: bool,
}

impl WireFormat {
    /// Where chats go, below the provider's base URL.
    pub(crate) const fn chat_path(self) -> &'static str {
        match self {
            Self::OpenAi => "chat/completions",
        }
    }

    /// Where embeddings go, below the provider's base URL.
    pub(crate) const fn embeddings_path(self) -> &'static str {
        match self {
            Self::OpenAi => "embeddings",
        }
    }

    /// A chat's body.
    pub(crate) fn chat(self, request: &ChatRequest, target: &Target, output: Output, stream: bool) -> Bytes {
        match self {
            Self::OpenAi => openai::chat(request, target, output, stream),
        }
    }

    /// An embeddings request's body.
    pub(crate) fn embed(self, request: &EmbedRequest, target: &Target) -> Bytes {
        match self {
            Self::OpenAi => openai::embed(request, target),
        }
    }

    /// Read the body of a reply that succeeded by its status.
    ///
    /// # Errors
    /// What is wrong with the body, as a sentence without its content.
    pub(crate) fn reply(self, body: &Bytes) -> Result<ReplyFacts, String> {
        match self {
            Self::OpenAi => openai::reply_facts(body),
        }
    }

    /// Read the body of an error status.
    pub(crate) fn error(self, body: &[u8]) -> Told {
        match self {
            Self::OpenAi => openai::error(body),
        }
    }
}
