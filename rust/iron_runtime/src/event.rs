//! What happens to calls, told to whoever reads along, and never more than a reader keeps up with.
//!
//! Nothing here holds a prompt, a reply, a key, or a provider's own words.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use iron_protocol::{ErrorCode, NanoUsd, RequestId};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::budget::BudgetSnapshot;
use crate::call::{Settlement, Timing, Usage};
use crate::clock::calendar_now;

/// Events that wait for the slowest reader; beyond it the oldest are dropped, and counted.
const CAPACITY: usize = 4_096;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Happened {
    /// A call has begun.
    Started {
        /// The call.
        request_id: RequestId,
        /// What it asks for.
        operation: Operation,
        /// The model or alias as it was given; empty for the default one.
        model: String,
        /// The agent that it is from, if one was named.
        agent: Option<Arc<str>>,
        /// What else it is from.
        tags: Vec<Arc<str>>,
        /// Names of the budgets that hold it, innermost first.
        budgets: Vec<Arc<str>>,
    },
    /// The same upstream is asked again.
    Retried {
        /// The call.
        request_id: RequestId,
        /// The upstream that failed.
        upstream: Arc<str>,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// How it failed.
        code: ErrorCode,
        /// How long the call waits before the next attempt.
        wait: Duration,
    },
    /// The next upstream of the route is asked.
    FellBack {
        /// The call.
        request_id: RequestId,
        /// The upstream that is given up.
        from: Arc<str>,
        /// The upstream that is asked instead.
        to: Arc<str>,
        /// How the first failed.
        code: ErrorCode,
    },
    /// A call ended with a reply.
    Finished {
        /// The call.
        request_id: RequestId,
        /// The upstream that answered.
        upstream: Arc<str>,
        /// Tokens.
        usage: Usage,
        /// What the call cost.
        cost: NanoUsd,
        /// How sure the cost is.
        settlement: Settlement,
        /// Requests sent.
        attempts: u32,
        /// Where the time went.
        timing: Timing,
    },
    /// A budget or a limit of ours refused a call.
    Refused {
        /// The call.
        request_id: RequestId,
        /// `budget_exceeded`, `ledger` or `rate_limited`.
        code: ErrorCode,
        /// The budget that refused.
        budget: Option<String>,
    },
    /// A call ended in another error.
    Failed {
        /// The call.
        request_id: RequestId,
        /// The error's code.
        code: ErrorCode,
        /// The upstream that failed, if it was one.
        upstream: Option<String>,
        /// Requests sent.
        attempts: u32,
        /// What they cost.
        cost: NanoUsd,
    },
    /// A call was dropped before its end.
    Cancelled {
        /// The call.
        request_id: RequestId,
        /// Requests sent.
        attempts: u32,
        /// What they cost.
        cost: NanoUsd,
    },
    /// An upstream failed too often: its circuit breaker passes no requests for a while.
    BreakerOpened {
        /// The upstream.
        upstream: Arc<str>,
    },
    /// An upstream is well again.
    BreakerClosed {
        /// The upstream.
        upstream: Arc<str>,
    },
    /// Little of a budget is left.
    BudgetLow(BudgetSnapshot),
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A chat completion.
    Chat,
    /// A streamed chat completion.
    Stream,
    /// Embeddings.
    Embed,
}

impl Operation {
    /// The verb's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Stream => "stream",
            Self::Embed => "embed",
        }
    }
}

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
