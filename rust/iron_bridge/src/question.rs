//! Questions to callables of the user's own, as Python reads and answers them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use iron_bridge_macros::guarded;
use iron_runtime::output::{Objection, Validity};
use iron_runtime::policy::{Direction, Match};
use iron_runtime::tool::{Approval, ApprovalRequest};
use iron_runtime::{Text, Violation};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tokio::sync::oneshot::{self, Receiver, Sender};

/// What a callable says.
pub(crate) enum Answer {
    Found(Vec<Match>),
    Decided(Approval),
    Judged(Validity),
}

/// Why there is no answer, or not the one that was hoped for. What the callable raised is kept by Python under the number, and made the cause there.
#[derive(Debug)]
pub(crate) struct Raised {
    /// The question that it was asked.
    pub(crate) number: u64,
    /// The type of the exception.
    kind: String,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)
    }
}

impl std::error::Error for Raised {}

/// What is asked about.
pub(crate) enum About {
    Text { detector: Arc<str>, text: Text, direction: Direction },
    Tool(ApprovalRequest),
    Output(Text),
}

/// What is wrong with an output: the place and the message as the caller is told them, and as the model is.
type Wrong = ((String, String), (String, String));

/// What Python is told of a tool.
type AboutTool<'q> = (&'q str, &'q str, Option<&'q str>, Option<&'q str>, Bound<'q, PyTuple>, String);

/// A question to a callable.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Question {
    number: u64,
    about: About,
    answer: Mutex<Option<Sender<Result<Answer, Raised>>>>,
}

impl Question {
    /// The question of this number, which has not been asked before, and where its answer comes.
    pub(crate) fn new(number: u64, about: About) -> (Self, Receiver<Result<Answer, Raised>>) {
        let (sender, receiver) = oneshot::channel();
        (Self { number, about, answer: Mutex::new(Some(sender)) }, receiver)
    }

    fn send(&self, answer: Result<Answer, Raised>) {
        let sender = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Whoever asked may have given up.
            drop(sender.send(answer));
        }
    }
}

#[guarded]
#[pymethods]
impl Question {
    /// What it is given up by.
    fn number(&self) -> u64 {
        self.number
    }

    /// The detector that is asked, the text and where that goes, if it is about one.
    fn about_text(&self) -> Option<(&str, &str, &'static str)> {
        match &self.about {
            About::Text { detector, text, direction } => Some((detector, text, direction.as_str())),
            _ => None,
        }
    }

    /// The tool, its arguments, the id of the call, the agent, the tags and the id of the whole, if it is about one.
    fn about_tool<'q>(&'q self, py: Python<'q>) -> PyResult<Option<AboutTool<'q>>> {
        let About::Tool(asked) = &self.about else { return Ok(None) };
        let tags = PyTuple::new(py, asked.tags.iter().map(|tag| &**tag))?;
        let id = asked.request_id.to_string();
        Ok(Some((&asked.tool, &asked.arguments, asked.call_id.as_deref(), asked.agent.as_deref(), tags, id)))
    }

    /// The text, if it is about an output.
    fn about_output(&self) -> Option<&str> {
        match &self.about {
            About::Output(text) => Some(text),
            _ => None,
        }
    }

    /// Whether somebody still waits for the answer.
    fn is_open(&self) -> bool {
        let sender = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    /// Answer with what was found: first and last index in Python's text, score and label of each.
    fn found(&self, matches: Vec<(usize, usize, f32, Option<String>)>) {
        let About::Text { text, .. } = &self.about else { return };
        let spans = Bytes::of(text);
        let matches = matches.into_iter().map(|(start, end, score, label)| Match {
            span: spans.at(start)..spans.at(end),
            score,
            label: label.map(Into::into),
        });
        self.send(Ok(Answer::Found(matches.collect())));
    }

    /// Answer that the tool may be called, or with the reason why it may not, which may be empty.
    fn decided(&self, refusal: Option<String>) {
        let approval = refusal.map_or(Approval::Approved, |reason| Approval::Denied { reason });
        self.send(Ok(Answer::Decided(approval)));
    }

    /// Answer that the output is what is wanted.
    fn valid(&self) {
        self.send(Ok(Answer::Judged(Validity::Valid)));
    }

    /// Answer with what is wrong with the output, for which an exception of this type was raised.
    fn invalid(&self, kind: String, wrong: Vec<Wrong>) {
        let violation = |(path, message)| Violation { path, message };
        let wrong = wrong.into_iter().map(|(shown, told)| (violation(shown), violation(told)));
        let (violations, told) = wrong.unzip();
        let cause = Some(Raised { number: self.number, kind }.into());
        self.send(Ok(Answer::Judged(Validity::Invalid(Objection { violations, told, cause }))));
    }

    /// Answer that there is no answer, because the callable raised an exception of this type.
    fn failed(&self, kind: String) {
        self.send(Err(Raised { number: self.number, kind }));
    }
}

/// Where the characters of a text are, as Python counts them, in its bytes.
enum Bytes {
    /// Each is one byte.
    Same(usize),
    Mapped(Vec<usize>),
}

impl Bytes {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self::Same(text.len());
        }
        Self::Mapped(text.char_indices().map(|(at, _)| at).chain([text.len()]).collect())
    }

    /// The byte at which a character begins; beyond the text for one that it does not have.
    fn at(&self, index: usize) -> usize {
        match self {
            Self::Same(len) if index <= *len => index,
            Self::Same(_) => usize::MAX,
            Self::Mapped(offsets) => offsets.get(index).copied().unwrap_or(usize::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_found_in_bytes() {
        // One to four bytes, a combining mark, and one that looks like none.
        for text in ["", "plain", "aü€😀e\u{301}\u{200d}z"] {
            let bytes = Bytes::of(text);
            let chars: Vec<char> = text.chars().collect();
            for start in 0..=chars.len() {
                let before: String = chars[..start].iter().collect();
                assert_eq!(bytes.at(start), before.len());
            }
            assert_eq!(bytes.at(chars.len() + 1), usize::MAX);
        }
    }
}
