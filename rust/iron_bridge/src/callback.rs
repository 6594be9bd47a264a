//! Callables of the user's own, asked in the midst of calls: the question goes to an event loop, and its answer comes back.
//!
//! A task knows its caller by a queue and a number. What the number stands for is in `_callbacks.py`, so that no object of
//! Python's lives in a task, and no thread of tokio's attaches to ask.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use iron_bridge_macros::guarded;
use iron_runtime::policy::{Detector, Direction, Match};
use iron_runtime::{Cause, Error, Extensions, Text};
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

impl Caller {
    pub(crate) fn new(port: &Bound<'_, Port>, id: u64) -> Self {
        Self { queue: Arc::clone(port.get().queue()), id }
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
        ask(about, |answer| match answer {
            Answer::Found(matches) => Ok(matches),
            Answer::Failed(failed) => Err(failed),
        })
    }
}

/// Ask the caller of the task that asks.
fn ask<T: Send + 'static>(
    about: About,
    read: impl FnOnce(Answer) -> Result<T, String> + Send + 'static,
) -> BoxFuture<'static, Result<T, Cause>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let Ok(Some(caller)) = CALLER.try_with(Clone::clone) else {
        return std::future::ready(Err("nobody is there to be asked".into())).boxed();
    };
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (sender, receiver) = oneshot::channel();
    caller.tell("ask", Question { number, about, answer: Mutex::new(Some(sender)) });
    let asked = Asked { caller, number, answered: false };
    async move {
        // All of it: a closure would take the one field that it names.
        let mut asked = asked;
        let answer = receiver.await;
        asked.answered = true;
        let answer = answer.unwrap_or_else(|_| Answer::Failed("it was never asked".to_owned()));
        read(answer).map_err(Cause::from)
    }
    .boxed()
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
    /// Why there is none. What the callable raised is kept by Python, which makes it the cause.
    Failed(String),
}

/// What is asked about.
enum About {
    Text { detector: Arc<str>, text: Text, direction: Direction },
}

/// A question to a callable.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Question {
    number: u64,
    about: About,
    answer: Mutex<Option<oneshot::Sender<Answer>>>,
}

impl Question {
    fn send(&self, answer: Answer) {
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

    /// `"detector"`, its name, the text and where that goes.
    fn about<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        match &self.about {
            About::Text { detector, text, direction } => {
                ("detector", &**detector, &**text, direction.as_str()).into_pyobject(py)
            }
        }
    }

    /// Whether somebody still waits for the answer.
    fn is_open(&self) -> bool {
        let sender = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    /// Answer with what was found: first and last index in Python's text, score and label of each.
    fn found(&self, matches: Vec<(usize, usize, f32, Option<String>)>) {
        let About::Text { text, .. } = &self.about;
        let spans = Bytes::of(text);
        let matches = matches.into_iter().map(|(start, end, score, label)| Match {
            span: spans.at(start)..spans.at(end),
            score,
            label: label.map(Into::into),
        });
        self.send(Answer::Found(matches.collect()));
    }

    /// Answer that there is no answer, because the callable raised an exception of this type.
    fn failed(&self, kind: String) {
        self.send(Answer::Failed(kind));
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
