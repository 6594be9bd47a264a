//! Callables of the user's own, asked in the midst of calls: the question goes to an event loop, and its answer comes back.
//!
//! A task knows its caller by a queue and a number. What the number stands for is in `_callbacks.py`, so that no object of
//! Python's lives in a task, and no thread of tokio's attaches to ask.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use iron_bridge_macros::guarded;
use iron_runtime::policy::{Detector, Direction, Match};
use iron_runtime::tool::{Approval, ApprovalRequest, Approver};
use iron_runtime::{CallContext, Cause, Error, Extensions, Text};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tokio::sync::oneshot;

use crate::port::{Port, Queue};

tokio::task_local! {
    static CALLER: Option<Caller>;
}

/// Who made a call: the loop that its callables are asked from, and what Python knows it by.
#[derive(Clone)]
pub(crate) struct Caller {
    queue: Arc<Queue>,
    id: u64,
}

/// How Python tells of it: the port of the loop, the number, and whether the caller decides about tools.
pub(crate) type CallerKey<'py> = (Bound<'py, Port>, u64, bool);

impl Caller {
    /// The caller of the call that `context` is of, which it decides about if it does.
    pub(crate) fn of(key: Option<CallerKey<'_>>, context: &mut CallContext) -> Option<Self> {
        let (port, id, decides) = key?;
        if decides {
            context.approver = Some(Arc::new(Deciding));
        }
        Some(Self { queue: Arc::clone(port.get().queue()), id })
    }

    /// Have Python's `function` told of a question, on the thread of the caller's loop.
    fn tell<A>(&self, function: &'static str, argument: A)
    where
        A: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        let id = self.id;
        self.queue.run(Box::new(move || {
            Python::attach(|py| {
                let told = py
                    .import(pyo3::intern!(py, "iron_sdk._callbacks"))
                    .and_then(|module| module.call_method1(function, (id, argument)));
                if let Err(raised) = told {
                    raised.write_unraisable(py, None);
                }
            });
        }));
    }
}

/// A call whose callables are asked by way of `caller`.
pub(crate) fn asking<F: Future>(caller: Option<Caller>, call: F) -> impl Future<Output = F::Output> {
    CALLER.scope(caller, call)
}

/// What Python has to offer, as the core asks it.
///
/// # Errors
/// [`Error::Config`] for a name that a detector cannot have.
pub(crate) fn extensions(detectors: Vec<String>) -> Result<Extensions, Error> {
    detectors.into_iter().try_fold(Extensions::new(), |extensions, name| {
        let detector = Called { name: name.as_str().into() };
        extensions.detector(&name, detector)
    })
}

/// A detector that is a callable.
struct Called {
    name: Arc<str>,
}

impl Detector for Called {
    fn inspect(&self, text: Text, direction: Direction) -> BoxFuture<'static, Result<Vec<Match>, Cause>> {
        let about = About::Text { detector: Arc::clone(&self.name), text, direction };
        let answer = ask(about);
        async move {
            match answer.await? {
                Answer::Found(matches) => Ok(matches),
                Answer::Decided(_) => Err("it decided about a text".into()),
            }
        }
        .boxed()
    }
}

/// The approver of the task that asks, which is a callable.
#[derive(Debug)]
struct Deciding;

impl Approver for Deciding {
    fn decide(&self, asked: ApprovalRequest) -> BoxFuture<'static, Result<Approval, Cause>> {
        let answer = ask(About::Tool(asked));
        async move {
            match answer.await? {
                Answer::Decided(approval) => Ok(approval),
                Answer::Found(_) => Err("it found something in a call".into()),
            }
        }
        .boxed()
    }
}

/// Ask the caller of the task that asks.
fn ask(about: About) -> impl Future<Output = Result<Answer, Cause>> + Send + 'static {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let asked = CALLER.try_with(Clone::clone).ok().flatten().map(|caller| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        caller.tell("ask", Question { number, about, answer: Mutex::new(Some(sender)) });
        (Asked { caller, number, answered: false }, receiver)
    });
    async move {
        let Some((mut asked, receiver)) = asked else { return Err("nobody is there to be asked".into()) };
        let answer = receiver.await;
        asked.answered = true;
        match answer {
            Ok(answer) => answer.map_err(Cause::from),
            Err(_) => Err("it was never asked".into()),
        }
    }
}

/// A question that has been asked: given up if it is dropped without an answer.
struct Asked {
    caller: Caller,
    number: u64,
    answered: bool,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.answered {
            self.caller.tell("give_up", self.number);
        }
    }
}

enum Answer {
    Found(Vec<Match>),
    Decided(Approval),
}

/// Why there is no answer. What the callable raised is kept by Python under the number, and made the cause there.
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
enum About {
    Text { detector: Arc<str>, text: Text, direction: Direction },
    Tool(ApprovalRequest),
}

/// What Python is told of a tool.
type AboutTool<'q> = (&'q str, &'q str, Option<&'q str>, Option<&'q str>, Bound<'q, PyTuple>, String);

/// A question to a callable.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Question {
    number: u64,
    about: About,
    answer: Mutex<Option<oneshot::Sender<Result<Answer, Raised>>>>,
}

impl Question {
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
            About::Tool(_) => None,
        }
    }

    /// The tool, its arguments, the id of the call, the agent, the tags and the id of the whole, if it is about one.
    fn about_tool<'q>(&'q self, py: Python<'q>) -> PyResult<Option<AboutTool<'q>>> {
        let About::Tool(asked) = &self.about else { return Ok(None) };
        let tags = PyTuple::new(py, asked.tags.iter().map(|tag| &**tag))?;
        let id = asked.request_id.to_string();
        Ok(Some((&asked.tool, &asked.arguments, asked.call_id.as_deref(), asked.agent.as_deref(), tags, id)))
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
