//! The arithmetic of budgets: who holds what, who waits, and whose turn it is. It knows no thread and no clock.

mod hold;
mod node;
mod queue;

use std::collections::BTreeMap;
use std::sync::Arc;

use iron_protocol::{LeaseId, RequestId};
use slab::Slab;

pub(super) use self::hold::Held;
pub(super) use self::node::Node;
use self::queue::Waiter;
pub(super) use self::queue::{Ticket, Turn};
use super::Ask;
use super::attempt::Ending;
use super::pool::Pool;
use super::window::Span;

/// A budget's place in the book.
pub(super) type NodeId = usize;

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
        debug_assert!(node.is_some_and(|node| node.held == 0 && node.waiting() == 0));
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
        self.nodes.get_mut(id).is_some_and(|node| node.newly_low(limit, spent))
    }

    /// Never count this budget as low.
    pub(super) fn keep_quiet(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.keep_quiet();
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
            let behind = node.first().is_some_and(|first| first < ticket);
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
}

#[cfg(test)]
mod tests;
