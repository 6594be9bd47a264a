//! The ledger: the budgets of one process behind one lock.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{PoisonError, Weak};
use std::time::Duration;

use iron_protocol::{LeaseId, NanoUsd, RequestId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::account::{Account, Shared};
use super::book::{Answer, Book, Held, NodeId, Ticket, Turn};
use super::fault::LedgerFault;
use super::file::{BudgetKey, LedgerFile};
use super::journal::Journal;
use super::keeper::Keepers;
use super::lease::{Ending, Pool};
use super::reservation::{Ask, Reservation};
use super::sync::{Arc, Mutex, MutexGuard};
use super::window::Span;
use crate::Error;
use crate::clock::Calendar;
use crate::error::BudgetExceeded;

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
    /// The budgets of ledger files that are in use: each has one pool of leases in a process.
    shared: std::sync::Mutex<HashMap<(PathBuf, BudgetKey), Weak<Entry>>>,
}

impl Ledger {
    /// A ledger with no budgets.
    pub fn new() -> Self {
        Self::with_calendar(Calendar::default())
    }

    /// A ledger whose windows go by a calendar of one's own.
    pub fn with_calendar(calendar: Calendar) -> Self {
        Self(Arc::new(Inner {
            book: Mutex::new(Book::new()),
            calendar,
            keepers: Keepers::default(),
            shared: std::sync::Mutex::default(),
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
                let by = Self::blocking(&chain, ask).or(chain.first()).map_or(0, |budget| budget.0.id);
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
            chain.iter().find(|budget| budget.0.id == by).map(Budget::snapshot).unwrap_or_default();
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
            if book.newly_low(budget.0.id, limit, spent) {
                low.push(budget.look(&book));
            }
        }
        drop(book);
        self.ring(&calling);
        self.hand_on(turns);
        low
    }

    /// Told after the lock is released: a receiver that is gone drops its reservation, which locks again.
    fn hand_on(&self, turns: Vec<Turn<Tell, Journals>>) {
        for Turn { tell: (tell, chain, request), outcome } in turns {
            let outcome = outcome
                .map(|held| Reservation::new(self.clone(), chain, held, request))
                .map_err(Stop::Refused);
            drop(tell.send(outcome));
        }
    }

    fn ring(&self, accounts: &[std::sync::Arc<Account>]) {
        for account in accounts {
            account.ring(|account| self.0.keepers.join(self, account));
        }
    }

    /// Give back the leases of this process, as far as no call is in flight on them, and wait for that.
    ///
    /// What is not given back is there for others once this process has ended.
    pub fn return_leases(&self, timeout: Duration) {
        self.0.keepers.stop(timeout);
    }

    pub(super) fn calendar(&self) -> &Calendar {
        &self.0.calendar
    }

    pub(super) fn keepers(&self) -> &Keepers {
        &self.0.keepers
    }

    /// A lease has been granted.
    pub(super) fn grant(&self, node: NodeId, span: Span, amount: i64, journal: Journal) {
        let (lease, journal) = (journal.lease(), Journals::new(journal));
        let turns = self.lock().grant(node, lease, span, amount, journal);
        self.hand_on(turns);
    }

    /// No lease is to be had in that window at present, and `coming` at most may be later.
    pub(super) fn refuse_beyond(&self, node: NodeId, span: Span, coming: i64) {
        let turns = self.lock().refuse_beyond(node, span, coming);
        self.hand_on(turns);
    }

    /// The ledger file cannot be used: whoever waits for it is told.
    pub(super) fn fail(&self, node: NodeId, fault: &LedgerFault) {
        let tells = self.lock().dismiss(node);
        for (tell, ..) in tells {
            drop(tell.send(Err(Stop::Failed(fault.clone()))));
        }
    }

    /// A lease whose journal cannot be written pays for no new call.
    pub(super) fn abandon(&self, node: NodeId, lease: LeaseId) {
        if let Some(pool) = self.lock().pool(node) {
            pool.drain_one(lease);
        }
    }

    /// Forget a budget that nobody uses, once it has no lease: whether that is so.
    pub(super) fn forget_if_idle(&self, node: NodeId) -> bool {
        let mut book = self.lock();
        let is_idle = book.pool(node).is_none_or(|pool| pool.is_empty());
        if is_idle {
            book.forget(node);
        }
        is_idle
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
        if !ids.contains(&budget.0.id) {
            ids.push(budget.0.id);
        }
    }
    ids
}

fn leased(chain: &[Budget]) -> impl Iterator<Item = &std::sync::Arc<Account>> {
    chain.iter().filter_map(|budget| budget.0.account.as_ref())
}

/// The accounts of a chain whose keepers have something to do.
fn calling(book: &mut Book<Tell, Journals>, chain: &[Budget]) -> Vec<std::sync::Arc<Account>> {
    leased(chain)
        .filter(|account| book.pool(account.node).is_some_and(|pool| pool.calls()))
        .cloned()
        .collect()
}

enum Asked {
    Refused(NodeId),
    Parked(Parked),
}

/// A reservation that waits.
struct Parked {
    answer: oneshot::Receiver<Result<Reservation, Stop>>,
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
    /// Where its limit is shared with other processes.
    account: Option<std::sync::Arc<Account>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // The keeper gives leases back first, and then forgets it.
        if !self.account.as_ref().is_some_and(|account| account.leave()) {
            self.ledger.lock().forget(self.id);
        }
    }
}

impl Budget {
    /// A budget of `limit`, with nothing spent.
    pub fn new(ledger: &Ledger, name: impl Into<std::sync::Arc<str>>, limit: NanoUsd) -> Self {
        let id = ledger.lock().open(name.into(), limit.nanos());
        Self(Arc::new(Entry { ledger: ledger.clone(), id, account: None }))
    }

    /// A budget that all processes share which name the same ledger file, name and window. The limit given last holds.
    ///
    /// It reads the file: not for a thread that must not wait for a disk.
    ///
    /// # Errors
    /// [`Error::Ledger`] if the file cannot be used.
    pub fn shared(ledger: &Ledger, name: &str, limit: NanoUsd, shared: Shared) -> Result<Self, Error> {
        let key = BudgetKey { name: name.to_owned(), window: shared.window };
        let mut file = LedgerFile::open(&shared.ledger).map_err(Error::Ledger)?;
        let now = ledger.calendar().seconds();
        let standing = file.declare(&key, limit.nanos(), now).map_err(Error::Ledger)?;
        // By its real path, so that a file has one keeper under all its names.
        let path = shared.ledger.canonicalize().unwrap_or(shared.ledger);
        let mut known = ledger.0.shared.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, entry| entry.strong_count() > 0);
        if let Some(entry) = known.get(&(path.clone(), key.clone())).and_then(Weak::upgrade) {
            let budget = Self(entry);
            budget.set_limit(limit);
            return Ok(budget);
        }
        let id = ledger.lock().open_leased(name.into(), limit.nanos());
        let account = Account::new(id, key.clone(), &path, limit.nanos(), standing.view());
        let entry =
            Arc::new(Entry { ledger: ledger.clone(), id, account: Some(std::sync::Arc::new(account)) });
        known.insert((path, key), Arc::downgrade(&entry));
        Ok(Self(entry))
    }

    /// The cap of one call, of which nobody needs to be told that little is left.
    pub(crate) fn cap(ledger: &Ledger, limit: NanoUsd) -> Self {
        let budget = Self::new(ledger, "max_cost", limit);
        ledger.lock().keep_quiet(budget.0.id);
        budget
    }

    /// The amounts at this instant.
    pub fn snapshot(&self) -> BudgetSnapshot {
        self.look(&self.0.ledger.lock())
    }

    fn look(&self, book: &Book<Tell, Journals>) -> BudgetSnapshot {
        let Some(node) = book.node(self.0.id) else { return BudgetSnapshot::default() };
        let usd = NanoUsd::from_nanos;
        let (limit, spent) = self.limit_and_spent(book);
        // Read under the lock, which the keeper holds when it changes both.
        let view = self.0.account.as_ref().map(|account| account.view());
        let held = node.pool.as_ref().map_or(node.held, Pool::held);
        let beyond = spent.saturating_add(held).saturating_sub(limit).clamp(0, spent.max(0));
        let overage = view.map_or(beyond, |view| view.amounts.overage);
        BudgetSnapshot {
            name: node.name.clone(),
            limit: usd(limit),
            settled: usd(spent.saturating_sub(overage)),
            held: usd(held),
            elsewhere: usd(view.map_or(0, |view| view.elsewhere)),
            overage: usd(overage),
            waiting: node.waiting(),
        }
    }

    /// In nano-dollars; of a shared budget those of all processes, as far as this one knows.
    fn limit_and_spent(&self, book: &Book<Tell, Journals>) -> (i64, i64) {
        let Some(node) = book.node(self.0.id) else { return (0, 0) };
        match (&self.0.account, &node.pool) {
            (Some(account), Some(pool)) => {
                (account.limit(), account.view().amounts.spent().saturating_add(pool.unreported()))
            }
            _ => (node.limit, node.spent),
        }
    }

    /// Raise or lower the limit. What is spent or held already stays so. Of a shared budget it holds for all
    /// processes, a moment later, and what they have leased stays leased.
    pub fn set_limit(&self, limit: NanoUsd) {
        if let Some(account) = &self.0.account {
            account.set_limit(limit.nanos());
            self.0.ledger.ring(std::slice::from_ref(account));
            return;
        }
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
///
/// Of a shared budget they are those of this window on this machine: what this process does counts at once, what
/// others have spent as soon as they have reported it, a second later at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetSnapshot {
    /// What the budget is called in messages.
    pub name: std::sync::Arc<str>,
    /// The most that calls may cost.
    pub limit: NanoUsd,
    /// What calls have cost, within the limit.
    pub settled: NanoUsd,
    /// What calls in flight may still cost; those of this process.
    pub held: NanoUsd,
    /// What other processes hold in leases and have not spent yet.
    pub elsewhere: NanoUsd,
    /// What calls have cost beyond the limit, because a provider billed above the bound it had published.
    pub overage: NanoUsd,
    /// Calls that wait for others to settle.
    pub waiting: usize,
}

impl BudgetSnapshot {
    /// What calls have cost, overage included.
    pub fn spent(&self) -> NanoUsd {
        self.settled.saturating_add(self.overage)
    }

    /// What a new call could reserve at this instant.
    pub fn remaining(&self) -> NanoUsd {
        let taken = self.spent().saturating_add(self.held).saturating_add(self.elsewhere);
        self.limit.minus_or_zero(taken)
    }
}
