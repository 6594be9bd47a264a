//! The queue between calls and the thread that writes: a place for each call, and a bell that is rung only where the
//! writer sleeps.

use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::ended::Ended;
use super::fault::AuditFault;

/// Calls in flight and calls that wait to be written, together.
const MOST_CALLS: usize = 65_536;
/// What those that wait may hold of prompts and replies.
const MOST_BYTES: usize = 256 << 20;

/// What a call has waited for, once it is written as the configuration asks.
pub(super) type Answer = Result<(), AuditFault>;

/// A call that has ended.
pub(super) struct Item {
    pub(super) ended: Box<Ended>,
    pub(super) done: Option<oneshot::Sender<Answer>>,
    /// Given up with this.
    _place: Place,
}

/// What the writer is told to do besides.
pub(super) enum Order {
    /// Write everything.
    Flush(oneshot::Sender<()>),
    /// Write everything and end.
    Stop(Sender<()>),
}

/// What was not recorded, until the log can tell of it.
#[derive(Debug, Default)]
pub(super) struct Missed {
    pub(super) calls: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// What calls and the writer share.
pub(super) struct Queue {
    directory: PathBuf,
    inner: Mutex<Inner>,
    bell: Condvar,
    calls: AtomicUsize,
    bytes: AtomicUsize,
    most_calls: usize,
    fails: AtomicBool,
    fault: Mutex<Option<AuditFault>>,
}

#[derive(Default)]
struct Inner {
    items: Vec<Item>,
    orders: Vec<Order>,
    asleep: bool,
    /// There is no writer any more.
    left: bool,
}

/// A call's place in the queue, kept until the call is written. Dropped before, it is given up.
pub(super) struct Place {
    queue: Arc<Queue>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self::with_places(directory, MOST_CALLS)
    }

    fn with_places(directory: PathBuf, most_calls: usize) -> Self {
        Self {
            directory,
            inner: Mutex::default(),
            bell: Condvar::new(),
            calls: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            most_calls,
            fails: AtomicBool::new(false),
            fault: Mutex::new(None),
        }
    }

    /// Why nothing can be written at present, if so.
    pub(super) fn fault(&self) -> Option<AuditFault> {
        if !self.fails.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.fault).clone()
    }

    pub(super) fn set_fault(&self, fault: Option<AuditFault>) {
        let fails = fault.is_some();
        *lock(&self.fault) = fault;
        self.fails.store(fails, Ordering::Release);
    }

    /// Take a place.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Place, AuditFault> {
        let place = Place { queue: self.clone(), bytes: 0 };
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        if before >= self.most_calls || self.bytes.load(Ordering::Relaxed) >= MOST_BYTES {
            return Err(AuditFault::full(&self.directory));
        }
        Ok(place)
    }

    /// Hand over a call that has ended. Without a writer nothing is kept.
    fn push(&self, item: Item) {
        let mut inner = lock(&self.inner);
        if inner.left {
            return;
        }
        inner.items.push(item);
        self.ring(inner);
    }

    /// Give an order; `false` if nobody is left to take it.
    pub(super) fn order(&self, order: Order) -> bool {
        let mut inner = lock(&self.inner);
        if inner.left {
            return false;
        }
        inner.orders.push(order);
        // It may be waiting for more calls.
        inner.asleep = true;
        self.ring(inner);
        true
    }

    fn ring(&self, mut inner: MutexGuard<'_, Inner>) {
        let asleep = mem::take(&mut inner.asleep);
        drop(inner);
        if asleep {
            self.bell.notify_one();
        }
    }

    /// Wait for calls or orders, `pause` at most, and then `linger` for more calls.
    pub(super) fn take(&self, pause: Option<Duration>, linger: Duration) -> (Vec<Item>, Vec<Order>) {
        let mut inner = lock(&self.inner);
        inner.asleep = true;
        let idle = |inner: &mut Inner| inner.items.is_empty() && inner.orders.is_empty();
        inner = match pause {
            None => self.bell.wait_while(inner, idle).unwrap_or_else(PoisonError::into_inner),
            Some(pause) => {
                let waited = self.bell.wait_timeout_while(inner, pause, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        inner.asleep = false;
        if !linger.is_zero() && !inner.items.is_empty() {
            let waits = |inner: &mut Inner| inner.orders.is_empty();
            let waited = self.bell.wait_timeout_while(inner, linger, waits);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        (mem::take(&mut inner.items), mem::take(&mut inner.orders))
    }

    /// The writer ends, unless somebody has just come.
    pub(super) fn leave(&self) -> bool {
        let mut inner = lock(&self.inner);
        inner.left = inner.items.is_empty();
        inner.left
    }
}

impl Place {
    /// Hand over the call whose place this is.
    pub(super) fn fill(mut self, ended: Box<Ended>, bytes: usize, done: Option<oneshot::Sender<Answer>>) {
        self.queue.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes = bytes;
        let queue = self.queue.clone();
        queue.push(Item { ended, done, _place: self });
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.calls.fetch_sub(1, Ordering::Relaxed);
        self.queue.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_has_no_place_until_one_is_given_up() {
        let queue = Arc::new(Queue::with_places("/log".into(), 2));
        let first = queue.enter().unwrap();
        let second = queue.enter().unwrap();
        let full = queue.enter().err().unwrap();
        assert!(full.retryable());
        assert!(
            full.to_string().starts_with("the audit log in /log has no place for another call"),
            "{full}"
        );
        drop(first);
        let third = queue.enter().unwrap();
        drop((second, third));
        assert_eq!(queue.calls.load(Ordering::Relaxed), 0);
    }
}
