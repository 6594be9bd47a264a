//! Where events are told, and who reads them: each at its own pace, and never more than it keeps up with.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio_util::task::TaskTracker;

use super::{Event, Happened};
use crate::clock::calendar_now;

/// Events that wait for the slowest reader; beyond it the oldest are dropped, and counted.
const CAPACITY: usize = 4_096;

/// Where events are told; clones are the same. Clients may share one.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    readers: AtomicUsize,
    /// Made for the first reader: its queue takes some memory.
    sender: OnceLock<Sender<Arc<Event>>>,
    /// Where everything is told too.
    outer: Option<Events>,
}

impl Events {
    /// With no reader.
    pub fn new() -> Self {
        Self::default()
    }

    /// With no reader, a part of `outer`: its readers are told what is told here.
    pub(crate) fn within(outer: &Self) -> Self {
        Self(Arc::new(Shared { outer: Some(outer.clone()), ..Shared::default() }))
    }

    /// Read along from now on, until these events are gone.
    pub fn read(&self) -> EventReader {
        self.reader(None)
    }

    /// Read along from now on, until `calls` is closed and the last of them has ended.
    pub(crate) fn read_during(&self, calls: &TaskTracker) -> EventReader {
        self.reader(Some(calls.clone()))
    }

    fn reader(&self, calls: Option<TaskTracker>) -> EventReader {
        let receiver = self.0.sender.get_or_init(|| broadcast::channel(CAPACITY).0).subscribe();
        self.0.readers.fetch_add(1, Ordering::Relaxed);
        EventReader { receiver, events: Arc::downgrade(&self.0), calls }
    }

    /// Tell what happened. With no reader it costs the look at a number or two, and `what` is not made.
    pub(crate) fn tell(&self, what: impl FnOnce() -> Happened) {
        if self.is_read() {
            self.send(&Arc::new(Event { at: calendar_now(), what: what() }));
        }
    }

    fn is_read(&self) -> bool {
        self.0.readers.load(Ordering::Relaxed) > 0 || self.0.outer.as_ref().is_some_and(Self::is_read)
    }

    fn send(&self, event: &Arc<Event>) {
        if let Some(sender) = self.0.sender.get() {
            // The last reader may have gone in between.
            drop(sender.send(event.clone()));
        }
        if let Some(outer) = &self.0.outer {
            outer.send(event);
        }
    }
}

/// One reader, with its own place among the events.
#[derive(Debug)]
pub struct EventReader {
    receiver: Receiver<Arc<Event>>,
    events: Weak<Shared>,
    /// With the end of these nothing more comes.
    calls: Option<TaskTracker>,
}

/// What a reader gets.
#[derive(Clone, Debug)]
pub enum Told {
    /// The next event.
    Event(Arc<Event>),
    /// So many were dropped because the reader was slow.
    Dropped(u64),
}

impl EventReader {
    /// Wait for the next; `None` when nothing more will come.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<Told> {
        let received = match &self.calls {
            None => self.receiver.recv().await,
            Some(calls) => tokio::select! {
                biased;
                received = self.receiver.recv() => received,
                // What the last call told is in the queue by now.
                () = calls.wait() => return self.take(),
            },
        };
        match received {
            Ok(event) => Some(Told::Event(event)),
            Err(RecvError::Lagged(count)) => Some(Told::Dropped(count)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next, if it is there.
    pub fn take(&mut self) -> Option<Told> {
        match self.receiver.try_recv() {
            Ok(event) => Some(Told::Event(event)),
            Err(TryRecvError::Lagged(count)) => Some(Told::Dropped(count)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

impl Drop for EventReader {
    fn drop(&mut self) {
        if let Some(events) = self.events.upgrade() {
            events.readers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
