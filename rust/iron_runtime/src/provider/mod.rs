//! Wire formats: one module each, behind one face.

mod anthropic;
mod counts;
mod fields;
mod format;
mod lacks;
mod openai;
mod reading;
pub(crate) mod vendor;
mod writer;

#[cfg(test)]
mod property;

pub(crate) use format::{Decoded, Output, ReplyFacts, Told, WireFormat};
// Embeddings have OpenAI's shape wherever they exist.
pub(crate) use openai::{embed, merge, messages_json};
pub(crate) use reading::{Reading, Whole};
