//! The ledger: the budgets of one process behind one lock.

mod leases;
mod place;
mod told;

use std::fmt;
use std::sync::PoisonError;

use iron_protocol::RequestId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::place::{Asked, Parked, Place};
use super::account::Account;
use super::attempt::Ending;
use super::book::{Answer, Book, Held, NodeId, Turn};
use super::fault::LedgerFault;
use super::journal::Journal;
use super::keeper::Keepers;
use super::limit::{Budget, BudgetSnapshot, SharedBudgets};
use super::reservation::{Ask, Reservation};
use super::sync::{Arc, Mutex, MutexGuard};
use crate::Error;
use crate::clock::Calendar;
use crate::error::BudgetExceeded;
use crate::event::Events;

/// Where the attempts of a lease are written down.
pub(super) type Journals = std::sync::Arc<Journal>;

/// How a waiting reservation learns of its turn.
pub(super) type Tell = (oneshot::Sender<Result<Reservation, Stop>>, Arc<[Budget]>, RequestId);

/// Why a reservation waits no longer.
pub(super) enum Stop {
    /// That budget can never pay it.
    Refused(NodeId),
    /// Nobody can tell.
    Failed(LedgerFault),
}

/// The budgets that can meet in one chain; one for a process.
///
/// All of them are behind one lock: a reservation touches its whole chain at once, and does so in well under a
/// microsecond, so that finer locks would cost more than they save.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    book: Mutex<Book<Tell, Journals>>,
    calendar: Calendar,
    keepers: Keepers,
    shared: SharedBudgets,
    /// Where it is told what becomes of leases.
    events: Events,
}

impl Ledger {
    /// A ledger with no budgets.
    pub fn new() -> Self {
        Self::with_calendar(Calendar::default())
    }

    /// A ledger whose windows go by a calendar of one's own.
    pub fn with_calendar(calendar: Calendar) -> Self {
        Self::watched(calendar, &Events::new())
    }

    /// A ledger that tells what becomes of its leases to the readers of `events`.
    pub fn watched(calendar: Calendar, events: &Events) -> Self {
        Self(Arc::new(Inner {
            book: Mutex::new(Book::new()),
            calendar,
            keepers: Keepers::default(),
            shared: SharedBudgets::default(),
            events: events.clone(),
        }))
    }

    /// Reserve on every budget of `chain` or on none, waiting in arrival order while calls in flight hold what is
    /// needed. An empty chain grants whatever is asked.
    ///
    /// # Errors
    /// [`Error::BudgetExceeded`] at once if the least could never fit, or at `deadline` if it did not fit by then;
    /// [`Error::Ledger`] if a ledger file cannot be used.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue and holds nothing.
    pub async fn reserve(
        &self,
        chain: Arc<[Budget]>,
        ask: Ask,
        deadline: Option<Instant>,
    ) -> Result<Reservation, Error> {
        self.reserve_for(RequestId::new(), chain, ask, deadline).await
    }

    /// As [`Ledger::reserve`], for an attempt of the call `request`, which the journals of ledger files name.
    ///
    /// # Errors
    /// As for [`Ledger::reserve`].
    ///
    /// # Cancel safety
    /// As for [`Ledger::reserve`].
    pub async fn reserve_for(
        &self,
        request: RequestId,
        chain: Arc<[Budget]>,
        ask: Ask,
        deadline: Option<Instant>,
    ) -> Result<Reservation, Error> {
        let parked = match self.ask_or_park(&chain, ask, request) {
            Ok(reservation) => return reservation.admitted(),
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
            Some(Ok(reservation)) => reservation.admitted(),
            Some(Err(Stop::Refused(by))) => Err(Self::refusal(&chain, by, ask, false)),
            Some(Err(Stop::Failed(fault))) => Err(Error::Ledger(fault)),
            None => {
                let by = Self::blocking(&chain, ask).or(chain.first()).map_or(0, Budget::id);
                Err(Self::refusal(&chain, by, ask, true))
            }
        }
    }

    fn ask_or_park(&self, chain: &Arc<[Budget]>, ask: Ask, request: RequestId) -> Result<Reservation, Asked> {
        let ids: Vec<NodeId> = ids(chain);
        let mut book = self.lock();
        self.enter_windows(&mut book, chain);
        match book.ask(&ids, ask) {
            Answer::Granted(held) => {
                let calling = calling(&mut book, chain);
                drop(book);
                self.ring(&calling);
                Ok(Reservation::new(self.clone(), chain.clone(), held, request))
            }
            Answer::Refused(by) => Err(Asked::Refused(by)),
            Answer::Blocked(at) => {
                let (tell, answer) = oneshot::channel();
                let ticket = book.park(&ids, ask, at, (tell, chain.clone(), request));
                drop(book);
                // Wherever it waits now, it may come to wait for a lease.
                self.ring(&leased(chain).cloned().collect::<Vec<_>>());
                Err(Asked::Parked(Parked { answer, place: Place { ledger: self.clone(), ticket } }))
            }
        }
    }

    /// Come into the windows of now: leases of windows that are over pay for no new call.
    fn enter_windows(&self, book: &mut Book<Tell, Journals>, chain: &[Budget]) {
        for account in leased(chain) {
            if let Some(pool) = book.pool(account.node) {
                let now = self.0.calendar.seconds();
                if !pool.span().contains(now) {
                    pool.enter(account.span(now));
                }
            }
        }
    }

    /// The budget of the chain that has too little free now.
    fn blocking(chain: &[Budget], ask: Ask) -> Option<&Budget> {
        chain.iter().find(|budget| budget.snapshot().remaining() < ask.least)
    }

    fn refusal(chain: &[Budget], by: NodeId, ask: Ask, waited: bool) -> Error {
        let snapshot =
            chain.iter().find(|budget| budget.id() == by).map(Budget::snapshot).unwrap_or_default();
        Error::BudgetExceeded(Box::new(BudgetExceeded {
            budget: snapshot.name.to_string(),
            limit: snapshot.limit,
            settled: snapshot.spent(),
            held: snapshot.held.saturating_add(snapshot.elsewhere),
            estimate: ask.least,
            waited,
        }))
    }

    /// Give back what was held, take what was spent, and hand on the turns that this makes possible. What comes back
    /// are the budgets of which little is left now, each once.
    pub(super) fn settle(
        &self,
        chain: &[Budget],
        held: &Held<Journals>,
        ending: Ending,
        request: RequestId,
    ) -> Vec<BudgetSnapshot> {
        let mut book = self.lock();
        let turns = book.settle(&ids(chain), held, ending, request);
        let calling = calling(&mut book, chain);
        let mut low = Vec::new();
        for budget in chain {
            let (limit, spent) = budget.limit_and_spent(&book);
            if book.newly_low(budget.id(), limit, spent) {
                low.push(budget.look(&book));
            }
        }
        drop(book);
        self.ring(&calling);
        self.hand_on(turns);
        low
    }

    /// Told after the lock is released: a receiver that is gone drops its reservation, which locks again.
    pub(super) fn hand_on(&self, turns: Vec<Turn<Tell, Journals>>) {
        for Turn { tell: (tell, chain, request), outcome } in turns {
            let outcome = outcome
                .map(|held| Reservation::new(self.clone(), chain, held, request))
                .map_err(Stop::Refused);
            drop(tell.send(outcome));
        }
    }

    pub(super) fn ring(&self, accounts: &[std::sync::Arc<Account>]) {
        for account in accounts {
            account.ring(|account| self.0.keepers.join(self, account));
        }
    }

    pub(super) fn calendar(&self) -> &Calendar {
        &self.0.calendar
    }

    pub(super) fn shared(&self) -> &SharedBudgets {
        &self.0.shared
    }

    pub(super) fn keepers(&self) -> &Keepers {
        &self.0.keepers
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Book<Tell, Journals>> {
        // A panic under the lock is impossible by construction (checked arithmetic, no user code); were it to
        // happen, refusing every call after it would be worse than going on with consistent integers.
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
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
        if !ids.contains(&budget.id()) {
            ids.push(budget.id());
        }
    }
    ids
}

fn leased(chain: &[Budget]) -> impl Iterator<Item = &std::sync::Arc<Account>> {
    chain.iter().filter_map(Budget::account)
}

/// The accounts of a chain whose keepers have something to do.
fn calling(book: &mut Book<Tell, Journals>, chain: &[Budget]) -> Vec<std::sync::Arc<Account>> {
    leased(chain)
        .filter(|account| book.pool(account.node).is_some_and(|pool| pool.calls()))
        .cloned()
        .collect()
}
