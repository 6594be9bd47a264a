//! The face of all wire formats: what a call asks of one, whichever it is.

use bytes::Bytes;
use serde::Deserialize;

use super::lacks::Lacks;
use super::{anthropic, openai};
use crate::Error;
use crate::call::{ChatRequest, Usage};
use crate::config::Target;
use crate::pricing::Tier;

/// How a provider is spoken to. Each call is one `match`: no format is behind a pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WireFormat {
    #[default]
    OpenAi,
    Anthropic,
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

/// A reply that has been read.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) facts: ReplyFacts,
    /// As OpenAI shapes it.
    pub(crate) body: Bytes,
    /// As the provider sent it, where that has another shape.
    pub(crate) raw: Option<Bytes>,
}

/// What an error body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) message: Option<String>,
    /// The status that its type or code stands for: an error within a reply that began well has no other.
    pub(crate) status: Option<u16>,
    pub(crate) out_of_quota: bool,
    /// The request does not fit the model's context.
    pub(crate) too_long: bool,
}

impl Told {
    /// What is wrong with a reply that tells no error itself.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::default() }
    }
}

impl WireFormat {
    /// Where chats go, below the provider's base URL.
    pub(crate) const fn chat_path(self) -> &'static str {
        match self {
            Self::OpenAi => "chat/completions",
            Self::Anthropic => "v1/messages",
        }
    }

    /// Where embeddings go, below the provider's base URL, if the format has any.
    pub(crate) const fn embeddings_path(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("embeddings"),
            Self::Anthropic => None,
        }
    }

    /// A chat's body. What is done otherwise than asked is added to `warnings`.
    ///
    /// # Errors
    /// [`Error::Config`] for what the provider cannot be asked.
    pub(crate) fn chat(
        self,
        request: &ChatRequest,
        target: &Target,
        output: Output,
        stream: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Bytes, Error> {
        let mut lacks = Lacks::new(&target.provider, warnings);
        match self {
            Self::OpenAi => openai::chat(request, target, output, stream, &mut lacks),
            Self::Anthropic => anthropic::chat(request, target, output, stream, &mut lacks),
        }
    }

    /// Read the body of a reply that succeeded by its status.
    ///
    /// # Errors
    /// The error that it tells, or what is wrong with it, as a sentence without its content.
    pub(crate) fn reply(self, body: &Bytes) -> Result<Decoded, Told> {
        match self {
            Self::OpenAi => {
                let facts = openai::reply_facts(body)?;
                Ok(Decoded { facts, body: body.clone(), raw: None })
            }
            Self::Anthropic => {
                let (facts, shaped) = anthropic::reply(body)?;
                Ok(Decoded { facts, body: shaped, raw: Some(body.clone()) })
            }
        }
    }

    /// Read the body of an error status.
    pub(crate) fn error(self, body: &[u8]) -> Told {
        match self {
            Self::OpenAi => openai::error(body),
            Self::Anthropic => anthropic::error(body),
        }
    }
}
