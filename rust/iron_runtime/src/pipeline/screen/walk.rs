//! The walk over one delta: each of its texts goes through its channel.

use serde_json::{Map, Value};

use super::called::Answers;
use super::channel::{Channel, Step, is_input};
use super::{ARGUMENTS, NAMES, Pseudonyms, Screen, too_long};
use crate::Error;
use crate::detect::Waits;
use crate::policy::{Action, Chain, Direction, Pace, Told, Totals};

/// A field that names a function: it comes whole.
const NAME: &str = "name";
/// The place within a list.
const INDEX: &str = "index";

/// One choice of a stream.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) channels: Vec<Channel>,
    /// What was found in texts that have ended.
    pub(super) told: Vec<Told>,
    /// What was shown is not what came.
    pub(super) changed: bool,
    /// It has told why it ended; what comes after that is judged by itself.
    pub(super) ended: bool,
    /// The names of the tools that are called, by the way to what is passed to them.
    tools: Vec<(Vec<Step>, String)>,
}

/// A delta on its way through the channels of its choice.
pub(super) struct Walk<'s> {
    pub(super) policies: &'s Chain,
    pub(super) totals: &'s mut Totals,
    /// How what the model says is judged, and what it waits for.
    pub(super) said: (Pace, &'s Waits),
    /// How what it passes to tools is judged.
    pub(super) passed: Pace,
    pub(super) pseudonyms: Option<&'s Pseudonyms>,
    pub(super) choice: &'s mut Choice,
    /// Text came.
    pub(super) came: bool,
    /// Something is left to show.
    pub(super) shows: bool,
    /// Why a text is refused; nothing behind it is shown.
    pub(super) blocked: Option<Error>,
}

impl Walk<'_> {
    /// Leave in `delta` what may be shown of it.
    pub(super) fn delta(&mut self, delta: &mut Value) -> Result<(), Error> {
        match delta {
            Value::Object(fields) => self.fields(fields, &mut Vec::new()),
            _ => Ok(()),
        }
    }

    fn fields(&mut self, fields: &mut Map<String, Value>, path: &mut Vec<Step>) -> Result<(), Error> {
        for (name, value) in fields {
            match value {
                Value::String(_) if NAMES.contains(&name.as_str()) => self.shows = true,
                Value::String(text) if name != NAME => {
                    path.push(Step::Field(name.clone()));
                    *text = self.text(text, path, name == ARGUMENTS || is_input(path));
                    path.pop();
                }
                Value::Object(inner) => {
                    path.push(Step::Field(name.clone()));
                    self.fields(inner, path)?;
                    path.pop();
                }
                Value::Array(items) => {
                    path.push(Step::Field(name.clone()));
                    self.items(items, path)?;
                    path.pop();
                }
                Value::Null => {}
                Value::Bool(_) | Value::Number(_) => self.shows |= name != INDEX,
                // A name.
                whole @ Value::String(_) => {
                    if let Some(name) = whole.as_str().filter(|name| !name.is_empty()) {
                        self.choice.tools.push((path.clone(), name.to_owned()));
                    }
                    self.whole(whole)?;
                }
            }
        }
        Ok(())
    }

    fn items(&mut self, items: &mut [Value], path: &mut Vec<Step>) -> Result<(), Error> {
        for item in items {
            match item.get(INDEX).and_then(Value::as_u64).zip(item.as_object_mut()) {
                Some((index, fields)) => {
                    path.push(Step::Item(index));
                    self.fields(fields, path)?;
                    path.pop();
                }
                // An item without an index is not continued.
                None => self.whole(item)?,
            }
        }
        Ok(())
    }

    /// What comes whole is judged at once.
    fn whole(&mut self, value: &mut Value) -> Result<(), Error> {
        self.shows = true;
        if self.blocked.is_some() {
            *value = Value::Null;
            return Ok(());
        }
        let mut answers = Answers::default();
        let mut screen = Screen::new(self.policies, None, &mut self.choice.told, &mut answers);
        screen.totals = std::mem::take(self.totals);
        screen.pseudonyms = self.pseudonyms;
        let tool = value.as_str().map(str::to_owned);
        screen.tool = tool.filter(|_| self.policies.names_tools);
        let judged = screen.value(value, Direction::Output, &NAMES);
        *self.totals = screen.totals;
        match judged {
            Ok(changed) => self.choice.changed |= changed,
            Err(error @ (Error::ContentBlocked(_) | Error::PolicyDenied(_))) => {
                *value = Value::Null;
                self.blocked = Some(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn text(&mut self, text: &str, path: &[Step], arguments: bool) -> String {
        self.came |= !text.is_empty();
        if self.blocked.is_some() {
            return String::new();
        }
        let channels = &mut self.choice.channels;
        let at = channels.iter().position(|channel| *channel.path == *path).unwrap_or_else(|| {
            channels.push(if arguments {
                Channel::arguments(path.to_vec(), self.passed)
            } else {
                Channel::text(path.to_vec(), self.said.0)
            });
            channels.len() - 1
        });
        let (text, blocked) = channels[at].push(text, self.policies, self.said.1);
        self.blocked = self.outgrown(at).or(blocked);
        if matches!(self.blocked, Some(Error::PolicyDenied(_))) {
            return String::new();
        }
        self.shows |= !text.is_empty();
        text
    }

    /// Why the text of a channel is too long as far as it has come, if a rule refuses it.
    fn outgrown(&mut self, at: usize) -> Option<Error> {
        if !self.policies.measures {
            return None;
        }
        let mut totals = self.totals.clone();
        let Choice { channels, told, .. } = &mut *self.choice;
        let mut measure = |bytes: usize| self.policies.measure(bytes, Direction::Output, None, &mut totals);
        for (_, other) in channels.iter().enumerate().filter(|(other, _)| *other != at) {
            // What it comes to is told when it ends, or when more of it comes.
            drop(measure(other.bytes()));
        }
        let measured = measure(channels[at].bytes()).filter(|measured| measured.action == Action::Block)?;
        told.extend(measured.told(Direction::Output));
        Some(too_long(&measured, Direction::Output, None))
    }

    /// The choice has ended: what is left of its texts, as a delta.
    pub(super) fn finish(&mut self) -> Map<String, Value> {
        let mut left = Map::new();
        let Choice { channels, told, changed, ended, tools } = &mut *self.choice;
        *ended = true;
        for mut channel in std::mem::take(channels) {
            let mut answers = Answers::default();
            let mut screen = Screen::new(self.policies, None, told, &mut answers);
            screen.totals = std::mem::take(self.totals);
            screen.pseudonyms = self.pseudonyms;
            if self.policies.names_tools && channel.is_arguments() {
                let own = |(path, _): &&(Vec<Step>, String)| channel.path.starts_with(path);
                screen.tool = tools.iter().rev().find(own).map(|(_, name)| name.clone());
            }
            let (text, blocked) = channel.finish(&mut screen);
            *self.totals = screen.totals;
            *changed |= channel.changed();
            if !text.is_empty() {
                channel.put(&mut left, text);
            }
            if blocked.is_some() {
                self.blocked = blocked;
                break;
            }
        }
        left
    }
}
