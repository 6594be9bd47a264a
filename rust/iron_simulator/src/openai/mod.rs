//! The OpenAI wire format.

pub(crate) mod chat;
pub(crate) mod embeddings;
pub(crate) mod error;
mod fields;
pub(crate) mod models;
mod prompt;
pub(crate) mod request;
pub(crate) mod stream;
