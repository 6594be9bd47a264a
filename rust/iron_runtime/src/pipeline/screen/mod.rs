//! Screening: a call's texts held against the policy, before they are sent and before they are handed over.

mod called;
mod reply;
mod request;

use serde_json::Value;

use self::called::Answers;
use crate::Error;
use crate::call::Text;
use crate::json::Json;
use crate::policy::{Action, Direction, PolicySet, Told};

/// Fields of messages and requests that name things: what is in them is no one's text. Within the arguments of a function
/// they are the function's own, and as good a place for text as any.
const NAMES: [&str; 7] = ["id", "type", "role", "object", "tool_call_id", "finish_reason", "model"];
/// A function's arguments: JSON, written as text.
const ARGUMENTS: &str = "arguments";

/// Policies at work on one call, innermost first: each judges what the one before it let pass.
pub(super) struct Screen<'c> {
    policies: &'c [PolicySet],
    /// What has been found, in order.
    told: &'c mut Vec<Told>,
    answers: &'c mut Answers,
}

impl Screen<'_> {
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

    /// The text after its judgement; `None` where it stays.
    fn judged(&mut self, text: &str, direction: Direction) -> Result<Option<String>, Error> {
        let mut judged: Option<String> = None;
        for policy in self.policies {
            let text = judged.as_deref().unwrap_or(text);
            let called = self.answers.of(policy.called(direction), text, direction);
            let judgement = policy.judge_with(text, direction, called);
            let told = judgement.decisions.iter().filter_map(|decision| decision.told(direction));
            let first = self.told.len();
            self.told.extend(told);
            if let Some(told) = self.told[first..].iter().find(|told| told.action == Action::Block) {
                return Err(Error::ContentBlocked(Box::new(told.clone())));
            }
            judged = judgement.text.or(judged);
        }
        Ok(judged)
    }
}
