//! A chat completion that is not streamed.

use bytes::Bytes;
use serde::Serialize;

use crate::reply::{Call, Choice};
use crate::stats::Usage;

/// What every part of a reply says of itself.
pub(crate) struct Heading {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) created: u64,
    pub(crate) fingerprint: String,
}

/// `usage` as OpenAI sends it.
#[derive(Serialize)]
pub(crate) struct UsageBody {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.input.saturating_add(usage.output),
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached, audio_tokens: 0 },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning,
                audio_tokens: 0,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'a str,
    created: u64,
    model: &'a str,
    choices: Vec<ChoiceBody<'a>>,
    usage: UsageBody,
    service_tier: &'a str,
    system_fingerprint: &'a str,
}

#[derive(Serialize)]
struct ChoiceBody<'a> {
    index: usize,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'a str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallBody<'a>>,
    refusal: Option<&'a str>,
    annotations: [(); 0],
}

#[derive(Serialize)]
struct CallBody<'a> {
    id: &'a str,
    r#type: &'a str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> From<&'a Call> for CallBody<'a> {
    fn from(call: &'a Call) -> Self {
        Self {
            id: &call.id,
            r#type: "function",
            function: Function { name: &call.name, arguments: &call.arguments },
        }
    }
}

/// The body of a reply.
pub(crate) fn completion(heading: &Heading, choices: &[Choice], usage: Usage) -> Bytes {
    let choices = choices.iter().enumerate().map(|(index, choice)| ChoiceBody {
        index,
        message: Message {
            role: "assistant",
            content: choice.content.as_deref(),
            tool_calls: choice.calls.iter().map(CallBody::from).collect(),
            refusal: choice.refusal.as_deref(),
            annotations: [],
        },
        logprobs: None,
        finish_reason: &choice.finish_reason,
    });
    let completion = Completion {
        id: &heading.id,
        object: "chat.completion",
        created: heading.created,
        model: &heading.model,
        choices: choices.collect(),
        usage: usage.into(),
        service_tier: "default",
        system_fingerprint: &heading.fingerprint,
    };
    // Structs of strings and numbers always become JSON.
    serde_json::to_vec(&completion).unwrap_or_default().into()
}
