//! What is asked of a provider.

use std::fmt;

use super::{Message, Text};
use crate::json::Json;

/// A chat completion as OpenAI shapes it.
#[derive(Clone)]
pub struct ChatRequest {
    /// A route's alias, or `provider/model`.
    pub model: String,
    /// The conversation; never empty.
    pub messages: Vec<Message>,
    /// The most output tokens of each choice, reasoning included.
    pub max_tokens: Option<u32>,
    /// How many choices; 1 when absent.
    pub n: Option<u32>,
    /// Every other field of the request body in the order given, known to us or not.
    pub params: Vec<(Text, Json)>,
}

impl ChatRequest {
    /// A request with no optional field.
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self { model: model.into(), messages, max_tokens: None, n: None, params: Vec::new() }
    }

    /// The field `name` of the request body, if it was given.
    pub fn param(&self, name: &str) -> Option<&Json> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the content: a debug line must not carry a prompt.
        f.debug_struct("ChatRequest")
            .field("model", &self.model)
            .field("messages", &self.messages.len())
            .finish_non_exhaustive()
    }
}

/// The inputs of an embeddings call.
#[derive(Clone)]
pub struct EmbedRequest {
    /// `provider/model` or an alias.
    pub model: String,
    /// The texts; never empty.
    pub input: Vec<Text>,
    /// Every other field of the request body in the order given.
    pub params: Vec<(Text, Json)>,
}
