//! The reservations that wait: each for one budget at a time, in the order of arrival.

use super::{Book, Held, NodeId, Verdict};
use crate::budget::Ask;
use crate::budget::tranche::Want;

/// A waiter's place in the order of arrival.
pub(in crate::budget) type Ticket = u64;

/// How many of those that wait are counted when the next tranche is taken: the rest are counted when they are first.
const COUNTED_WAITERS: usize = 64;

/// A reservation that waits for its turn; `T` is how its owner is told.
pub(super) struct Waiter<T> {
    chain: Box<[NodeId]>,
    ask: Ask,
    parked_at: NodeId,
    tell: T,
}

/// The end of a waiter's wait.
pub(in crate::budget) struct Turn<T, J> {
    pub(in crate::budget) tell: T,
    /// What is now held, or the budget that can never pay.
    pub(in crate::budget) outcome: Result<Held<J>, NodeId>,
}

impl<T, J: Clone> Book<T, J> {
    /// Wait at the budget that blocked.
    pub(in crate::budget) fn park(&mut self, chain: &[NodeId], ask: Ask, at: NodeId, tell: T) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiters.insert(ticket, Waiter { chain: chain.into(), ask, parked_at: at, tell });
        self.enqueue(at, ticket, ask);
        ticket
    }

    /// Stop waiting. Whoever waited behind may have a turn now.
    pub(in crate::budget) fn leave(&mut self, ticket: Ticket) -> Vec<Turn<T, J>> {
        let mut turns = Vec::new();
        if let Some(waiter) = self.remove(ticket) {
            self.advance(waiter.parked_at, &mut turns);
        }
        turns
    }

    /// Everybody who waits at a budget stops waiting: nobody can tell whether it will pay.
    pub(in crate::budget) fn dismiss(&mut self, id: NodeId) -> Vec<T> {
        let waiting: Vec<Ticket> = self.nodes.get(id).into_iter().flat_map(super::Node::tickets).collect();
        waiting.into_iter().filter_map(|ticket| Some(self.remove(ticket)?.tell)).collect()
    }

    /// What those who wait at a budget need: the least that helps the first, and what would serve the first few.
    pub(in crate::budget) fn waited_for(&self, id: NodeId) -> Option<Want> {
        let node = self.nodes.get(id)?;
        let asks =
            || node.tickets().take(COUNTED_WAITERS).filter_map(|ticket| Some(self.waiters.get(&ticket)?.ask));
        let least = asks().next()?.least.nanos();
        Some(Want { least, most: asks().fold(0, |sum, ask| sum.saturating_add(ask.most.nanos())) })
    }

    /// Give turns at one budget until its first waiter has to go on waiting there.
    pub(super) fn advance(&mut self, id: NodeId, turns: &mut Vec<Turn<T, J>>) {
        if let Some(ever) = self.nodes.get(id).map(super::Node::ever_free) {
            self.refuse_above(id, ever, turns);
        }
        while let Some(ticket) = self.nodes.get(id).and_then(super::Node::first) {
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
    pub(super) fn refuse_above(&mut self, id: NodeId, ever: i64, turns: &mut Vec<Turn<T, J>>) {
        while let Some(ticket) = self.nodes.get(id).and_then(|node| node.hopeless(ever)) {
            self.tell(ticket, Err(id), turns);
        }
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
            node.enqueue(ticket, ask.least.nanos());
        }
    }

    fn dequeue(&mut self, at: NodeId, ticket: Ticket, ask: Ask) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.dequeue(ticket, ask.least.nanos());
        }
    }
}
