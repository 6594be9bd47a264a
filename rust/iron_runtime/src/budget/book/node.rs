//! One budget of the book: its amounts, and who waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Ticket;
use crate::budget::pool::Pool;

/// Less than this share of its limit left, in percent, and a budget is low.
const LOW_PERCENT: i64 = 20;

/// One budget. Amounts are nano-dollars.
#[derive(Debug)]
pub(in crate::budget) struct Node<J> {
    pub(in crate::budget) name: Arc<str>,
    pub(in crate::budget) limit: i64,
    /// Settled, with what went past the limit because an actual cost was above its reservation.
    pub(in crate::budget) spent: i64,
    pub(in crate::budget) held: i64,
    low: Low,
    waiting: BTreeSet<Ticket>,
    /// The same waiters by the least they ask for: the ones that have become impossible are at the end.
    by_least: BTreeSet<(i64, Ticket)>,
    /// The leases that pay, where the limit is shared with other processes.
    pub(in crate::budget) pool: Option<Pool<J>>,
}

/// Whether it was told that a budget is low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Low {
    /// Not since it last was above.
    Untold,
    Told,
    /// It never is.
    Quiet,
}

impl<J: Clone> Node<J> {
    pub(super) fn new(name: Arc<str>, limit: i64, pool: Option<Pool<J>>) -> Self {
        Self {
            name,
            limit,
            spent: 0,
            held: 0,
            low: Low::Untold,
            waiting: BTreeSet::new(),
            by_least: BTreeSet::new(),
            pool,
        }
    }

    /// What could be reserved now.
    pub(super) fn free(&self) -> i64 {
        match &self.pool {
            Some(pool) => pool.free(),
            None => self.limit.saturating_sub(self.spent).saturating_sub(self.held),
        }
    }

    /// What could be reserved if every call in flight were released. How far leases reach only their source knows.
    pub(super) fn ever_free(&self) -> i64 {
        if self.pool.is_some() { i64::MAX } else { self.limit.saturating_sub(self.spent) }
    }

    /// Whether an ask can be granted now.
    pub(super) fn pays(&self, least: i64, most: i64) -> bool {
        match &self.pool {
            Some(pool) => pool.pays(least, most),
            None => least <= self.free(),
        }
    }
}

impl<J> Node<J> {
    pub(super) fn enqueue(&mut self, ticket: Ticket, least: i64) {
        self.waiting.insert(ticket);
        self.by_least.insert((least, ticket));
    }

    pub(super) fn dequeue(&mut self, ticket: Ticket, least: i64) {
        self.waiting.remove(&ticket);
        self.by_least.remove(&(least, ticket));
    }

    /// Whose turn is next.
    pub(super) fn first(&self) -> Option<Ticket> {
        self.waiting.first().copied()
    }

    /// Who waits, in the order of arrival.
    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.waiting.iter().copied()
    }

    /// Who waits for more than `ever`, the most demanding.
    pub(super) fn hopeless(&self, ever: i64) -> Option<Ticket> {
        self.by_least.last().filter(|(least, _)| *least > ever).map(|&(_, ticket)| ticket)
    }

    pub(in crate::budget) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether it has become low since this was last asked, where so much of `limit` is spent.
    pub(super) fn newly_low(&mut self, limit: i64, spent: i64) -> bool {
        let is_low = limit.saturating_sub(spent) < limit / 100 * LOW_PERCENT;
        match (self.low, is_low) {
            (Low::Untold, true) => self.low = Low::Told,
            (Low::Told, false) => self.low = Low::Untold,
            _ => return false,
        }
        is_low
    }

    /// Never count it as low.
    pub(super) fn keep_quiet(&mut self) {
        self.low = Low::Quiet;
    }
}
