//! The turns of a conversation.

use super::Text;
use crate::json::Json;

/// One turn of a conversation.
#[derive(Clone)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Content,
    /// Every other field in the order given (`tool_calls`, `tool_call_id`, `name`, ...).
    pub extra: Vec<(Text, Json)>,
}

impl Message {
    /// What the user says.
    pub fn user(text: impl Into<Text>) -> Self {
        Self { role: Role::User, content: Content::Text(text.into()), extra: Vec::new() }
    }
}

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Instructions, as newer models name them.
    Developer,
    /// Instructions.
    System,
    /// The person or the program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
    /// The result of a function call, as older models name it.
    Function,
}

impl Role {
    /// Every role, in the order of declaration.
    pub const ALL: [Self; 6] =
        [Self::Developer, Self::System, Self::User, Self::Assistant, Self::Tool, Self::Function];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Function => "function",
        }
    }

    /// The role of that name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// What a message says.
#[derive(Clone)]
pub enum Content {
    /// Nothing, as in an assistant message that only calls tools.
    None,
    /// Plain text.
    Text(Text),
    /// Text, images and files together.
    Parts(Vec<Part>),
}

/// One part of a message.
#[derive(Clone)]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        text: Text,
        /// Every other field of the part.
        extra: Vec<(Text, Json)>,
    },
    /// An image.
    Image {
        /// An `https:` or `data:` URL.
        url: Text,
        /// `low`, `high` or `auto`.
        detail: Option<Text>,
        /// Every other field of the part.
        extra: Vec<(Text, Json)>,
    },
    /// Anything else (audio, files, refusals), as it was given.
    Other(Json),
}
