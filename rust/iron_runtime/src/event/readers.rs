//! Where events are told, and who reads them: each at its own pace, and never more than it keeps up with.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver, Sender};

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
}

impl Events {
    /// With no reader.
    pub fn new() -> Self {
        Self::default()
    }

    /// Read along from now on.
    pub fn read(&self) -> EventReader {
        let receiver = self.0.sender.get_or_init(|| broadcast::channel(CAPACITY).0).subscribe();
        self.0.readers.fetch_add(1, Ordering::Relaxed);
        EventReader { receiver, events: self.clone() }
    }

    /// Tell what happened. With no reader it costs the look at one number, and `what` is not made.
    pub(crate) fn tell(&self, what: impl FnOnce() -> Happened) {
        if self.0.readers.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(sender) = self.0.sender.get() {
            // The last reader may have gone in between.
            drop(sender.send(Arc::new(Event { at: calendar_now(), what: what() })));
        }
    }
}

/// One reader, with its own place among the events.
#[derive(Debug)]
pub struct EventReader {
    receiver: Receiver<Arc<Event>>,
    events: Events,
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
    /// Wait for the next.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<Told> {
        match self.receiver.recv().await {
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
        self.events.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}
