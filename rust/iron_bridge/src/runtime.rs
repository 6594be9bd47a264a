//! The tokio runtime of the process: started by the first call, refused in a forked child, stopped at exit.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use iron_bridge_macros::guarded;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;

use crate::{budget, error, log};

/// Governing is a few microseconds a call: more threads would only pass calls between caches.
const MAX_WORKER_THREADS: usize = 4;
/// Look-ups of host names are what blocks.
const MAX_BLOCKING_THREADS: usize = 16;

/// The runtime itself, taken out by `shutdown`. Everybody else holds a [`Handle`].
static SLOT: Mutex<Option<Runtime>> = Mutex::new(None);
static STARTED: OnceLock<Started> = OnceLock::new();
static CLOSED: AtomicBool = AtomicBool::new(false);

struct Started {
    pid: u32,
    handle: Handle,
}

/// The handle of the running runtime, which the first call starts.
///
/// # Errors
/// `ForkedProcessError` in a child of the process that started it; `ClosedError` after [`shutdown`].
pub(crate) fn handle(py: Python<'_>) -> PyResult<&'static Handle> {
    if CLOSED.load(Ordering::Acquire) {
        return Err(error::closed(py));
    }
    let started = match STARTED.get() {
        Some(started) => started,
        None => start(py)?,
    };
    if started.pid == std::process::id() { Ok(&started.handle) } else { Err(error::forked(py)) }
}

/// Spawn work that ends with the runtime; a future spawned on a stopped runtime is dropped at once.
///
/// # Errors
/// As for [`handle`].
pub(crate) fn spawn(
    py: Python<'_>,
    work: impl Future<Output = ()> + Send + 'static,
) -> PyResult<AbortHandle> {
    // A call's future is some 4 kB, which tokio moves at each change of a task's state unless it is boxed.
    Ok(handle(py)?.spawn(Box::pin(work)).abort_handle())
}

/// Attached throughout, so that no other thread can fork while the slot is locked.
fn start(py: Python<'_>) -> PyResult<&'static Started> {
    let mut slot = SLOT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(started) = STARTED.get() {
        return Ok(started);
    }
    crate::fork::watch().map_err(|cause| error::internal(py, &format!("cannot watch for forks: {cause}")))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKER_THREADS);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_name("iron")
        .enable_all()
        .build()
        .map_err(|cause| error::internal(py, &format!("cannot start the runtime: {cause}")))?;
    let handle = runtime.handle().clone();
    *slot = Some(runtime);
    let started = STARTED.get_or_init(|| Started { pid: std::process::id(), handle });
    // Starting a thread of Python's lets go of the interpreter, which whoever waits for the slot may be holding.
    drop(slot);
    log::start(py)?;
    Ok(started)
}

/// The handle, if calls are taken.
pub(crate) fn running() -> Option<&'static Handle> {
    let started = STARTED.get()?;
    (started.pid == std::process::id() && !CLOSED.load(Ordering::Acquire)).then_some(&started.handle)
}

/// Whether the process is at its end.
pub(crate) fn stopped() -> bool {
    CLOSED.load(Ordering::Acquire)
}

/// Whether this process is a child that inherited a runtime without its threads.
pub(crate) fn forked() -> bool {
    STARTED.get().is_some_and(|started| started.pid != std::process::id())
}

/// Refuse new calls, drop those in flight at their next await, and wait up to `timeout_ms` for the threads.
#[guarded]
#[pyfunction]
pub(crate) fn shutdown(py: Python<'_>, timeout_ms: u64) {
    CLOSED.store(true, Ordering::Release);
    if forked() {
        return;
    }
    let runtime = SLOT.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(runtime) = runtime {
        let timeout = Duration::from_millis(timeout_ms);
        py.detach(|| {
            runtime.shutdown_timeout(timeout);
            // By now no call holds anything.
            budget::return_leases(timeout);
            iron_runtime::audit::stop_all(timeout);
        });
    }
}

/// A value that a forked child may neither use nor drop: a lock inside it may be held for ever by a thread that the
/// child does not have.
pub(crate) struct Owned<T>(Option<T>);

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// # Errors
    /// `ForkedProcessError` in a forked child.
    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<&T> {
        match &self.0 {
            Some(value) if !forked() => Ok(value),
            _ => Err(error::forked(py)),
        }
    }

    /// The value, for a call that has seen by another one that this is no forked child.
    pub(crate) fn get_in_call(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if forked() {
            std::mem::forget(self.0.take());
        }
    }
}
