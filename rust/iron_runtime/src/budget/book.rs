//! The arithmetic of budgets: who holds what, who waits, and whose turn it is. It knows no thread and no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slab::Slab;

use super::Ask;

/// A budget's place in the book.
pub(super) type NodeId = usize;

/// Less than this share of its limit left, in percent, and a budget is low.
const LOW_PERCENT: i64 = 20;

/// A waiter's place in the order of arrival.
pub(super) type Ticket = u64;

/// One budget. Amounts are nano-dollars.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: Arc<str>,
    pub(super) limit: i64,
    /// Settled, with what went past the limit because an actual cost was above its reservation.
    pub(super) spent: i64,
    pub(super) held: i64,
    low: Low,
    waiting: BTreeSet<Ticket>,
    /// The same waiters by the least they ask for: the ones that have become impossible are at the end.
    by_least: BTreeSet<(i64, Ticket)>,
}

impl Node {
    fn new(name: Arc<str>, limit: i64) -> Self {
        Self {
            name,
            limit,
            spent: 0,
            held: 0,
            low: Low::Untold,
            waiting: BTreeSet::new(),
            by_least: BTreeSet::new(),
        }
    }

    /// What could be reserved now.
    fn free(&self) -> i64 {
        self.limit.saturating_sub(self.spent).saturating_sub(self.held)
    }

    /// What could be reserved if every call in flight were released.
    fn ever_free(&self) -> i64 {
        self.limit.saturating_sub(self.spent)
    }

    fn is_low(&self) -> bool {
        self.ever_free() < self.limit / 100 * LOW_PERCENT
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
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

/// A reservation that waits for its turn; `T` is how its owner is told.
struct Waiter<T> {
    chain: Box<[NodeId]>,
    ask: Ask,
    parked_at: NodeId,
    tell: T,
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// That much is held on the whole chain.
    Granted(i64),
    /// The budget that can never pay it.
    Refused(NodeId),
    /// The budget to wait for.
    Blocked(NodeId),
}

/// The end of a waiter's wait.
pub(super) struct Turn<T> {
    pub(super) tell: T,
    /// The amount that is now held, or the budget that can never pay.
    pub(super) outcome: Result<i64, NodeId>,
}

/// All budgets that can meet in one chain, and the reservations that wait for them.
pub(super) struct Book<T> {
    nodes: Slab<Node>,
    waiters: BTreeMap<Ticket, Waiter<T>>,
    next_ticket: Ticket,
}

impl<T> Book<T> {
    pub(super) fn new() -> Self {
        Self { nodes: Slab::new(), waiters: BTreeMap::new(), next_ticket: 0 }
    }

    pub(super) fn open(&mut self, name: Arc<str>, limit: i64) -> NodeId {
        self.nodes.insert(Node::new(name, limit))
    }

    /// Forget a budget. Nothing holds it and nobody waits for it: both keep it open.
    pub(super) fn forget(&mut self, id: NodeId) {
        let node = self.nodes.try_remove(id);
        debug_assert!(node.is_some_and(|node| node.held == 0 && node.waiting.is_empty()));
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Reserve on the whole chain or on none. A blocked ask is not parked: that is [`Book::park`].
    pub(super) fn ask(&mut self, chain: &[NodeId], ask: Ask) -> Answer {
        let answer = self.judge(chain, ask, self.next_ticket);
        if let Answer::Granted(amount) = answer {
            self.hold(chain, amount);
        }
        answer
    }

    /// Wait at the budget that blocked.
    pub(super) fn park(&mut self, chain: &[NodeId], ask: Ask, at: NodeId, tell: T) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiters.insert(ticket, Waiter { chain: chain.into(), ask, parked_at: at, tell });
        self.enqueue(at, ticket, ask);
        ticket
    }

    /// Stop waiting. Whoever waited behind may have a turn now.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Vec<Turn<T>> {
        let mut turns = Vec::new();
        if let Some(waiter) = self.remove(ticket) {
            self.advance(waiter.parked_at, &mut turns);
        }
        turns
    }

    /// Give `reserved` back on the whole chain and take `actual` for good; zero when nothing was spent.
    pub(super) fn settle(&mut self, chain: &[NodeId], reserved: i64, actual: i64) -> Vec<Turn<T>> {
        for &id in chain {
            if let Some(node) = self.nodes.get_mut(id) {
                node.held = node.held.saturating_sub(reserved);
                node.spent = node.spent.saturating_add(actual);
            }
        }
        let mut turns = Vec::new();
        for &id in chain {
            self.advance(id, &mut turns);
        }
        turns
    }

    /// The budgets of the chain that have become low since this was last asked.
    pub(super) fn newly_low(&mut self, chain: &[NodeId]) -> Vec<Node> {
        let mut found = Vec::new();
        for &id in chain {
            let Some(node) = self.nodes.get_mut(id) else { continue };
            match (node.low, node.is_low()) {
                (Low::Untold, true) => {
                    node.low = Low::Told;
                    found.push(node.clone());
                }
                (Low::Told, false) => node.low = Low::Untold,
                _ => {}
            }
        }
        found
    }

    /// Never count this budget as low.
    pub(super) fn keep_quiet(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.low = Low::Quiet;
        }
    }

    /// Change a limit. What is spent and held stays; only what comes is judged by it.
    pub(super) fn set_limit(&mut self, id: NodeId, limit: i64) -> Vec<Turn<T>> {
        let mut turns = Vec::new();
        if let Some(node) = self.nodes.get_mut(id) {
            node.limit = limit;
            self.advance(id, &mut turns);
        }
        turns
    }

    /// Give turns at one budget until its first waiter has to go on waiting there.
    fn advance(&mut self, id: NodeId, turns: &mut Vec<Turn<T>>) {
        self.refuse_impossible(id, turns);
        while let Some(ticket) = self.nodes.get(id).and_then(|node| node.waiting.first().copied()) {
            let Some(waiter) = self.waiters.get(&ticket) else { return };
            let (chain, ask) = (waiter.chain.clone(), waiter.ask);
            match self.judge(&chain, ask, ticket) {
                Answer::Granted(amount) => {
                    self.hold(&chain, amount);
                    self.tell(ticket, Ok(amount), turns);
                }
                Answer::Refused(by) => self.tell(ticket, Err(by), turns),
                Answer::Blocked(at) if at == id => return,
                Answer::Blocked(at) => {
                    self.dequeue(id, ticket, ask);
                    self.enqueue(at, ticket, ask);
                    if let Some(waiter) = self.waiters.get_mut(&ticket) {
                        waiter.parked_at = at;
                    }
                }
            }
        }
    }

    fn refuse_impossible(&mut self, id: NodeId, turns: &mut Vec<Turn<T>>) {
        while let Some(node) = self.nodes.get(id)
            && let Some(&(least, ticket)) = node.by_least.last()
            && least > node.ever_free()
        {
            self.tell(ticket, Err(id), turns);
        }
    }

    /// Whether the ask fits now, will never fit, or has to wait; `ticket` is its place in the order of arrival.
    fn judge(&self, chain: &[NodeId], ask: Ask, ticket: Ticket) -> Answer {
        let least = ask.least.nanos();
        let mut free = i64::MAX;
        let mut blocked = None;
        for &id in chain {
            let Some(node) = self.nodes.get(id) else { continue };
            if least > node.ever_free() {
                return Answer::Refused(id);
            }
            let behind = node.waiting.first().is_some_and(|&first| first < ticket);
            if blocked.is_none() && (least > node.free() || behind) {
                blocked = Some(id);
            }
            free = free.min(node.free());
        }
        match blocked {
            Some(id) => Answer::Blocked(id),
            None => Answer::Granted(ask.most.nanos().min(free)),
        }
    }

    fn hold(&mut self, chain: &[NodeId], amount: i64) {
        for &id in chain {
            if let Some(node) = self.nodes.get_mut(id) {
                node.held = node.held.saturating_add(amount);
            }
        }
    }

    fn tell(&mut self, ticket: Ticket, outcome: Result<i64, NodeId>, turns: &mut Vec<Turn<T>>) {
        if let Some(waiter) = self.remove(ticket) {
            turns.push(Turn { tell: waiter.tell, outcome });
        }
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Waiter<T>> {
        let waiter = self.waiters.remove(&ticket)?;
        self.dequeue(waiter.parked_at, ticket, waiter.ask);
        Some(waiter)
    }

    fn enqueue(&mut self, at: NodeId, ticket: Ticket, ask: Ask) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.waiting.insert(ticket);
            node.by_least.insert((ask.least.nanos(), ticket));
        }
    }

    fn dequeue(&mut self, at: NodeId, ticket: Ticket, ask: Ask) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.waiting.remove(&ticket);
            node.by_least.remove(&(ask.least.nanos(), ticket));
        }
    }
}

#[cfg(test)]
mod tests;
