//! Anthropic's wire format: messages.

pub(crate) mod error;
pub(crate) mod message;
mod prompt;
pub(crate) mod request;
pub(crate) mod stream;
