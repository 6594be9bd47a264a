//! Places for requests in flight, counted for each scope that limits them.
//!
//! A request takes a place in all of its scopes at once, or waits and holds none: a call that waits for one scope keeps
//! nobody from another. Those that wait are served in the order of arrival, except that one whose scopes all have room
//! passes those that wait for a scope which it does not need.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::Full;
use crate::clock::Instant;

/// A scope that limits requests in flight, by its number.
pub(super) type ScopeId = usize;

#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    scopes: Vec<Scope>,
    /// By ticket, which is in the order of arrival.
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
}

#[derive(Debug)]
struct Scope {
    /// The setting's name.
    key: String,
    free: u32,
}

#[derive(Debug)]
struct Waiting {
    scopes: Vec<ScopeId>,
    tell: oneshot::Sender<Slot>,
}

/// A place in each of its scopes, given up on drop.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    held: Option<(Places, Vec<ScopeId>)>,
}

/// A place in the line, left on drop.
struct InLine<'a> {
    places: &'a Places,
    ticket: u64,
}

impl Places {
    /// Limit a scope to so many requests at once.
    pub(super) fn add(&self, key: String, most: u32) -> ScopeId {
        let mut book = self.lock();
        book.scopes.push(Scope { key, free: most });
        book.scopes.len() - 1
    }

    /// The limit that has no place now, if one of them has none.
    pub(super) fn full(&self, scopes: &[ScopeId]) -> Option<Full> {
        if scopes.is_empty() {
            return None;
        }
        self.lock().lacking(scopes).map(|lacking| full(format!("{} is reached", lacking.key)))
    }

    /// Take a place in each scope if all have one.
    pub(super) fn take_now(&self, scopes: Vec<ScopeId>) -> Result<Slot, Full> {
        if scopes.is_empty() {
            return Ok(Slot::default());
        }
        let mut book = self.lock();
        if let Some(lacking) = book.lacking(&scopes) {
            return Err(full(format!("{} is reached", lacking.key)));
        }
        book.take(&scopes);
        Ok(self.slot(scopes))
    }

    /// Take a place in each scope once all have one.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line and holds nothing.
    pub(super) async fn take(&self, scopes: Vec<ScopeId>, deadline: Instant) -> Result<Slot, Full> {
        if let Ok(slot) = self.take_now(scopes.clone()) {
            return Ok(slot);
        }
        let (in_line, mut turn) = self.line_up(scopes.clone());
        let told = timeout_at(deadline, &mut turn).await.ok().and_then(Result::ok);
        drop(in_line);
        // A turn that came together with the deadline is still taken.
        told.or_else(|| turn.try_recv().ok()).ok_or_else(|| {
            let book = self.lock();
            let key = book.lacking(&scopes).map_or("limits.concurrency", |lacking| &lacking.key);
            full(format!("{key} left no place before the call's deadline"))
        })
    }

    fn line_up(&self, scopes: Vec<ScopeId>) -> (InLine<'_>, oneshot::Receiver<Slot>) {
        let (tell, turn) = oneshot::channel();
        let mut book = self.lock();
        let ticket = book.next;
        book.next += 1;
        let freed = scopes.clone();
        book.waiting.insert(ticket, Waiting { scopes, tell });
        // A place may have come free since it was looked for.
        let turns = book.turns(&freed);
        drop(book);
        self.hand_on(turns);
        (InLine { places: self, ticket }, turn)
    }

    fn give_back(&self, scopes: &[ScopeId]) {
        let mut book = self.lock();
        for scope in scopes {
            book.scopes[*scope].free += 1;
        }
        let turns = book.turns(scopes);
        drop(book);
        self.hand_on(turns);
    }

    /// Told after the lock is released: a receiver that is gone drops its slot, which locks again.
    fn hand_on(&self, turns: Vec<Waiting>) {
        for Waiting { scopes, tell } in turns {
            drop(tell.send(self.slot(scopes)));
        }
    }

    fn slot(&self, scopes: Vec<ScopeId>) -> Slot {
        Slot { held: Some((self.clone(), scopes)) }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn full(message: String) -> Full {
    Full { message, ready: None, own: false }
}

impl Book {
    fn lacking(&self, scopes: &[ScopeId]) -> Option<&Scope> {
        scopes.iter().map(|scope| &self.scopes[*scope]).find(|scope| scope.free == 0)
    }

    fn take(&mut self, scopes: &[ScopeId]) {
        for scope in scopes {
            self.scopes[*scope].free -= 1;
        }
    }

    /// Whose turn it is after places in `freed` have come free; they have been taken for them.
    fn turns(&mut self, freed: &[ScopeId]) -> Vec<Waiting> {
        let mut turns = Vec::new();
        let mut from = 0;
        // Without a free place in any of them nothing has changed for the rest of the line.
        while freed.iter().any(|scope| self.scopes[*scope].free > 0) {
            let next =
                self.waiting.range(from..).find(|(_, waiting)| self.lacking(&waiting.scopes).is_none());
            let Some(ticket) = next.map(|(ticket, _)| *ticket) else { break };
            from = ticket + 1;
            if let Some(waiting) = self.waiting.remove(&ticket) {
                self.take(&waiting.scopes);
                turns.push(waiting);
            }
        }
        turns
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some((places, scopes)) = self.held.take() {
            places.give_back(&scopes);
        }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.places.lock().waiting.remove(&self.ticket);
    }
}
