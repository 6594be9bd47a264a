//! The way back in a stream: every text of it with its placeholders restored, whatever pieces they come in.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::NAMES;
use super::channel::{Step, put};
use super::restore::{Pseudonyms, restore_value};
use super::stream::{Event, spoken};
use crate::Error;
use crate::call::Chunk;
use crate::policy::{Form, Restorer, View};
use crate::provider::Whole;

/// The place within a list.
const INDEX: &str = "index";
/// Names a function: it comes whole.
const NAME: &str = "name";

/// A stream whose placeholders are restored.
#[derive(Debug)]
pub(crate) struct StreamRestore {
    pseudonyms: Pseudonyms,
    given: View,
    choices: BTreeMap<u32, Choice>,
}

/// One choice: its texts, by the way to each.
#[derive(Debug, Default)]
struct Choice {
    texts: Vec<(Vec<Step>, Restorer)>,
    /// It has told why it ended; nothing waits behind that.
    ended: bool,
}

impl StreamRestore {
    /// `None` if there is nothing to restore.
    pub(crate) fn new(pseudonyms: &Pseudonyms) -> Option<Self> {
        let given = pseudonyms.given()?.clone();
        Some(Self { pseudonyms: pseudonyms.clone(), given, choices: BTreeMap::new() })
    }

    /// Let pass into `shown` what came, but for what may yet become a placeholder.
    ///
    /// # Errors
    /// [`Error::Internal`] if a chunk cannot be read.
    pub(crate) fn pass(
        &mut self,
        came: impl Iterator<Item = Chunk>,
        shown: &mut Vec<Chunk>,
    ) -> Result<(), Error> {
        for chunk in came {
            self.pass_one(chunk, shown)?;
        }
        Ok(())
    }

    /// The reply that was put together, with its placeholders restored.
    pub(crate) fn whole(&self, Whole { body, raw }: Whole) -> Whole {
        match self.pseudonyms.restore(&body) {
            Some(restored) => Whole { body: restored, raw: raw.or(Some(body)) },
            None => Whole { body, raw },
        }
    }

    fn pass_one(&mut self, chunk: Chunk, shown: &mut Vec<Chunk>) -> Result<(), Error> {
        let Some(mut event) = Event::read(&chunk)? else {
            shown.push(chunk);
            return Ok(());
        };
        let mut delta = event.choice.get_mut("delta").map(Value::take).unwrap_or_default();
        let mut walk = Walk {
            pseudonyms: &self.pseudonyms,
            given: &self.given,
            choice: self.choices.entry(chunk.index).or_default(),
            // Each choice of an event is shown by itself: the others may have to wait.
            changed: event.is_shared(),
            shows: false,
        };
        if let Value::Object(fields) = &mut delta {
            walk.fields(fields, &mut Vec::new());
        }
        let Walk { mut changed, shows, choice: texts, .. } = walk;
        texts.ended |= chunk.finish_reason.is_some();
        let left = if texts.ended { texts.finish() } else { Map::new() };
        if let Some(logprobs) = event.choice.get_mut("logprobs").filter(|logprobs| !logprobs.is_null()) {
            // The tokens of the text, one by one.
            *logprobs = Value::Null;
            changed = true;
        }
        if !changed && left.is_empty() {
            shown.push(chunk);
            return Ok(());
        }
        if !left.is_empty() {
            if shows {
                shown.push(event.part(&delta));
            }
            shown.push(event.part(&left.into()));
            delta = json!({});
        } else if !shows && chunk.finish_reason.is_none() {
            // All of it waits.
            return Ok(());
        }
        let text = spoken(&delta);
        event.choice["delta"] = delta;
        shown.push(Chunk { data: event.written(), raw: None, text, ..chunk });
        Ok(())
    }
}

impl Choice {
    /// Nothing waits any longer: what did, as a delta.
    fn finish(&mut self) -> Map<String, Value> {
        let mut left = Map::new();
        for (path, mut text) in std::mem::take(&mut self.texts) {
            let rest = text.finish();
            if !rest.is_empty() {
                put(&mut left, &path, rest);
            }
        }
        left
    }
}

/// A delta on its way through the texts of its choice.
struct Walk<'s> {
    pseudonyms: &'s Pseudonyms,
    given: &'s View,
    choice: &'s mut Choice,
    /// Something is not as it came.
    changed: bool,
    /// Something is left to show.
    shows: bool,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &mut Map<String, Value>, path: &mut Vec<Step>) {
        for (name, value) in fields {
            match value {
                Value::String(_) if NAMES.contains(&name.as_str()) || name == NAME => self.shows = true,
                Value::Null => {}
                Value::Bool(_) | Value::Number(_) => self.shows |= name != INDEX,
                value => {
                    path.push(Step::Field(name.clone()));
                    match value {
                        Value::String(text) => self.text(text, path),
                        Value::Object(inner) => self.fields(inner, path),
                        Value::Array(items) => self.items(items, path),
                        _ => {}
                    }
                    path.pop();
                }
            }
        }
    }

    fn items(&mut self, items: &mut [Value], path: &mut Vec<Step>) {
        for item in items {
            if let Some((index, fields)) = item.get(INDEX).and_then(Value::as_u64).zip(item.as_object_mut()) {
                path.push(Step::Item(index));
                self.fields(fields, path);
                path.pop();
            } else {
                // An item without an index is not continued.
                self.shows = true;
                self.changed |= restore_value(self.given, item, self.form(path));
            }
        }
    }

    fn text(&mut self, text: &mut String, path: &[Step]) {
        let form = self.form(path);
        let texts = &mut self.choice.texts;
        let at = texts.iter().position(|(known, _)| known == path).unwrap_or_else(|| {
            texts.push((path.to_vec(), Restorer::new(self.given.clone(), form)));
            texts.len() - 1
        });
        let restored = texts[at].1.push(text);
        self.changed |= restored != *text;
        self.shows |= !restored.is_empty();
        *text = restored;
    }

    fn form(&self, path: &[Step]) -> Form {
        self.pseudonyms.form(path.iter().filter_map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            Step::Item(_) => None,
        }))
    }
}

#[cfg(test)]
mod tests;
