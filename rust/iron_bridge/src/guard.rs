//! The boundary that no panic crosses: it becomes an `InternalError` that names the place in our code.
//!
//! The panic's own message stays out of it, because it may quote what was being worked on: a prompt, a key.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};

use futures::FutureExt;
use pyo3::prelude::*;

use crate::error;

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Note where panics happen instead of printing their messages. The hook is that of this library alone: other native
/// modules have a standard library of their own.
pub(crate) fn install() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(place = place.as_deref(), "internal error: a panic");
        // A thread that is ending has no place any more.
        let _ = PLACE.try_with(|last| *last.borrow_mut() = place);
    }));
}

/// Run an entry of the module.
///
/// # Errors
/// Those of `work`; `InternalError` if it panics. What it shares is locked and read as any code of ours does it, which
/// takes a panic half-way into account.
pub(crate) fn run<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

/// The same for a future.
///
/// # Errors
/// As [`run`].
pub(crate) async fn future<T>(work: impl Future<Output = PyResult<T>>) -> PyResult<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(panicked()))
}

/// What happened to the thread's work, in words for an `InternalError`.
pub(crate) fn what_happened() -> String {
    match PLACE.try_with(|place| place.borrow_mut().take()) {
        Ok(Some(place)) => format!("a panic at {place}"),
        _ => "a panic".to_owned(),
    }
}

fn panicked() -> PyErr {
    error::internal_fault(what_happened())
}
