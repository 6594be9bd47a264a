//! A limit, and the amounts that stand against it.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use iron_protocol::NanoUsd;

use super::account::{Account, Shared};
use super::book::{Book, NodeId};
use super::file::{BudgetKey, LedgerFile};
use super::ledger::{Journals, Ledger, Tell};
use super::pool::Pool;
use super::sync::{Arc, Weak};
use crate::Error;

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

/// The budgets of ledger files that are in use: each has one pool of leases in a process.
#[derive(Default)]
pub(super) struct SharedBudgets(Mutex<HashMap<(PathBuf, BudgetKey), Weak<Entry>>>);

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
        let mut known = ledger.shared().0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, entry| entry.strong_count() > 0);
        if let Some(entry) = known.get(&(path.clone(), key.clone())).and_then(Weak::upgrade) {
            if let Some(account) = &entry.account {
                account.set_limit(limit.nanos());
                let _changing = ledger.lock();
                account.set_view(standing.view());
            }
            return Ok(Self(entry));
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

    /// Read the file of a shared budget again, if no keeper does: what others have spent meanwhile. What cannot be read
    /// stays as it was last seen.
    ///
    /// It reads the file: not for a thread that must not wait for a disk.
    pub fn refresh(&self) {
        let Some(account) = &self.0.account else { return };
        let is_kept = |book: &Book<Tell, Journals>| {
            book.node(self.0.id).and_then(|node| node.pool.as_ref()).is_some_and(|pool| !pool.is_empty())
        };
        if is_kept(&self.0.ledger.lock()) {
            return;
        }
        let Ok(Some(mut file)) = LedgerFile::open_existing(account.path()) else { return };
        let Ok(standing) = file.standing(&account.key, self.0.ledger.calendar().seconds()) else { return };
        let book = self.0.ledger.lock();
        // What a call has leased since then, its keeper sees.
        if !is_kept(&book) {
            account.set_view(standing.view());
        }
    }

    /// The amounts at this instant.
    pub fn snapshot(&self) -> BudgetSnapshot {
        self.look(&self.0.ledger.lock())
    }

    pub(super) fn look(&self, book: &Book<Tell, Journals>) -> BudgetSnapshot {
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
    pub(super) fn limit_and_spent(&self, book: &Book<Tell, Journals>) -> (i64, i64) {
        let Some(node) = book.node(self.0.id) else { return (0, 0) };
        match (&self.0.account, &node.pool) {
            (Some(account), Some(pool)) => {
                (account.limit(), account.view().amounts.spent().saturating_add(pool.unreported()))
            }
            _ => (node.limit, node.spent),
        }
    }

    /// Raise or lower the limit. What is spent or held already stays so. Of a shared budget it holds for all
    /// processes once this returns, and what they have leased stays leased.
    ///
    /// Of a shared budget it writes to the file: not for a thread that must not wait.
    ///
    /// # Errors
    /// [`Error::Ledger`] if the file of a shared budget cannot be used.
    pub fn set_limit(&self, limit: NanoUsd) -> Result<(), Error> {
        let Some(account) = &self.0.account else {
            let turns = self.0.ledger.lock().set_limit(self.0.id, limit.nanos());
            self.0.ledger.hand_on(turns);
            return Ok(());
        };
        let declared = LedgerFile::open(account.path()).and_then(|mut file| {
            file.declare(&account.key, limit.nanos(), self.0.ledger.calendar().seconds())
        });
        let standing = declared.map_err(Error::Ledger)?;
        account.set_limit(limit.nanos());
        if account.is_kept() {
            // Its keeper knows what of the money that is out is this process's own.
            self.0.ledger.ring(std::slice::from_ref(account));
        } else {
            account.set_view(standing.view());
        }
        Ok(())
    }

    /// Give back what is leased of a shared budget, as far as no call holds it, without waiting for that.
    pub fn give_back(&self) {
        if let Some(account) = &self.0.account {
            account.drain();
        }
    }

    pub(super) fn id(&self) -> NodeId {
        self.0.id
    }

    pub(super) fn account(&self) -> Option<&std::sync::Arc<Account>> {
        self.0.account.as_ref()
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
