//! Screening: a call's texts held against the policy, before they are sent and before they are handed over.

use bytes::Bytes;
use serde_json::Value;

use super::Call;
use super::attempt::Answer;
use crate::Error;
use crate::call::{ChatRequest, Content, EmbedRequest, Message, Part, Role, Text};
use crate::json::Json;
use crate::policy::{Action, Direction, PolicySet, Told};

/// Fields of messages and requests that name things: what is in them is no one's text. Within the arguments of a function
/// they are the function's own, and as good a place for text as any.
const NAMES: [&str; 7] = ["id", "type", "role", "object", "tool_call_id", "finish_reason", "model"];
/// A function's arguments: JSON, written as text.
const ARGUMENTS: &str = "arguments";

/// A policy at work on one call.
struct Screen<'c> {
    policy: &'c PolicySet,
    told: &'c mut Vec<Told>,
}

impl Call {
    /// Hold a chat's request against the policy: what it lets pass is left in `request`.
    ///
    /// # Errors
    /// [`Error::ContentBlocked`] if a rule refuses; [`Error::Config`] for a stream whose text no rule could hold back.
    pub(super) fn screen_chat(&mut self, request: &mut ChatRequest, stream: bool) -> Result<(), Error> {
        let engine = self.engine.clone();
        let Some(policy) = &engine.config.policy else { return Ok(()) };
        if let Some(rule) = policy.acts_on_output().filter(|_| stream) {
            return Err(Error::config(format!(
                "rule {rule:?} acts on output, which it cannot do once a stream has shown it: \
                 use chat, or give the rule direction = [\"input\", \"tool_results\"]"
            )));
        }
        let mut screen = Screen { policy, told: &mut self.findings };
        for message in &mut request.messages {
            screen.message(message)?;
        }
        screen.fields(&mut request.params, Direction::Input)
    }

    /// The same for embeddings.
    pub(super) fn screen_embed(&mut self, request: &mut EmbedRequest) -> Result<(), Error> {
        let engine = self.engine.clone();
        let Some(policy) = &engine.config.policy else { return Ok(()) };
        let mut screen = Screen { policy, told: &mut self.findings };
        for text in &mut request.input {
            screen.text(text, Direction::Input)?;
        }
        screen.fields(&mut request.params, Direction::Input)
    }

    /// Hold a whole reply against the policy.
    ///
    /// # Errors
    /// [`Error::ContentBlocked`] if a rule refuses it; the call has been settled by then.
    pub(super) fn screen_reply(&mut self, answer: Answer) -> Result<Answer, Error> {
        let engine = self.engine.clone();
        let (Some(policy), Answer::Whole { body, raw, usage, upstream }) = (&engine.config.policy, answer)
        else {
            // Streams that a rule would act on were refused.
            return Err(super::unexpected());
        };
        let mut screen = Screen { policy, told: &mut self.findings };
        Ok(match screen.body(&body)? {
            // What the provider sent would tell what was taken out.
            Some(body) => Answer::Whole { body, raw: None, usage, upstream },
            None => Answer::Whole { body, raw, usage, upstream },
        })
    }
}

impl Screen<'_> {
    fn message(&mut self, message: &mut Message) -> Result<(), Error> {
        let direction = match message.role {
            Role::Tool | Role::Function => Direction::ToolResults,
            _ => Direction::Input,
        };
        match &mut message.content {
            Content::None => {}
            Content::Text(text) => self.text(text, direction)?,
            Content::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Text { text, extra } => {
                            self.text(text, direction)?;
                            self.fields(extra, direction)?;
                        }
                        Part::Image { url, extra, .. } => {
                            if !url.starts_with("data:") {
                                self.text(url, direction)?;
                            }
                            self.fields(extra, direction)?;
                        }
                        Part::Other(json) => self.json(json, direction)?,
                    }
                }
            }
        }
        self.fields(&mut message.extra, direction)
    }

    fn fields(&mut self, fields: &mut [(Text, Json)], direction: Direction) -> Result<(), Error> {
        for (name, value) in fields {
            if !NAMES.contains(&&**name) {
                self.json(value, direction)?;
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &mut Text, direction: Direction) -> Result<(), Error> {
        if let Some(changed) = self.judged(text, direction)? {
            *text = changed.into();
        }
        Ok(())
    }

    fn json(&mut self, json: &mut Json, direction: Direction) -> Result<(), Error> {
        // A value without text has nothing to judge.
        if !json.as_str().contains('"') {
            return Ok(());
        }
        let mut value: Value = serde_json::from_str(json.as_str())
            .map_err(|error| Error::config(format!("not valid JSON: {error}")))?;
        if self.value(&mut value, direction, &NAMES)? {
            *json = Json::from_value(&value)?;
        }
        Ok(())
    }

    /// Judge every text in a value but that of fields in `names`: whether one of them changed.
    fn value(&mut self, value: &mut Value, direction: Direction, names: &[&str]) -> Result<bool, Error> {
        let mut changed = false;
        match value {
            Value::String(text) => {
                if let Some(judged) = self.judged(text, direction)? {
                    *text = judged;
                    changed = true;
                }
            }
            Value::Array(values) => {
                for value in values {
                    changed |= self.value(value, direction, names)?;
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    changed |= match value {
                        Value::String(_) if names.contains(&name.as_str()) => false,
                        Value::String(text) if name == ARGUMENTS => self.arguments(text, direction)?,
                        value => self.value(value, direction, names)?,
                    };
                }
            }
            _ => {}
        }
        Ok(changed)
    }

    /// Judge the texts within the arguments, so that an escape hides nothing and what is changed stays JSON.
    fn arguments(&mut self, text: &mut String, direction: Direction) -> Result<bool, Error> {
        let direction = if direction == Direction::Output { Direction::ToolArguments } else { direction };
        let Ok(mut value) = serde_json::from_str::<Value>(text) else {
            let judged = self.judged(text, direction)?;
            let changed = judged.is_some();
            *text = judged.unwrap_or_else(|| std::mem::take(text));
            return Ok(changed);
        };
        let changed = self.value(&mut value, direction, &[])?;
        if changed {
            *text = value.to_string();
        }
        Ok(changed)
    }

    /// The body of a reply with its texts judged; `None` where none of them changed.
    fn body(&mut self, body: &Bytes) -> Result<Option<Bytes>, Error> {
        let mut whole: Value = serde_json::from_slice(body)
            .map_err(|_| Error::Internal { message: "a decoded reply is no JSON".to_owned() })?;
        let mut changed = false;
        for choice in whole.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(message) = choice.get_mut("message") else { continue };
            if self.value(message, Direction::Output, &NAMES)? {
                changed = true;
                // The tokens of the text, one by one.
                if let Some(logprobs) = choice.get_mut("logprobs") {
                    *logprobs = Value::Null;
                }
            }
        }
        Ok(changed.then(|| whole.to_string().into()))
    }

    /// The text after its judgement; `None` where it stays.
    fn judged(&mut self, text: &str, direction: Direction) -> Result<Option<String>, Error> {
        let judgement = self.policy.judge(text, direction);
        let told = judgement.decisions.iter().filter_map(|decision| decision.told(direction));
        let first = self.told.len();
        self.told.extend(told);
        match self.told[first..].iter().find(|told| told.action == Action::Block) {
            Some(told) => Err(Error::ContentBlocked(Box::new(told.clone()))),
            None => Ok(judgement.text),
        }
    }
}
