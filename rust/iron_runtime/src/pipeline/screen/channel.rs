//! The channel: one text of one choice, as its parts come in deltas.

use serde_json::{Map, Value, json};

use super::{CUSTOM, INPUT, Screen};
use crate::Error;
use crate::detect::Waits;
use crate::policy::{Chain, Decision, Direction, Pace, Shown, Window};

/// One step of the way to a text within a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The field of that name.
    Field(String),
    /// The item of a list that calls itself by that index.
    Item(u64),
}

/// A text of a choice.
pub(super) struct Channel {
    pub(super) path: Vec<Step>,
    kind: Kind,
}

enum Kind {
    /// Plain text.
    Text(Window),
    /// The arguments of a call of a tool, which can be read once they are whole: JSON, or free text.
    Arguments { json: String, pace: Pace, changed: bool },
}

impl Channel {
    pub(super) fn text(path: Vec<Step>, pace: Pace) -> Self {
        Self { path, kind: Kind::Text(Window::new(pace, Direction::Output)) }
    }

    pub(super) fn arguments(path: Vec<Step>, pace: Pace) -> Self {
        Self { path, kind: Kind::Arguments { json: String::new(), pace, changed: false } }
    }

    /// Add what came, and give what may be shown, and why nothing behind it may.
    pub(super) fn push(&mut self, more: &str, policies: &Chain, waits: &Waits) -> (String, Option<Error>) {
        match &mut self.kind {
            Kind::Text(window) => {
                let Shown { text, blocked } = window.push(more, policies, waits);
                (text, blocked.as_ref().and_then(refused))
            }
            Kind::Arguments { json, pace, .. } => {
                json.push_str(more);
                (if *pace == Pace::Behind { more.to_owned() } else { String::new() }, None)
            }
        }
    }

    /// Nothing more comes: judge the whole, and give what is left to show, and why not all of it may be.
    pub(super) fn finish(&mut self, screen: &mut Screen<'_>) -> (String, Option<Error>) {
        match &mut self.kind {
            Kind::Text(window) => {
                if let Err(error) = screen.measured(window.text(), Direction::Output) {
                    return (String::new(), Some(error));
                }
                let decisions = screen.policies.judge(window.text(), Direction::Output, None).decisions;
                screen.told.extend(decisions.iter().filter_map(|decision| decision.told(Direction::Output)));
                let Shown { text, blocked } = window.finish(&decisions);
                (text, blocked.as_ref().and_then(refused))
            }
            Kind::Arguments { json, pace, changed } => {
                // The call of a tool is complete here, and none of it has been shown if a rule may act on it.
                let judged = if is_input(&self.path) {
                    screen.input(json)
                } else {
                    screen.arguments(json, Direction::Output)
                };
                match judged {
                    Ok(rewritten) => {
                        *changed = rewritten;
                        let left = if *pace == Pace::Behind { String::new() } else { std::mem::take(json) };
                        (left, None)
                    }
                    Err(error) => (String::new(), Some(error)),
                }
            }
        }
    }

    /// How many bytes of plain text have come; arguments are measured as the texts that they hold.
    pub(super) fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Text(window) => window.text().len(),
            Kind::Arguments { .. } => 0,
        }
    }

    /// Whether it is the arguments of a call of a tool.
    pub(super) fn is_arguments(&self) -> bool {
        matches!(self.kind, Kind::Arguments { .. })
    }

    /// Whether what was shown is not what came.
    pub(super) fn changed(&self) -> bool {
        match &self.kind {
            Kind::Text(window) => window.changed(),
            Kind::Arguments { changed, .. } => *changed,
        }
    }

    /// Put `text` where it belongs in a delta.
    pub(super) fn put(&self, delta: &mut Map<String, Value>, text: String) {
        put(delta, &self.path, text);
    }
}

/// Whether a text is what a tool is given that takes free text.
pub(super) fn is_input(path: &[Step]) -> bool {
    let is = |step: &Step, name| matches!(step, Step::Field(field) if field == name);
    matches!(path, [.., call, field] if is(call, CUSTOM) && is(field, INPUT))
}

fn refused(decision: &Decision) -> Option<Error> {
    decision.told(Direction::Output).map(|told| Error::ContentBlocked(Box::new(told)))
}

pub(super) fn put(fields: &mut Map<String, Value>, path: &[Step], text: String) {
    match path {
        [Step::Field(name)] => drop(fields.insert(name.clone(), text.into())),
        [Step::Field(name), Step::Item(index), rest @ ..] => {
            let list = fields.entry(name.clone()).or_insert_with(|| json!([]));
            let Some(list) = list.as_array_mut() else { return };
            let known = list.iter().position(|item| item["index"] == *index);
            let at = known.unwrap_or_else(|| {
                list.push(json!({"index": index}));
                list.len() - 1
            });
            if let Some(item) = list[at].as_object_mut() {
                put(item, rest, text);
            }
        }
        [Step::Field(name), rest @ ..] => {
            if let Some(inner) = fields.entry(name.clone()).or_insert_with(|| json!({})).as_object_mut() {
                put(inner, rest, text);
            }
        }
        _ => {}
    }
}
