//! Dialects: whose wire format a request speaks.

use bytes::Bytes;

use crate::anthropic;
use crate::openai::error::ApiError;

/// Whose wire format it is, which the path tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    #[default]
    OpenAi,
    Anthropic,
}

impl Dialect {
    pub(crate) fn of(path: &str) -> Self {
        let messages = path == "/v1/messages" || path.starts_with("/v1/messages/");
        if messages { Self::Anthropic } else { Self::OpenAi }
    }

    /// The event after which nothing comes.
    pub(crate) fn end_of_stream(self) -> Bytes {
        Bytes::from_static(match self {
            Self::OpenAi => b"data: [DONE]\n\n",
            Self::Anthropic => b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        })
    }

    /// The body of an error reply.
    pub(crate) fn error(self, error: &ApiError, request_id: &str) -> Bytes {
        match self {
            Self::OpenAi => error.body(),
            Self::Anthropic => anthropic::error::body(error, request_id),
        }
    }
}
