//! What is wrong with an argument, and where in it.

use std::fmt::Write;

use pyo3::prelude::*;

use crate::error;

/// Why an argument cannot be taken.
pub(crate) struct Fault(Box<Kind>);

enum Kind {
    /// The argument is wrong; the path is in reverse, since it is known from the inside out.
    Wrong { path: Vec<Step>, message: String },
    /// Python code of the argument raised.
    Raised(PyErr),
}

enum Step {
    Key(String),
    Index(usize),
}

impl Fault {
    /// `message` says what is wrong and what would be right.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self(Box::new(Kind::Wrong { path: Vec::new(), message: message.into() }))
    }

    /// The value of another type than `right`.
    pub(crate) fn kind(value: &Bound<'_, PyAny>, right: &str) -> Self {
        let kind = value.get_type().name().map_or_else(|_| "value".to_owned(), |name| name.to_string());
        Self::wrong(format!("is of type {kind}; give {right}"))
    }

    /// The same fault, inside the value named `key`.
    pub(crate) fn at(self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// The same fault, inside the element `index`.
    pub(crate) fn at_index(self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(mut self, step: Step) -> Self {
        if let Kind::Wrong { path, .. } = &mut *self.0 {
            path.push(step);
        }
        self
    }
}

impl From<PyErr> for Fault {
    fn from(raised: PyErr) -> Self {
        Self(Box::new(Kind::Raised(raised)))
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        let (path, message) = match *fault.0 {
            Kind::Raised(raised) => return raised,
            Kind::Wrong { path, message } => (path, message),
        };
        let mut shown = String::new();
        for step in path.iter().rev() {
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Key(key) if shown.is_empty() => write!(shown, "{key}"),
                Step::Key(key) => write!(shown, ".{key}"),
                Step::Index(index) => write!(shown, "[{index}]"),
            };
        }
        error::config(if shown.is_empty() { message } else { format!("{shown} {message}") })
    }
}
