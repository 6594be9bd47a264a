//! What a model answers bit by bit: every text of a stream, shown once it is judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::called::Answers;
use super::walk::{Choice, Walk};
use super::{NAMES, Pseudonyms, Screen};
use crate::Error;
use crate::call::{ChatRequest, Chunk, Text};
use crate::detect::Waits;
use crate::policy::{Chain, Direction, Pace, Told, Totals};
use crate::provider::{Reading, Whole, WireFormat};

/// A stream on its way through the policies that hold it.
pub(crate) struct StreamScreen {
    policies: Arc<Chain>,
    totals: Totals,
    /// How what the model says is judged, and what it waits for.
    said: (Pace, Waits),
    /// How what it passes to tools is judged.
    passed: Pace,
    choices: BTreeMap<u32, Choice>,
    /// What placeholders stand for in what is passed to tools.
    pseudonyms: Option<Pseudonyms>,
    /// What was shown, for the reply that is put together of it.
    shown: Reading,
}

impl StreamScreen {
    /// For the reply to `request`.
    pub(crate) fn new(policies: &Arc<Chain>, request: &ChatRequest) -> Self {
        let (passed, _) = policies.pace(Direction::ToolArguments);
        let asks = policies.asks_of_replies();
        Self {
            said: policies.pace(Direction::Output),
            // Arguments are of use whole alone, and only whole they can be read.
            passed: if passed == Pace::Behind && !asks { passed } else { Pace::Whole },
            policies: policies.clone(),
            totals: Totals::default(),
            choices: BTreeMap::new(),
            pseudonyms: None,
            shown: Reading::new(WireFormat::OpenAi, request),
        }
    }

    /// With placeholders that stand for something.
    pub(crate) fn with(self, pseudonyms: Option<Pseudonyms>) -> Self {
        Self { pseudonyms, ..self }
    }

    /// Whether nothing waits: all is judged once it has been shown.
    pub(crate) fn is_behind(&self) -> bool {
        self.said.0 == Pace::Behind && self.passed == Pace::Behind
    }

    /// Let pass into `shown` what may be shown of what came.
    ///
    /// # Errors
    /// [`Error::ContentBlocked`] or [`Error::PolicyDenied`] if a rule refuses a text; what came before it is in `shown`.
    pub(crate) fn pass(
        &mut self,
        came: impl Iterator<Item = Chunk>,
        shown: &mut Vec<Chunk>,
    ) -> Result<(), Error> {
        for chunk in came {
            let first = shown.len();
            let passed = self.pass_one(chunk, shown);
            for chunk in &shown[first..] {
                self.shown
                    .read(chunk.data.clone(), &mut Vec::new())
                    .map_err(|_| unreadable("a chunk that was written"))?;
            }
            passed?;
        }
        Ok(())
    }

    fn pass_one(&mut self, chunk: Chunk, shown: &mut Vec<Chunk>) -> Result<(), Error> {
        let Some(mut event) = Event::read(&chunk)? else {
            // It tells of usage alone.
            shown.push(chunk);
            return Ok(());
        };
        let index = chunk.index;
        if self.said.0 != Pace::Behind && event.choice.get("logprobs").is_some() {
            // The tokens of the text, one by one.
            event.choice["logprobs"] = Value::Null;
        }
        let mut delta = event.choice.get_mut("delta").map(Value::take).unwrap_or_default();
        let mut walk = Walk {
            policies: &self.policies,
            totals: &mut self.totals,
            said: (self.said.0, &self.said.1),
            passed: self.passed,
            pseudonyms: self.pseudonyms.as_ref(),
            choice: self.choices.entry(index).or_default(),
            came: false,
            shows: false,
            blocked: None,
        };
        walk.delta(&mut delta)?;
        let ends = (chunk.finish_reason.is_some() || walk.choice.ended) && walk.blocked.is_none();
        let left = if ends { walk.finish() } else { Map::new() };
        let Walk { came, shows, blocked, .. } = walk;
        if let Some(error) = blocked {
            if shows {
                shown.push(event.part(&delta));
            }
            if !left.is_empty() {
                shown.push(event.part(&left.into()));
            }
            return Err(error);
        }
        if !left.is_empty() {
            if shows {
                shown.push(event.part(&delta));
            }
            shown.push(event.part(&left.into()));
            delta = json!({});
        } else if came && !shows && !ends {
            // All of it waits.
            return Ok(());
        }
        let text = spoken(&delta);
        event.choice["delta"] = delta;
        shown.push(Chunk { data: event.written(), raw: None, text, ..chunk });
        Ok(())
    }

    /// What the texts have come to so far.
    pub(in crate::pipeline) fn totals(&self) -> Totals {
        self.totals.clone()
    }

    /// Count among what was shown what was kept from the stream, and judged by itself.
    pub(in crate::pipeline) fn add(&mut self, chunk: &Chunk, changed: bool) {
        self.choices.entry(chunk.index).or_default().changed |= changed;
        // It was written here, and can be read.
        drop(self.shown.read(chunk.data.clone(), &mut Vec::new()));
    }

    /// What was found in the texts that have ended, by choice.
    pub(crate) fn told(&mut self) -> impl Iterator<Item = Told> {
        self.choices.values_mut().flat_map(|choice| std::mem::take(&mut choice.told))
    }

    /// What was found in a reply that was shown as it came.
    pub(crate) fn told_behind(&self, body: &Bytes) -> Vec<Told> {
        let mut told = Vec::new();
        // Nothing acts on it, and a reply that was put together can be read.
        let mut answers = Answers::default();
        let mut screen = Screen::new(&self.policies, None, &mut told, &mut answers);
        screen.pseudonyms = self.pseudonyms.as_ref();
        drop(screen.body(body));
        told
    }

    /// The reply as it was shown, of the reply as it came.
    pub(crate) fn whole(&self, came: Whole) -> Whole {
        if !self.choices.values().any(|choice| choice.changed) {
            return came;
        }
        let read = |body: &Bytes| serde_json::from_slice::<Value>(body).unwrap_or_default();
        let (mut body, mut shown) = (read(&came.body), read(&self.shown.whole().body));
        for choice in body["choices"].as_array_mut().into_iter().flatten() {
            let own = |shown: &&mut Value| shown["index"] == choice["index"];
            let shown = shown["choices"].as_array_mut().and_then(|choices| choices.iter_mut().find(own));
            let Some(Value::Object(message)) = shown.map(|shown| shown["message"].take()) else { continue };
            for (name, value) in message {
                if !NAMES.contains(&name.as_str()) {
                    choice["message"][name] = value;
                }
            }
            if choice.get("logprobs").is_some() {
                choice["logprobs"] = Value::Null;
            }
        }
        // What the provider sent would tell what was taken out.
        Whole { body: body.to_string().into(), raw: None }
    }
}

/// An event whose choice has been taken out.
pub(in crate::pipeline) struct Event {
    pub(in crate::pipeline) fields: Map<String, Value>,
    pub(in crate::pipeline) index: u32,
    pub(in crate::pipeline) choice: Value,
}

impl Event {
    /// The event of a chunk, and what it says of the chunk's choice; `None` if it says nothing of it.
    pub(in crate::pipeline) fn read(chunk: &Chunk) -> Result<Option<Self>, Error> {
        let mut fields: Map<String, Value> =
            serde_json::from_slice(&chunk.data).map_err(|_| unreadable("an event"))?;
        let index = chunk.index;
        let own = |choice: &&mut Value| choice["index"].as_u64().unwrap_or(0) == u64::from(index);
        let choices = fields.get_mut("choices").and_then(Value::as_array_mut);
        let choice = choices.and_then(|choices| choices.iter_mut().find(own)).map(Value::take);
        Ok(choice.map(|choice| Self { fields, index, choice }))
    }

    /// Whether it is about other choices, too.
    pub(super) fn is_shared(&self) -> bool {
        self.fields.get("choices").and_then(Value::as_array).is_some_and(|choices| choices.len() > 1)
    }

    /// A chunk of its own, before the event itself.
    pub(in crate::pipeline) fn part(&self, delta: &Value) -> Chunk {
        let mut fields = self.fields.clone();
        fields.remove("usage");
        let text = spoken(delta);
        let choice = json!({"index": self.index, "delta": delta, "logprobs": null, "finish_reason": null});
        let event = Event { fields, index: self.index, choice };
        Chunk { data: event.written(), raw: None, text, index: self.index, finish_reason: None }
    }

    pub(in crate::pipeline) fn written(mut self) -> Bytes {
        self.fields.insert("choices".to_owned(), json!([self.choice]));
        Value::Object(self.fields).to_string().into()
    }
}

pub(in crate::pipeline) fn spoken(delta: &Value) -> Text {
    delta["content"].as_str().unwrap_or_default().into()
}

pub(in crate::pipeline) fn unreadable(what: &str) -> Error {
    Error::Internal { message: format!("{what} of a stream cannot be read") }
}
