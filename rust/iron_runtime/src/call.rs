//! The governed call: what is asked, under which bounds, and what came back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use iron_protocol::{NanoUsd, RequestId};

use crate::budget::Budget;
use crate::json::Json;
use crate::policy::{PolicySet, Told};
use crate::run::Run;
use crate::tool::Approver;

/// UTF-8 text that is shared, not copied, from where it came in to where it is written out.
pub type Text = ByteString;

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

/// The bounds of one call.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The call's id, known to the caller before anything is sent.
    pub request_id: RequestId,
    /// Budgets that hold this call, innermost first; the client's own budget is added to them.
    pub budgets: Vec<Budget>,
    /// Policies that hold this call, innermost first; the client's own policy is added to them.
    pub policies: Vec<PolicySet>,
    /// The run that this call is part of; the call is a run by itself when absent.
    pub run: Option<Run>,
    /// The most that this call may cost, all attempts together.
    pub max_cost: Option<NanoUsd>,
    /// The whole call, waiting and retries included; the configured `timeouts.total_ms` when absent.
    pub timeout: Option<Duration>,
    /// Attempts on each upstream; the configured `retry.max_attempts` when absent.
    pub max_attempts: Option<u32>,
    /// Who decides about calls of tools that rules leave to somebody else.
    pub approver: Option<Arc<dyn Approver>>,
}

impl CallContext {
    /// A context with a new id and only the client's own bounds.
    pub fn new() -> Self {
        Self {
            request_id: RequestId::new(),
            budgets: Vec::new(),
            policies: Vec::new(),
            run: None,
            max_cost: None,
            timeout: None,
            max_attempts: None,
            approver: None,
        }
    }
}

impl Default for CallContext {
    fn default() -> Self {
        Self::new()
    }
}

/// What one call used, as the provider counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input in tokens, of whatever kind: cached, written to the cache, sound, images.
    pub input_tokens: u64,
    /// Input that the provider had cached.
    pub cached_input_tokens: u64,
    /// Input that the provider wrote to its cache, for however long.
    pub cache_write_tokens: u64,
    /// Of that, what it keeps for an hour or longer, where that has another price.
    pub cache_write_1h_tokens: u64,
    /// Input that was sound.
    pub audio_input_tokens: u64,
    /// Input that was images, where the provider counts it by itself.
    pub image_input_tokens: u64,
    /// All output in tokens, reasoning included.
    pub output_tokens: u64,
    /// Output that the model spent on reasoning.
    pub reasoning_tokens: u64,
    /// Output that is sound.
    pub audio_output_tokens: u64,
    /// Output that is images.
    pub image_output_tokens: u64,
    /// Web searches that the provider ran and bills by the piece.
    pub web_searches: u64,
    /// Searches in files that the provider ran.
    pub file_searches: u64,
    /// Programs that the provider ran.
    pub code_executions: u64,
    /// What the provider says that it bills for the call, where it says so.
    pub told_cost: Option<NanoUsd>,
}

impl Usage {
    /// Every count; Python's `Usage` and a client's counters have this order.
    pub const fn counts(&self) -> [u64; 13] {
        [
            self.input_tokens,
            self.cached_input_tokens,
            self.cache_write_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.cache_write_1h_tokens,
            self.audio_input_tokens,
            self.image_input_tokens,
            self.audio_output_tokens,
            self.image_output_tokens,
            self.web_searches,
            self.file_searches,
            self.code_executions,
        ]
    }

    /// The usage of these counts, in the order of [`Usage::counts`].
    pub const fn from_counts(counts: [u64; 13]) -> Self {
        Self {
            input_tokens: counts[0],
            cached_input_tokens: counts[1],
            cache_write_tokens: counts[2],
            output_tokens: counts[3],
            reasoning_tokens: counts[4],
            cache_write_1h_tokens: counts[5],
            audio_input_tokens: counts[6],
            image_input_tokens: counts[7],
            audio_output_tokens: counts[8],
            image_output_tokens: counts[9],
            web_searches: counts[10],
            file_searches: counts[11],
            code_executions: counts[12],
            told_cost: None,
        }
    }
}

/// How sure a cost is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// From the provider's own usage.
    Settled,
    /// Counted by us, an upper bound.
    Estimated,
    /// Unknown: the whole reservation is taken as spent.
    InDoubt,
}

impl Settlement {
    /// The stable `snake_case` text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Estimated => "estimated",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// Where the time of a call went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From admission to the settled reply.
    pub total: Duration,
    /// Waiting for a rate limit, for budget held by other calls, or between attempts.
    pub queued: Duration,
    /// From sending the first byte to the provider to receiving its last, all attempts together.
    pub upstream: Duration,
}

impl Timing {
    /// What governing the call itself took.
    pub fn overhead(&self) -> Duration {
        self.total.saturating_sub(self.queued).saturating_sub(self.upstream)
    }
}

/// What governing a call found out, beside the reply itself.
#[derive(Clone, Debug)]
pub struct CallReport {
    /// The id given in the call's context.
    pub request_id: RequestId,
    /// The upstream that answered: `provider/model`.
    pub upstream: Arc<str>,
    /// Tokens.
    pub usage: Usage,
    /// What the call cost, all attempts together.
    pub cost: NanoUsd,
    /// How sure the cost is.
    pub settlement: Settlement,
    /// Requests sent, on all upstreams together.
    pub attempts: u32,
    /// What was done otherwise than asked, each a sentence.
    pub warnings: Vec<String>,
    /// What the policy found in the call's texts and did about it, in order.
    pub findings: Vec<Told>,
    /// Where the time went.
    pub timing: Timing,
}

/// The reply to a chat or embeddings call.
#[derive(Clone)]
pub struct Reply {
    /// What governing the call found out.
    pub report: CallReport,
    /// The body, as OpenAI shapes it.
    pub body: Bytes,
    /// The provider's own body, untouched, where that has another shape.
    pub raw: Option<Bytes>,
}

impl Reply {
    /// The provider's own body.
    pub fn raw(&self) -> &Bytes {
        self.raw.as_ref().unwrap_or(&self.body)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("report", &self.report)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// One event of a streamed reply.
#[derive(Clone)]
pub struct Chunk {
    /// The event's JSON, as OpenAI shapes it.
    pub data: Bytes,
    /// The provider's own event, untouched, where that has another shape.
    pub raw: Option<Bytes>,
    /// Text added to the choice; empty for events that add none.
    pub text: Text,
    /// The choice it belongs to.
    pub index: u32,
    /// Why the choice ended, on its last event.
    pub finish_reason: Option<Text>,
}

impl Chunk {
    /// The provider's own event.
    pub fn raw(&self) -> &Bytes {
        self.raw.as_ref().unwrap_or(&self.data)
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("index", &self.index)
            .field("text_bytes", &self.text.len())
            .field("finish_reason", &self.finish_reason)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_in_the_order_they_are_told() {
        let counts = std::array::from_fn(|place| place as u64);
        assert_eq!(Usage::from_counts(counts).counts(), counts);
    }
}
