//! The writer of a log: the one thread of a process that writes it.
//!
//! It takes all that waits, writes it with one write, and, where the configuration asks, waits for the disk once for all
//! of them. What cannot be written it keeps, and tries again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::body::Note;
use super::chain::{Chain, Sync};
use super::digest::Key;
use super::fault::AuditFault;
use super::queue::{Item, Missed, Order, Queue};
use crate::clock::{Instant, calendar_now, now};

/// How often writing is tried again where it fails.
const RETRY: Duration = Duration::from_millis(250);
/// How long more calls are waited for where none waits for the disk.
const LINGER: Duration = Duration::from_millis(5);
/// So much is encoded before it is written.
const BATCH_BYTES: usize = 1 << 20;

pub(super) struct Writer {
    queue: Arc<Queue>,
    chain: Chain,
    sync: Sync,
    /// Of content digests.
    key: Key,
    missed: Arc<Missed>,
    /// Calls of which nothing is encoded.
    waiting: VecDeque<Item>,
    /// Calls that are encoded, and perhaps written, and have not been told so.
    encoded: Vec<Item>,
    synced_at: Instant,
    /// Nothing more is written, and nothing that was is known to last.
    broken: Option<AuditFault>,
}

impl Writer {
    pub(super) fn new(queue: Arc<Queue>, chain: Chain, sync: Sync, key: Key, missed: Arc<Missed>) -> Self {
        let (waiting, encoded) = (VecDeque::new(), Vec::new());
        Self { queue, chain, sync, key, missed, waiting, encoded, synced_at: now(), broken: None }
    }

    pub(super) fn run(mut self) {
        let linger = if self.sync == Sync::Always { Duration::ZERO } else { LINGER };
        loop {
            let (items, orders) = self.queue.take(self.pause(), linger);
            self.waiting.extend(items);
            let stops = orders.iter().any(|order| matches!(order, Order::Stop(_)));
            let written = self.work(!orders.is_empty(), stops);
            self.tell(written);
            let mut leaving = Vec::new();
            for order in orders {
                match order {
                    Order::Flush(done) => drop(done.send(())),
                    Order::Stop(done) => leaving.push(done),
                }
            }
            if stops && self.queue.leave() {
                return self.end(&leaving);
            }
            for done in leaving {
                self.queue.order(Order::Stop(done));
            }
        }
    }

    fn end(self, waiting: &[Sender<()>]) {
        let lost = self.encoded.len() + self.waiting.len();
        if lost > 0 {
            tracing::error!(calls = lost, "the audit log ends without them: they could not be written");
        }
        // Who waits for the end may want the chain.
        drop(self.chain);
        for done in waiting {
            // Who did not wait so long is gone.
            let _ = done.send(());
        }
    }

    /// How long to wait for the next call: for ever, if nothing is to be done.
    fn pause(&self) -> Option<Duration> {
        if self.broken.is_some() {
            return None;
        }
        if !self.waiting.is_empty() || self.chain.pending_bytes() > 0 || self.misses() {
            return Some(RETRY);
        }
        match self.sync {
            Sync::Interval(every) if self.chain.is_unsynced() => {
                Some(every.saturating_sub(self.synced_at.elapsed()))
            }
            _ => None,
        }
    }

    /// Write everything that waits; `all` to see that it lasts, whatever the interval.
    fn work(&mut self, all: bool, stops: bool) -> Result<(), AuditFault> {
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        if self.misses() {
            self.chain.make_room(calendar_now())?;
            let [calls, refused] =
                [&self.missed.calls, &self.missed.refused].map(|missed| missed.swap(0, Ordering::Relaxed));
            self.chain.note(&Note::Unrecorded { calls, refused });
        }
        while let Some(item) = self.waiting.pop_front() {
            if let Err(fault) = self.chain.make_room(calendar_now()) {
                self.waiting.push_front(item);
                return Err(fault);
            }
            item.ended.write(&mut self.chain, &self.key);
            self.encoded.push(item);
            if self.chain.pending_bytes() > BATCH_BYTES {
                self.chain.flush()?;
            }
        }
        if stops {
            self.chain.make_room(calendar_now())?;
            self.chain.note(&Note::closed());
        }
        self.chain.flush()?;
        let due = match self.sync {
            Sync::Always => true,
            Sync::Interval(every) => all || self.synced_at.elapsed() >= every,
            Sync::Never => false,
        };
        if due {
            self.synced_at = now();
            self.chain.sync().inspect_err(|fault| self.broken = Some(fault.clone()))?;
        }
        Ok(())
    }

    fn misses(&self) -> bool {
        [&self.missed.calls, &self.missed.refused].iter().any(|missed| missed.load(Ordering::Relaxed) > 0)
    }

    /// Tell the queue how it went, then calls: one that hears of a fault may make the next call at once, which must meet it.
    fn tell(&mut self, written: Result<(), AuditFault>) {
        match written {
            Ok(()) => {
                if let Some(fault) = self.queue.fault() {
                    tracing::warn!("{fault}: it can be written again");
                    self.queue.set_fault(None);
                }
                for Item { done, .. } in self.encoded.drain(..) {
                    if let Some(done) = done {
                        drop(done.send(Ok(())));
                    }
                }
            }
            Err(fault) => {
                if self.queue.fault().is_none() {
                    tracing::error!("{fault}");
                }
                self.queue.set_fault(Some(fault.clone()));
                for item in self.encoded.iter_mut().chain(&mut self.waiting) {
                    if let Some(done) = item.done.take() {
                        drop(done.send(Err(fault.clone())));
                    }
                }
                if self.broken.is_some() {
                    let lost = self.encoded.len() + self.waiting.len();
                    self.missed.calls.fetch_add(lost as u64, Ordering::Relaxed);
                    (self.encoded, self.waiting) = (Vec::new(), VecDeque::new());
                }
            }
        }
    }
}
