//! The arithmetic of budgets: who holds what, who waits, and whose turn it is. It knows no thread and no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iron_protocol::{LeaseId, RequestId};
use slab::Slab;

use super::Ask;
use super::lease::{Ending, Part, Pool, share_out};
use super::tranche::Want;
use super::window::Span;

/// A budget's place in the book.
pub(super) type NodeId = usize;

/// Less than this share of its limit left, in percent, and a budget is low.
const LOW_PERCENT: i64 = 20;

/// A waiter's place in the order of arrival.
pub(super) type Ticket = u64;

/// How many of those that wait are counted when the next tranche is taken: the rest are counted when they are first.
const COUNTED_WAITERS: usize = 64;

/// One budget. Amounts are nano-dollars.
#[derive(Debug)]
pub(super) struct Node<J> {
    pub(super) name: Arc<str>,
    pub(super) limit: i64,
    /// Settled, with what went past the limit because an actual cost was above its reservation.
    pub(super) spent: i64,
    pub(super) held: i64,
    low: Low,
    waiting: BTreeSet<Ticket>,
    /// The same waiters by the least they ask for: the ones that have become impossible are at the end.
    by_least: BTreeSet<(i64, Ticket)>,
    /// The leases that pay, where the limit is shared with other processes.
    pub(super) pool: Option<Pool<J>>,
}

impl<J: Clone> Node<J> {
    fn new(name: Arc<str>, limit: i64, pool: Option<Pool<J>>) -> Self {
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
    fn free(&self) -> i64 {
        match &self.pool {
            Some(pool) => pool.free(),
            None => self.limit.saturating_sub(self.spent).saturating_sub(self.held),
        }
    }

    /// What could be reserved if every call in flight were released. How far leases reach only their source knows.
    fn ever_free(&self) -> i64 {
        if self.pool.is_some() { i64::MAX } else { self.limit.saturating_sub(self.spent) }
    }

    /// Whether an ask can be granted now.
    fn pays(&self, least: i64, most: i64) -> bool {
        match &self.pool {
            Some(pool) => pool.pays(least, most),
            None => least <= self.free(),
        }
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

/// An amount that is held on a whole chain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held<J> {
    pub(super) amount: i64,
    /// On which leases, for the budgets that have some; those of one budget stand together.
    pub(super) parts: Vec<(NodeId, Part<J>)>,
}

impl<J: Clone> Held<J> {
    /// Each part with what `ending` of the whole means to it.
    pub(super) fn endings(&self, ending: Ending) -> impl Iterator<Item = (NodeId, &Part<J>, Ending)> {
        self.parts.chunk_by(|one, other| one.0 == other.0).flat_map(move |parts| {
            let amounts: Vec<i64> = parts.iter().map(|(_, part)| part.amount).collect();
            let endings = share_out(&amounts, ending);
            parts.iter().zip(endings).map(|((node, part), ending)| (*node, part, ending))
        })
    }
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<J> {
    /// So much is held.
    Granted(Held<J>),
    /// The budget that can never pay it.
    Refused(NodeId),
    /// The budget to wait for.
    Blocked(NodeId),
}

/// The end of a waiter's wait.
pub(super) struct Turn<T, J> {
    pub(super) tell: T,
    /// What is now held, or the budget that can never pay.
    pub(super) outcome: Result<Held<J>, NodeId>,
}

/// Whether an ask fits now, will never fit, or has to wait.
enum Verdict {
    Fits(i64),
    Never(NodeId),
    Blocked(NodeId),
}

/// All budgets that can meet in one chain, and the reservations that wait for them.
pub(super) struct Book<T, J> {
    nodes: Slab<Node<J>>,
    waiters: BTreeMap<Ticket, Waiter<T>>,
    next_ticket: Ticket,
}

impl<T, J: Clone> Book<T, J> {
    pub(super) fn new() -> Self {
        Self { nodes: Slab::new(), waiters: BTreeMap::new(), next_ticket: 0 }
    }

    pub(super) fn open(&mut self, name: Arc<str>, limit: i64) -> NodeId {
        self.nodes.insert(Node::new(name, limit, None))
    }

    /// A budget that is paid from leases, of which it has none yet.
    pub(super) fn open_leased(&mut self, name: Arc<str>, limit: i64) -> NodeId {
        self.nodes.insert(Node::new(name, limit, Some(Pool::new())))
    }

    /// Forget a budget. Nothing holds it and nobody waits for it: both keep it open.
    pub(super) fn forget(&mut self, id: NodeId) {
        let node = self.nodes.try_remove(id);
        debug_assert!(node.is_some_and(|node| node.held == 0 && node.waiting.is_empty()));
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node<J>> {
        self.nodes.get(id)
    }

    pub(super) fn pool(&mut self, id: NodeId) -> Option<&mut Pool<J>> {
        self.nodes.get_mut(id)?.pool.as_mut()
    }

    /// Reserve on the whole chain or on none. A blocked ask is not parked: that is [`Book::park`].
    pub(super) fn ask(&mut self, chain: &[NodeId], ask: Ask) -> Answer<J> {
        match self.judge(chain, ask, self.next_ticket) {
            Verdict::Fits(amount) => Answer::Granted(self.hold(chain, amount)),
            Verdict::Never(by) => Answer::Refused(by),
            Verdict::Blocked(at) => Answer::Blocked(at),
        }
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
    pub(super) fn leave(&mut self, ticket: Ticket) -> Vec<Turn<T, J>> {
        let mut turns = Vec::new();
        if let Some(waiter) = self.remove(ticket) {
            self.advance(waiter.parked_at, &mut turns);
        }
        turns
    }

    /// Give back what was held on the whole chain, but for what was spent.
    pub(super) fn settle(
        &mut self,
        chain: &[NodeId],
        held: &Held<J>,
        ending: Ending,
        request: RequestId,
    ) -> Vec<Turn<T, J>> {
        let actual = match ending {
            Ending::Settled(actual) => actual,
            Ending::InDoubt => held.amount,
        };
        for &id in chain {
            if let Some(node) = self.nodes.get_mut(id)
                && node.pool.is_none()
            {
                node.held = node.held.saturating_sub(held.amount);
                node.spent = node.spent.saturating_add(actual);
            }
        }
        for (id, part, ending) in held.endings(ending) {
            if let Some(pool) = self.pool(id) {
                pool.end(part, ending, request);
            }
        }
        let mut turns = Vec::new();
        for &id in chain {
            self.advance(id, &mut turns);
        }
        turns
    }

    /// Whether a budget has become low since this was last asked, where so much of its limit is spent.
    pub(super) fn newly_low(&mut self, id: NodeId, limit: i64, spent: i64) -> bool {
        let Some(node) = self.nodes.get_mut(id) else { return false };
        let is_low = limit.saturating_sub(spent) < limit / 100 * LOW_PERCENT;
        match (node.low, is_low) {
            (Low::Untold, true) => node.low = Low::Told,
            (Low::Told, false) => node.low = Low::Untold,
            _ => return false,
        }
        is_low
    }

    /// Never count this budget as low.
    pub(super) fn keep_quiet(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.low = Low::Quiet;
        }
    }

    /// Change a limit. What is spent and held stays; only what comes is judged by it.
    pub(super) fn set_limit(&mut self, id: NodeId, limit: i64) -> Vec<Turn<T, J>> {
        let mut turns = Vec::new();
        if let Some(node) = self.nodes.get_mut(id) {
            node.limit = limit;
            self.advance(id, &mut turns);
        }
        turns
    }

    /// What those who wait at a budget need: the least that helps the first, and what would serve the first few.
    pub(super) fn waited_for(&self, id: NodeId) -> Option<Want> {
        let waiting = &self.nodes.get(id)?.waiting;
        let asks =
            || waiting.iter().take(COUNTED_WAITERS).filter_map(|ticket| Some(self.waiters.get(ticket)?.ask));
        let least = asks().next()?.least.nanos();
        Some(Want { least, most: asks().fold(0, |sum, ask| sum.saturating_add(ask.most.nanos())) })
    }

    /// A lease has been granted.
    pub(super) fn grant(
        &mut self,
        id: NodeId,
        lease: LeaseId,
        span: Span,
        granted: i64,
        journal: J,
    ) -> Vec<Turn<T, J>> {
        let mut turns = Vec::new();
        if let Some(pool) = self.pool(id) {
            pool.grant(lease, span, granted, journal);
            self.advance(id, &mut turns);
        }
        turns
    }

    /// The source of leases has nothing at present, and `elsewhere` at most may come back to it. Who needs more than
    /// that is refused. It says nothing to those who have come in a later window.
    pub(super) fn refuse_beyond(&mut self, id: NodeId, span: Span, elsewhere: i64) -> Vec<Turn<T, J>> {
        let mut turns = Vec::new();
        if let Some(pool) = self.pool(id)
            && pool.span() == span
        {
            pool.refused();
            let ever = pool.ever_free().saturating_add(elsewhere);
            self.refuse_above(id, ever, &mut turns);
            self.advance(id, &mut turns);
        }
        turns
    }

    /// Everybody who waits at a budget stops waiting: nobody can tell whether it will pay.
    pub(super) fn dismiss(&mut self, id: NodeId) -> Vec<T> {
        let waiting = self.nodes.get(id).map(|node| node.waiting.clone()).unwrap_or_default();
        waiting.into_iter().filter_map(|ticket| Some(self.remove(ticket)?.tell)).collect()
    }

    /// Give turns at one budget until its first waiter has to go on waiting there.
    fn advance(&mut self, id: NodeId, turns: &mut Vec<Turn<T, J>>) {
        if let Some(ever) = self.nodes.get(id).map(Node::ever_free) {
            self.refuse_above(id, ever, turns);
        }
        while let Some(ticket) = self.nodes.get(id).and_then(|node| node.waiting.first().copied()) {
            let Some(waiter) = self.waiters.get(&ticket) else { return };
            let (chain, ask) = (waiter.chain.clone(), waiter.ask);
            match self.judge(&chain, ask, ticket) {
                Verdict::Fits(amount) => {
                    let held = self.hold(&chain, amount);
                    self.tell(ticket, Ok(held), turns);
                }
                Verdict::Never(by) => self.tell(ticket, Err(by), turns),
                Verdict::Blocked(at) if at == id => return,
                Verdict::Blocked(at) => {
                    self.dequeue(id, ticket, ask);
                    self.enqueue(at, ticket, ask);
                    if let Some(waiter) = self.waiters.get_mut(&ticket) {
                        waiter.parked_at = at;
                    }
                }
            }
        }
    }

    /// Refuse whoever waits at a budget for more than it will ever have.
    fn refuse_above(&mut self, id: NodeId, ever: i64, turns: &mut Vec<Turn<T, J>>) {
        while let Some(node) = self.nodes.get(id)
            && let Some(&(least, ticket)) = node.by_least.last()
            && least > ever
        {
            self.tell(ticket, Err(id), turns);
        }
    }

    /// Whether the ask fits now, will never fit, or has to wait; `ticket` is its place in the order of arrival.
    fn judge(&self, chain: &[NodeId], ask: Ask, ticket: Ticket) -> Verdict {
        let least = ask.least.nanos();
        let nodes = || chain.iter().filter_map(|&id| Some((id, self.nodes.get(id)?)));
        // More than the other budgets let pass is not waited for at one that has leases.
        let passing = nodes().filter(|(_, node)| node.pool.is_none()).map(|(_, node)| node.free()).min();
        let most = passing.map_or(ask.most.nanos(), |free| ask.most.nanos().min(free).max(least));
        let mut free = i64::MAX;
        let mut blocked = None;
        for (id, node) in nodes() {
            if least > node.ever_free() {
                return Verdict::Never(id);
            }
            let behind = node.waiting.first().is_some_and(|&first| first < ticket);
            if blocked.is_none() && (behind || !node.pays(least, most)) {
                blocked = Some(id);
            }
            free = free.min(node.free());
        }
        match blocked {
            Some(id) => Verdict::Blocked(id),
            None => Verdict::Fits(most.min(free)),
        }
    }

    fn hold(&mut self, chain: &[NodeId], amount: i64) -> Held<J> {
        let mut held = Held { amount, parts: Vec::new() };
        for &id in chain {
            let Some(node) = self.nodes.get_mut(id) else { continue };
            match &mut node.pool {
                Some(pool) => held.parts.extend(pool.take(amount).into_iter().map(|part| (id, part))),
                None => node.held = node.held.saturating_add(amount),
            }
        }
        held
    }

    fn tell(&mut self, ticket: Ticket, outcome: Result<Held<J>, NodeId>, turns: &mut Vec<Turn<T, J>>) {
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
