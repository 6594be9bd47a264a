//! The ledger file: budgets that all processes of a machine share.
//!
//! SQLite with a write-ahead log. Every transaction takes the write lock at its beginning, so that what it reads is
//! what it changes, and waits for the disk at its end: a lease that a process has been told of is there after a loss
//! of power. The accounts of each window obey
//! `deposited + overage = available + open + settled + in_doubt + loss + expired`,
//! which the file itself refuses to break.

mod audit;
mod grant;
mod lease;
mod loss;
mod period;
mod place;
mod prune;
mod recover;
mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

use iron_protocol::LeaseId;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use audit::{BudgetState, DoubtState, LeaseState, PeriodState};
pub(crate) use grant::Outcome;
pub use loss::{LossRelease, LossState};
pub use period::Amounts;
pub use place::refuse_network;
pub use prune::Pruned;
pub(crate) use recover::DeadLease;
pub use recover::Recovered;

use super::fault::LedgerFault;
use super::window::Window;

/// How long to wait for another process's transaction. They take milliseconds.
const BUSY: Duration = Duration::from_secs(5);

/// Which budget of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BudgetKey {
    pub(crate) name: String,
    pub(crate) window: Window,
}

/// An open ledger file.
#[derive(Debug)]
pub struct LedgerFile {
    connection: Connection,
    path: PathBuf,
    identity: place::Identity,
    /// The directory of the journals.
    journals: PathBuf,
    /// Whose leases are ours.
    holder: LeaseId,
    boot: Option<String>,
}

impl LedgerFile {
    /// Open a ledger file, or begin one.
    ///
    /// # Errors
    /// [`LedgerFault`] if the file cannot be made, read or written, is damaged or of a newer version, or is on a
    /// network filesystem, whose locks do not reach across machines.
    pub fn open(path: &Path) -> Result<Self, LedgerFault> {
        let journals = place::prepare(path)?;
        Self::connect(path, journals)
    }

    /// Open a ledger file that is there; `None` if it is not.
    ///
    /// # Errors
    /// As [`LedgerFile::open`].
    pub fn open_existing(path: &Path) -> Result<Option<Self>, LedgerFault> {
        match path.try_exists() {
            Ok(true) => Self::open(path).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(LedgerFault::io(path, "looking for it", error)),
        }
    }

    fn connect(path: &Path, journals: PathBuf) -> Result<Self, LedgerFault> {
        // One process at a time: for the change to a write-ahead log SQLite does not wait, it fails.
        let alone = place::lock(path, &journals)?;
        let identity = place::Identity::of(path)?;
        place::refuse_emptied(path, &journals)?;
        let wrong = |error| LedgerFault::sqlite(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
        connection.busy_timeout(BUSY).map_err(wrong)?;
        schema::prepare(&mut connection, path)?;
        drop(alone);
        let boot = place::boot();
        Ok(Self { connection, path: path.into(), identity, journals, holder: LeaseId::new(), boot })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file at its path is still the one that was opened. SQLite goes on writing one that is deleted,
    /// while others begin anew.
    pub(crate) fn check_place(&self) -> Result<(), LedgerFault> {
        self.identity.check(&self.path)
    }

    fn journal_path(&self, lease: LeaseId) -> PathBuf {
        self.journals.join(format!("{lease}.journal"))
    }

    fn fault(&self, error: rusqlite::Error) -> LedgerFault {
        LedgerFault::sqlite(&self.path, error)
    }

    /// Do `work` in one transaction, or none of it.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Undone>,
    ) -> Result<T, LedgerFault> {
        let attempt = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        attempt().map_err(|undone| match undone {
            Undone::Sqlite(error) => LedgerFault::sqlite(&self.path, error),
            Undone::Fault(fault) => fault,
        })
    }
}

/// Why a transaction was given up.
enum Undone {
    Sqlite(rusqlite::Error),
    Fault(LedgerFault),
}

impl From<rusqlite::Error> for Undone {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<LedgerFault> for Undone {
    fn from(fault: LedgerFault) -> Self {
        Self::Fault(fault)
    }
}

#[cfg(test)]
mod tests;
