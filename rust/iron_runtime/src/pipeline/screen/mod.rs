//! Screening: a call's texts held against the policy, before they are sent and before they are handed over.

mod called;
mod channel;
mod reply;
mod request;
mod restore;
mod restore_stream;
mod stream;
mod walk;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value};

use self::called::Answers;
pub(super) use self::called::Asker;
pub(crate) use self::restore::Pseudonyms;
pub(crate) use self::restore_stream::StreamRestore;
pub(crate) use self::stream::StreamScreen;
pub(super) use self::stream::{Event, spoken, unreadable};
use super::Call;
use crate::call::Text;
use crate::json::Json;
use crate::policy::{Action, Caller, Chain, Decision, Direction, Full, History, Told, Totals};
use crate::run::Run;
use crate::{Error, PolicyDenied};

/// Fields of messages and requests that name things: what is in them is no one's text. Within the arguments of a function
/// they are the function's own, and as good a place for text as any.
const NAMES: [&str; 7] = ["id", "type", "role", "object", "tool_call_id", "finish_reason", "model"];
/// A function's arguments: JSON, written as text.
const ARGUMENTS: &str = "arguments";
/// A call of a tool that takes free text, and the field that has it.
const CUSTOM: &str = "custom";
const INPUT: &str = "input";

/// Policies at work on what one call sends, or on what it is answered.
pub(super) struct Screen<'c> {
    policies: &'c Chain,
    /// What earlier calls have sent; nothing of what a model says, which is said once.
    history: Option<&'c History>,
    totals: Totals,
    /// Those of the call, if rules make any.
    pseudonyms: Option<&'c Pseudonyms>,
    /// The tool that the text in hand goes to or comes from.
    tool: Option<String>,
    /// What has been found, in order.
    told: &'c mut Vec<Told>,
    answers: &'c mut Answers,
}

impl Call {
    /// The policies as they speak of this call.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`] if they refuse it whatever it says; [`Error::Config`] for a model that is not known.
    fn hold(&mut self, model: &str) -> Result<Arc<Chain>, Error> {
        let engine = &self.engine;
        let route = engine.route(model)?;
        let upstreams = route.targets().map(|target| &*target.listed);
        let caller = Caller::new(&self.who, engine.config.model(model), upstreams);
        let chain = Arc::new(Chain::new(&*self.policies, &caller));
        chain.admit(&caller)?;
        if chain.pseudonymizes.is_some() {
            // Outside of a run, a call is one by itself.
            let run = self.context.run.as_ref().map(Run::pseudonyms);
            self.pseudonyms = Some(Pseudonyms::new(run.cloned().unwrap_or_default()));
        }
        self.held = Some(chain.clone());
        Ok(chain)
    }
}

impl<'c> Screen<'c> {
    fn new(
        policies: &'c Chain,
        history: Option<&'c History>,
        told: &'c mut Vec<Told>,
        answers: &'c mut Answers,
    ) -> Self {
        Self { policies, history, pseudonyms: None, totals: Totals::default(), tool: None, told, answers }
    }
}

impl Screen<'_> {
    fn text(&mut self, text: &mut Text, direction: Direction) -> Result<(), Error> {
        if let Some(changed) = self.judged(text, Some(text), direction)? {
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
                if let Some(judged) = self.judged(text, None, direction)? {
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
                // Of what is within arguments and results nothing names the tool: whoever wrote it could name another.
                if direction == Direction::Output && self.policies.names_tools {
                    self.tool = fields.get("name").and_then(Value::as_str).map(str::to_owned);
                }
                for (name, value) in fields {
                    changed |= match value {
                        Value::String(_) if names.contains(&name.as_str()) => false,
                        Value::String(text) if name == ARGUMENTS => self.arguments(text, direction)?,
                        Value::Object(custom) if name == CUSTOM && direction == Direction::Output => {
                            self.custom(custom)?
                        }
                        value => self.value(value, direction, names)?,
                    };
                }
            }
            _ => {}
        }
        Ok(changed)
    }

    /// Judge the call of a tool that takes free text.
    fn custom(&mut self, call: &mut Map<String, Value>) -> Result<bool, Error> {
        if self.policies.names_tools {
            self.tool = call.get("name").and_then(Value::as_str).map(str::to_owned);
        }
        let mut changed = false;
        for (name, value) in call {
            changed |= match value {
                Value::String(text) if name == INPUT => self.input(text)?,
                value => self.value(value, Direction::Output, &NAMES)?,
            };
        }
        Ok(changed)
    }

    /// Judge the free text that a tool is given.
    fn input(&mut self, text: &mut String) -> Result<bool, Error> {
        let judged = self.judged(text, None, Direction::ToolArguments)?;
        let changed = judged.is_some();
        *text = judged.unwrap_or_else(|| std::mem::take(text));
        Ok(changed)
    }

    /// Judge the texts within the arguments, so that an escape hides nothing and what is changed stays JSON.
    fn arguments(&mut self, text: &mut String, direction: Direction) -> Result<bool, Error> {
        let direction = if direction == Direction::Output { Direction::ToolArguments } else { direction };
        let Ok(mut value) = serde_json::from_str::<Value>(text) else {
            let judged = self.judged(text, None, direction)?;
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

    /// Count the text.
    fn measured(&mut self, text: &str, direction: Direction) -> Result<(), Error> {
        let tool = self.tool.as_deref();
        let Some(measured) = self.policies.measure(text.len(), direction, tool, &mut self.totals) else {
            return Ok(());
        };
        self.told.extend(measured.told(direction));
        if measured.action == Action::Block { Err(too_long(&measured, direction, tool)) } else { Ok(()) }
    }

    /// The text after its judgement; `None` where it stays.
    fn judged(
        &mut self,
        text: &str,
        shared: Option<&Text>,
        direction: Direction,
    ) -> Result<Option<String>, Error> {
        self.measured(text, direction)?;
        let (policies, tool) = (self.policies, self.tool.as_deref());
        let mut called = self.answers.of(policies.called(direction), text, direction);
        let given = self.pseudonyms.and_then(Pseudonyms::given);
        if let Some(given) = given.filter(|_| direction == Direction::ToolArguments) {
            // A tool is given what placeholders stand for: it is that which rules on tools speak of.
            called.extend(given.stand_ins(text));
        }
        // What a detector of the user's own says of a text is not kept: another time it may say something else.
        let sent = matches!(direction, Direction::Input | Direction::ToolResults);
        let scope = self.pseudonyms.filter(|_| sent).map(Pseudonyms::vault);
        let judgement = match self.history.filter(|_| sent && policies.called(direction).is_empty()) {
            Some(history) => policies.judge_known(history, text, shared, direction, tool, scope),
            None => policies.judge_with(text, direction, tool, called, scope),
        };
        let judgement = judgement.map_err(|full| crowded(policies, full, direction))?;
        let first = self.told.len();
        self.told.extend(judgement.decisions.iter().filter_map(|decision| decision.told(direction)));
        match self.told[first..].iter().find(|told| told.action == Action::Block) {
            Some(told) => Err(Error::ContentBlocked(Box::new(told.clone()))),
            None => Ok(judgement.text),
        }
    }
}

/// The scope of a call has no room for its pseudonyms.
fn crowded(policies: &Chain, full: Full, direction: Direction) -> Error {
    Error::PolicyDenied(Box::new(PolicyDenied {
        rule: policies.pseudonymizes.clone().unwrap_or_default(),
        direction,
        tool: None,
        reason: full.to_string(),
        cause: None,
    }))
}

fn too_long(measured: &Decision, direction: Direction, tool: Option<&str>) -> Error {
    let place = direction.as_str().replace('_', " ");
    Error::PolicyDenied(Box::new(PolicyDenied {
        rule: measured.rule.clone().unwrap_or_default(),
        direction,
        tool: tool.map(Arc::from),
        reason: format!("{place} is {}; shorten it, or raise the bound", measured.finding.reason),
        cause: None,
    }))
}
