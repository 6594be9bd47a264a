//! What an upstream can do wrong: what the caller is told, how many requests the upstream sees, and what is paid.

mod docs;
mod expected;
mod measure;
pub(crate) mod raw;
mod sent;
mod simulated;
mod streams;
mod wire;

use iron_protocol::{ErrorCode, NanoUsd};
use iron_runtime::budget::Budget;
use iron_runtime::{CallContext, ChatRequest, Client, Error, Reply, Settlement};

use crate::rig::{Wire, ask, reserved, soon, within};

const PROMPT: &str = "What can go wrong?";
const OUTPUT_TOKENS: u32 = 20;

/// How a chat is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Stream,
}

const FORMS: [Form; 2] = [Form::Plain, Form::Stream];

/// A form in a format.
type Way = (Wire, Form);

const WAYS: [Way; 4] = [
    (Wire::OpenAi, Form::Plain),
    (Wire::OpenAi, Form::Stream),
    (Wire::Anthropic, Form::Plain),
    (Wire::Anthropic, Form::Stream),
];

/// What comes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The whole reply.
    Reply,
    /// An error of that code.
    Told(ErrorCode),
    /// An error that says what was wrong with a reply of that status.
    Status(u16),
}

/// What the attempts of a call have cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paid {
    /// Each was released.
    Nothing,
    /// Each may be billed, and costs its whole reservation.
    InDoubt,
    /// What the provider counted.
    Served,
}

/// What one call has come to.
struct Ended {
    outcome: Outcome,
    error: Option<Error>,
    /// Of a reply.
    settlement: Option<Settlement>,
    /// The text that the caller has had, of a reply or of half of one.
    text: String,
}

fn request() -> ChatRequest {
    ask(PROMPT, OUTPUT_TOKENS)
}

fn limited(budget: &Budget, attempts: u32) -> CallContext {
    CallContext { max_attempts: Some(attempts), ..within([budget.clone()]) }
}

/// What so many attempts in doubt cost.
fn in_doubt(attempts: u64) -> NanoUsd {
    NanoUsd::from_nanos(reserved(PROMPT, OUTPUT_TOKENS).nanos() * i64::try_from(attempts).unwrap())
}

/// Make one call to its end, whichever that is.
async fn end(client: &Client, form: Form, context: CallContext) -> Ended {
    match form {
        Form::Plain => match soon(client.chat(request(), context)).await {
            Ok(reply) => {
                let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
                let text = body["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
                Ended::well(&reply, text)
            }
            Err(error) => Ended::badly(error, String::new()),
        },
        Form::Stream => streamed(client, context).await,
    }
}

async fn streamed(client: &Client, context: CallContext) -> Ended {
    let mut stream = match soon(client.stream(request(), context)).await {
        Ok(stream) => stream,
        Err(error) => return Ended::badly(error, String::new()),
    };
    let mut text = String::new();
    while let Some(batch) = soon(stream.next_batch()).await {
        match batch {
            Ok(chunks) => text.extend(chunks.iter().map(|chunk| &*chunk.text)),
            Err(error) => {
                // What is incomplete is never presented as complete.
                assert!(soon(stream.next_batch()).await.is_none());
                assert!(soon(stream.reply()).await.is_err());
                return Ended::badly(error, text);
            }
        }
    }
    let reply = soon(stream.reply()).await.unwrap();
    Ended::well(&reply, text)
}

impl Ended {
    fn well(reply: &Reply, text: String) -> Self {
        Self { outcome: Outcome::Reply, error: None, settlement: Some(reply.report.settlement), text }
    }

    fn badly(error: Error, text: String) -> Self {
        let outcome = match &error {
            Error::UpstreamStatus { status, .. } => Outcome::Status(*status),
            other => Outcome::Told(other.code()),
        };
        Self { outcome, error: Some(error), settlement: None, text }
    }

    /// What the caller is told.
    fn message(&self) -> String {
        self.error.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}
