//! Callables of the user's own, asked in the midst of calls: the question goes to an event loop, and its answer comes back.
//!
//! A task knows its caller by a queue and a number. What the number stands for is in `_callbacks.py`, so that no object of
//! Python's lives in a task, and no thread of tokio's attaches to ask.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use iron_runtime::output::{OutputValidator, Validity};
use iron_runtime::policy::{Detector, Direction, Match};
use iron_runtime::tool::{Approval, ApprovalRequest, Approver};
use iron_runtime::{CallContext, Cause, Error, Extensions, Text};
use pyo3::prelude::*;

use crate::port::{Port, Queue};
use crate::question::{About, Answer, Question};

tokio::task_local! {
    static CALLER: Option<Caller>;
}

/// Who made a call: the loop that its callables are asked from, and what Python knows it by.
#[derive(Clone)]
pub(crate) struct Caller {
    queue: Arc<Queue>,
    id: u64,
}

/// How Python tells of it: the port of the loop, the number, and whether the caller decides about tools and has a word on
/// output.
pub(crate) type CallerKey<'py> = (Bound<'py, Port>, u64, bool, bool);

impl Caller {
    /// The caller of the call that `context` is of, which it decides about if it does.
    pub(crate) fn of(key: Option<CallerKey<'_>>, context: &mut CallContext) -> Option<Self> {
        let (port, id, decides, validates) = key?;
        if decides {
            context.approver = Some(Arc::new(Deciding));
        }
        if validates {
            context.validator = Some(Arc::new(Validating));
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
                _ => Err("it is no detector".into()),
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
                _ => Err("it is no approver".into()),
            }
        }
        .boxed()
    }
}

/// The class that the output of the task that asks has to be of.
#[derive(Debug)]
struct Validating;

impl OutputValidator for Validating {
    fn validate(&self, text: Text) -> BoxFuture<'static, Validity> {
        let answer = ask(About::Output(text));
        async move {
            match answer.await {
                Ok(Answer::Judged(validity)) => validity,
                Ok(_) => Validity::Unknown("it is no validator".into()),
                Err(cause) => Validity::Unknown(cause),
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
        let (question, receiver) = Question::new(number, about);
        caller.tell("ask", question);
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
