//! The ledger: the budgets of one process behind one lock.

use std::fmt;
use std::sync::PoisonError;

use iron_protocol::NanoUsd;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::book::{Answer, Book, Node, NodeId, Ticket, Turn};
use super::reservation::{Ask, Reservation};
use super::sync::{Arc, Mutex, MutexGuard};
use crate::error::BudgetExceeded;

/// How a waiting reservation learns of its turn.
type Tell = (oneshot::Sender<Result<Reservation, NodeId>>, Arc<[Budget]>);

/// The budgets that can meet in one chain; one for a process.
///
/// All of them are behind one lock: a reservation touches its whole chain at once, and does so in well under a
/// microsecond, so that finer locks would cost more than they save.
#[derive(Clone)]
pub struct Ledger(Arc<Mutex<Book<Tell>>>);

impl Ledger {
    /// A ledger with no budgets.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Book::new())))
    }

    /// Reserve on every budget of `chain` or on none, waiting in arrival order while calls in flight hold what is
    /// needed. An empty chain grants whatever is asked.
    ///
    /// # Errors
    /// [`BudgetExceeded`] at once if the least could never fit, or at `deadline` if it did not fit by then.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue and holds nothing.
    pub async fn reserve(
        &self,
        chain: Arc<[Budget]>,
        ask: Ask,
        deadline: Option<Instant>,
    ) -> Result<Reservation, BudgetExceeded> {
        let parked = match self.ask_or_park(&chain, ask) {
            Ok(reservation) => return Ok(reservation),
            Err(Asked::Refused(by)) => return Err(Self::refusal(&chain, by, ask, false)),
            Err(Asked::Parked(parked)) => parked,
        };
        let Parked { mut answer, place } = parked;
        let answered = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, &mut answer).await.ok().and_then(Result::ok),
            None => (&mut answer).await.ok(),
        };
        drop(place);
        // With the place given up nothing more is sent; a turn that came together with the deadline is still taken.
        match answered.or_else(|| answer.try_recv().ok()) {
            Some(Ok(reservation)) => Ok(reservation),
            Some(Err(by)) => Err(Self::refusal(&chain, by, ask, false)),
            None => {
                let by = Self::blocking(&chain, ask).or(chain.first()).map_or(0, |budget| budget.0.id);
                Err(Self::refusal(&chain, by, ask, true))
            }
        }
    }

    fn ask_or_park(&self, chain: &Arc<[Budget]>, ask: Ask) -> Result<Reservation, Asked> {
        let ids: Vec<NodeId> = ids(chain);
        let mut book = self.lock();
        match book.ask(&ids, ask) {
            Answer::Granted(amount) => {
                drop(book);
                Ok(Reservation::new(self.clone(), chain.clone(), NanoUsd::from_nanos(amount)))
            }
            Answer::Refused(by) => Err(Asked::Refused(by)),
            Answer::Blocked(at) => {
                let (tell, answer) = oneshot::channel();
                let ticket = book.park(&ids, ask, at, (tell, chain.clone()));
                drop(book);
                Err(Asked::Parked(Parked { answer, place: Place { ledger: self.clone(), ticket } }))
            }
        }
    }

    /// The budget of the chain that has too little free now.
    fn blocking(chain: &[Budget], ask: Ask) -> Option<&Budget> {
        chain.iter().find(|budget| budget.snapshot().remaining() < ask.least)
    }

    fn refusal(chain: &[Budget], by: NodeId, ask: Ask, waited: bool) -> BudgetExceeded {
        let snapshot =
            chain.iter().find(|budget| budget.0.id == by).map(Budget::snapshot).unwrap_or_default();
        BudgetExceeded {
            budget: snapshot.name.to_string(),
            limit: snapshot.limit,
            settled: snapshot.spent(),
            held: snapshot.held,
            estimate: ask.least,
            waited,
        }
    }

    /// Give back what was reserved, take what was spent, and hand on the turns that this makes possible. What comes
    /// back are the budgets of which little is left now, each once.
    pub(super) fn settle(&self, chain: &[Budget], reserved: NanoUsd, actual: NanoUsd) -> Vec<BudgetSnapshot> {
        let ids = ids(chain);
        let mut book = self.lock();
        let turns = book.settle(&ids, reserved.nanos(), actual.nanos());
        let low = book.newly_low(&ids);
        drop(book);
        self.hand_on(turns);
        low.iter().map(BudgetSnapshot::of).collect()
    }

    /// Told after the lock is released: a receiver that is gone drops its reservation, which locks again.
    fn hand_on(&self, turns: Vec<Turn<Tell>>) {
        for Turn { tell: (tell, chain), outcome } in turns {
            let outcome = outcome
                .map(|amount| Reservation::new(self.clone(), chain.clone(), NanoUsd::from_nanos(amount)));
            drop(tell.send(outcome));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book<Tell>> {
        // A panic under the lock is impossible by construction (checked arithmetic, no user code); were it to
        // happen, refusing every call after it would be worse than going on with consistent integers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

/// The ids of a chain, each once: a budget that is entered twice is charged once.
fn ids(chain: &[Budget]) -> Vec<NodeId> {
    let mut ids = Vec::with_capacity(chain.len());
    for budget in chain {
        if !ids.contains(&budget.0.id) {
            ids.push(budget.0.id);
        }
    }
    ids
}

enum Asked {
    Refused(NodeId),
    Parked(Parked),
}

/// A reservation that waits.
struct Parked {
    answer: oneshot::Receiver<Result<Reservation, NodeId>>,
    place: Place,
}

/// A place in the queue, left on drop. Its owner keeps the chain for longer, so that leaving never drops a budget's
/// last owner under the lock.
struct Place {
    ledger: Ledger,
    ticket: Ticket,
}

impl Drop for Place {
    fn drop(&mut self) {
        let turns = self.ledger.lock().leave(self.ticket);
        self.ledger.hand_on(turns);
    }
}

/// A limit on what calls may cost together. Clones are the same budget.
#[derive(Clone)]
pub struct Budget(Arc<Entry>);

/// A budget's entry in the ledger, forgotten with its last owner.
struct Entry {
    ledger: Ledger,
    id: NodeId,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.lock().forget(self.id);
    }
}

impl Budget {
    /// A budget of `limit`, with nothing spent.
    pub fn new(ledger: &Ledger, name: impl Into<std::sync::Arc<str>>, limit: NanoUsd) -> Self {
        let id = ledger.lock().open(name.into(), limit.nanos());
        Self(Arc::new(Entry { ledger: ledger.clone(), id }))
    }

    /// The cap of one call, of which nobody needs to be told that little is left.
    pub(crate) fn cap(ledger: &Ledger, limit: NanoUsd) -> Self {
        let budget = Self::new(ledger, "max_cost", limit);
        ledger.lock().keep_quiet(budget.0.id);
        budget
    }

    /// The amounts at this instant.
    pub fn snapshot(&self) -> BudgetSnapshot {
        let book = self.0.ledger.lock();
        book.node(self.0.id).map(BudgetSnapshot::of).unwrap_or_default()
    }

    /// Raise or lower the limit. What is spent or held already stays so.
    pub fn set_limit(&self, limit: NanoUsd) {
        let turns = self.0.ledger.lock().set_limit(self.0.id, limit.nanos());
        self.0.ledger.hand_on(turns);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

/// A budget's amounts at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetSnapshot {
    /// What the budget is called in messages.
    pub name: std::sync::Arc<str>,
    /// The most that calls may cost.
    pub limit: NanoUsd,
    /// What calls have cost, within the limit.
    pub settled: NanoUsd,
    /// What calls in flight may still cost.
    pub held: NanoUsd,
    /// What calls have cost beyond the limit, because a provider billed above the bound it had published.
    pub overage: NanoUsd,
    /// Calls that wait for others to settle.
    pub waiting: usize,
}

impl BudgetSnapshot {
    fn of(node: &Node) -> Self {
        let overage =
            node.spent.saturating_add(node.held).saturating_sub(node.limit).clamp(0, node.spent.max(0));
        Self {
            name: node.name.clone(),
            limit: NanoUsd::from_nanos(node.limit),
            settled: NanoUsd::from_nanos(node.spent.saturating_sub(overage)),
            held: NanoUsd::from_nanos(node.held),
            overage: NanoUsd::from_nanos(overage),
            waiting: node.waiting(),
        }
    }

    /// What calls have cost, overage included.
    pub fn spent(&self) -> NanoUsd {
        self.settled.saturating_add(self.overage)
    }

    /// What a new call could reserve at this instant.
    pub fn remaining(&self) -> NanoUsd {
        self.limit.minus_or_zero(self.spent().saturating_add(self.held))
    }
}
