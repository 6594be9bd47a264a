//! Delivery to one event loop: finished work queues up, and one wake-up hands a batch of it to the loop's own thread.
//!
//! No tokio thread ever attaches to Python: it would cost more than the rest of a call, and abort the process when
//! the interpreter exits meanwhile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iron_bridge_macros::guarded;
use iron_protocol::RequestId;
use iron_runtime::Error;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::reply::Reply;
use crate::wake::Wake;
use crate::{awaitable, error, guard, runtime};

/// What became of some work.
#[expect(clippy::large_enum_variant, reason = "nearly all are calls: a box would cost each an allocation")]
pub(crate) enum Outcome {
    /// A call has ended.
    Call(Option<RequestId>, Result<iron_runtime::Reply, Error>),
    /// What was waited for is there.
    Ready,
}

impl Outcome {
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Call(_, Ok(reply)) => Ok(Py::new(py, Reply::new(reply))?.into_any()),
            Self::Call(id, Err(failure)) => Err(error::raise(py, failure, id)),
            Self::Ready => Ok(py.None()),
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "nearly every item is a call that is done")]
enum Item {
    Done(u64, Outcome),
    /// Code of pyo3-async-runtimes that expects to be attached.
    Job(awaitable::Job),
}

#[derive(Default)]
struct Waiting {
    items: Vec<Item>,
    /// The loop has been woken and has not come yet.
    signalled: bool,
}

/// The part of a port that tokio threads hold.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Wake,
}

impl Queue {
    pub(crate) fn send(&self, slot: u64, outcome: Outcome) {
        self.push(Item::Done(slot, outcome));
    }

    pub(crate) fn run(&self, job: awaitable::Job) {
        self.push(Item::Job(job));
    }

    fn push(&self, item: Item) {
        let mut waiting = lock(&self.waiting);
        waiting.items.push(item);
        let signalled = std::mem::replace(&mut waiting.signalled, true);
        drop(waiting);
        if !signalled {
            self.wake.signal();
        }
    }
}

struct Pending {
    future: Py<PyAny>,
    work: Option<AbortHandle>,
}

/// Where finished work waits for one event loop.
#[pyclass(frozen, weakref, module = "iron_sdk._iron")]
pub(crate) struct Port {
    event_loop: Py<PyAny>,
    queue: Arc<Queue>,
    next_slot: AtomicU64,
    /// Futures of work in flight. Locked only while attached, and never while a future is dropped.
    pending: Mutex<HashMap<u64, Pending>>,
    /// An empty vector to swap with the queue's, so that neither allocates once warm.
    spare: Mutex<Vec<Item>>,
}

impl Port {
    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    pub(crate) fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.event_loop.bind(py)
    }

    /// A slot for work that is about to be spawned.
    pub(crate) fn reserve(&self) -> (u64, Arc<Queue>) {
        (self.next_slot.fetch_add(1, Ordering::Relaxed), Arc::clone(&self.queue))
    }

    /// Complete `future` with the outcome sent to `slot`. Called on the loop's own thread, so the outcome cannot have
    /// been handed over yet.
    pub(crate) fn expect(&self, slot: u64, future: Bound<'_, PyAny>, work: Option<AbortHandle>) {
        lock(&self.pending).insert(slot, Pending { future: future.unbind(), work });
    }

    fn take(&self, slot: u64) -> Option<Pending> {
        lock(&self.pending).remove(&slot)
    }
}

#[guarded]
#[pymethods]
impl Port {
    #[new]
    fn new(event_loop: Py<PyAny>) -> PyResult<Self> {
        let queue = Queue { waiting: Mutex::default(), wake: Wake::new()? };
        Ok(Self {
            event_loop,
            queue: Arc::new(queue),
            next_slot: AtomicU64::new(0),
            pending: Mutex::default(),
            spare: Mutex::default(),
        })
    }

    /// The event loop.
    #[getter(r#loop)]
    fn get_loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop.clone_ref(py)
    }

    /// The descriptor that becomes readable when work has finished.
    fn fileno(&self) -> i32 {
        self.queue.wake.fileno()
    }

    /// Hand everything that has finished to its futures.
    fn drain(&self, py: Python<'_>) {
        self.queue.wake.clear();
        let mut items = std::mem::take(&mut *lock(&self.spare));
        {
            let mut waiting = lock(&self.queue.waiting);
            waiting.signalled = false;
            std::mem::swap(&mut waiting.items, &mut items);
        }
        for item in items.drain(..) {
            // At the end of the process only daemon threads still have loops, and Python makes them go at any call from
            // here: unwound through our frames, that aborts the process.
            if runtime::stopped() {
                continue;
            }
            match item {
                Item::Done(slot, outcome) => {
                    if let Some(pending) = self.take(slot) {
                        complete(pending.future.bind(py), outcome);
                    }
                }
                // What one item does is not for the others to suffer.
                Item::Job(job) => {
                    if let Err(raised) = guard::run(|| {
                        job();
                        Ok(())
                    }) {
                        raised.write_unraisable(py, None);
                    }
                }
            }
        }
        *lock(&self.spare) = items;
    }

    /// Give up the work of `slot`, unless it has been handed over.
    fn cancel(&self, slot: u64) {
        // In a forked child the work belongs to the parent.
        if let Some(Pending { work: Some(work), .. }) = self.take(slot)
            && !runtime::forked()
        {
            work.abort();
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        // Locked only by a thread that is between two instructions of ours: then nothing is garbage.
        if let Ok(pending) = self.pending.try_lock() {
            for entry in pending.values() {
                visit.call(&entry.future)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let pending = std::mem::take(&mut *lock(&self.pending));
        abandon(&pending);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let pending = std::mem::take(&mut *lock(&self.pending));
        abandon(&pending);
    }
}

/// The loop is gone: nobody will take the results.
fn abandon(pending: &HashMap<u64, Pending>) {
    if !runtime::forked() {
        for work in pending.values().filter_map(|entry| entry.work.as_ref()) {
            work.abort();
        }
    }
}

/// A future that is done already was cancelled while its result was on the way: nobody waits for it.
fn complete(future: &Bound<'_, PyAny>, outcome: Outcome) {
    let py = future.py();
    let set = match guard::run(|| outcome.into_python(py)) {
        Ok(value) => future.call_method1(pyo3::intern!(py, "set_result"), (value,)),
        Err(raised) => future.call_method1(pyo3::intern!(py, "set_exception"), (raised.into_value(py),)),
    };
    drop(set);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
