//! Leases whose processes are dead: settled by their journals, and by nothing else.

use std::fs::File;
use std::path::{Path, PathBuf};

use iron_protocol::LeaseId;
use rusqlite::{Connection, params};

use super::lease::LeaseRow;
use super::loss::{self, Holder};
use super::period::Period;
use super::{BudgetKey, LedgerFile, Undone, schema};
use crate::budget::attempt::Doubt;
use crate::budget::fault::LedgerFault;
use crate::budget::journal::{self, Replay};
use crate::clock::Calendar;

/// What was found of the leases of dead processes, in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// How many there were.
    pub leases: u64,
    /// What had been settled and not reported.
    pub settled: i64,
    /// What attempts may have cost that were under way.
    pub in_doubt: i64,
    /// What was not spent.
    pub returned: i64,
    /// What may have been spent without a trace.
    pub loss: i64,
}

/// A lease of a dead process, which has been settled.
#[derive(Clone, Debug)]
pub(crate) struct DeadLease {
    pub(crate) key: BudgetKey,
    pub(crate) id: LeaseId,
    pub(crate) granted: i64,
    pub(crate) pid: u32,
    pub(crate) found: Recovered,
}

/// A journal that has been settled, to be removed once that is written. It stays locked until then.
#[derive(Debug)]
pub(super) struct Left {
    path: PathBuf,
    _locked: Option<File>,
    dead: DeadLease,
}

impl Left {
    /// Remove the journal.
    pub(super) fn remove(self) -> DeadLease {
        // One that stays is removed at the next opening: its lease is known no more.
        drop(std::fs::remove_file(&self.path));
        self.dead
    }
}

/// The leases of dead processes, and what tells that they are dead.
#[derive(Clone, Debug)]
pub(super) struct Dead {
    ledger: PathBuf,
    journals: PathBuf,
    boot: Option<String>,
}

impl LedgerFile {
    pub(super) fn dead_in_reach(&self) -> Dead {
        Dead { ledger: self.path.clone(), journals: self.journals.clone(), boot: self.boot.clone() }
    }

    /// Settle all leases of dead processes by their journals.
    ///
    /// # Errors
    /// [`LedgerFault`]; then nothing has changed.
    pub fn recover(&mut self, calendar: &Calendar) -> Result<Recovered, LedgerFault> {
        let dead = self.settle_dead(calendar)?;
        Ok(dead.into_iter().fold(Recovered::default(), |sum, one| sum.and(one.found)))
    }

    /// As [`LedgerFile::recover`], lease by lease.
    pub(crate) fn settle_dead(&mut self, calendar: &Calendar) -> Result<Vec<DeadLease>, LedgerFault> {
        let (dead, now) = (self.dead_in_reach(), calendar.seconds());
        let (left, strays) = self.transact(|transaction| {
            let left = dead.take_back(transaction, None, now)?;
            let strays = dead.strays(transaction)?;
            if !strays.is_empty() {
                // A process that was killed while its grant waited for the disk may have left it in SQLite's log, where
                // nobody sees it until all have ended and the log is read anew. What is written now is written over it.
                schema::rewrite_version(transaction)?;
            }
            Ok((left, strays))
        })?;
        for stray in strays {
            // One that stays is removed at the next opening.
            drop(std::fs::remove_file(stray));
        }
        Ok(left.into_iter().map(Left::remove).collect())
    }
}

impl Recovered {
    fn and(self, other: Self) -> Self {
        Self {
            leases: self.leases + other.leases,
            settled: self.settled.saturating_add(other.settled),
            in_doubt: self.in_doubt.saturating_add(other.in_doubt),
            returned: self.returned.saturating_add(other.returned),
            loss: self.loss.saturating_add(other.loss),
        }
    }
}

impl Dead {
    /// Settle leases whose owners are dead, of one period or of all.
    pub(super) fn take_back(
        &self,
        connection: &Connection,
        period: Option<i64>,
        now: i64,
    ) -> Result<Vec<Left>, Undone> {
        let mut left = Vec::new();
        for (row, pid, boot) in leases(connection, period)? {
            let path = self.journal_path(row.id);
            let found = journal::read_left(&path, row.id).map_err(|error| {
                LedgerFault::io(&self.ledger, "reading a journal of a dead process", error)
            })?;
            let (replay, locked) = match found {
                journal::Left::Owned => continue,
                journal::Left::Dead(replay, file) => (Some(replay), Some(file)),
                journal::Left::Missing => (None, None),
            };
            // Across a boot the end of a journal may be missing: what it does not say is not known.
            let same_boot = boot.is_some() && boot == self.boot;
            let found = settle(connection, &row, replay, same_boot, now)?;
            if found.loss > 0 {
                let holder = Holder { pid, boot: boot.as_deref(), is_dead: locked.is_some() };
                loss::note(connection, &row, found.loss, &holder, now)?;
            }
            let key = BudgetKey::of_period(connection, row.period)?;
            let dead = DeadLease { key, id: row.id, granted: row.granted, pid, found };
            left.push(Left { path, _locked: locked, dead });
        }
        Ok(left)
    }

    fn journal_path(&self, lease: LeaseId) -> PathBuf {
        self.journals.join(format!("{lease}.journal"))
    }

    /// Journals of leases that are not known: those of processes that died before a grant was written, or after a lease
    /// was closed.
    fn strays(&self, connection: &Connection) -> Result<Vec<PathBuf>, Undone> {
        let known: Vec<PathBuf> =
            leases(connection, None)?.iter().map(|(row, ..)| self.journal_path(row.id)).collect();
        let listed = std::fs::read_dir(&self.journals)
            .map_err(|error| LedgerFault::io(&self.ledger, "listing its journals", error))?;
        let is_stray = |path: &PathBuf| is_journal(path) && !known.contains(path) && !journal::is_owned(path);
        Ok(listed.filter_map(|entry| Some(entry.ok()?.path())).filter(is_stray).collect())
    }
}

fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "journal")
}

fn leases(
    connection: &Connection,
    period: Option<i64>,
) -> rusqlite::Result<Vec<(LeaseRow, u32, Option<String>)>> {
    let sql = format!("SELECT {}, pid, boot FROM lease WHERE ?1 IS NULL OR period = ?1", LeaseRow::COLUMNS);
    connection
        .prepare_cached(&sql)?
        .query_map(params![period], |row| Ok((LeaseRow::read(row)?, row.get(7)?, row.get(8)?)))?
        .collect()
}

/// Settle one lease by what its journal says: what it says is settled, what it leaves open is in doubt, and the rest
/// goes back if the journal is known to be complete, or is lost.
fn settle(
    connection: &Connection,
    row: &LeaseRow,
    replay: Option<Replay>,
    same_boot: bool,
    now: i64,
) -> rusqlite::Result<Recovered> {
    let complete = same_boot && replay.as_ref().is_some_and(|replay| replay.intact);
    let mut open = row.open;
    let mut take = |amount: i64| {
        let taken = amount.clamp(0, open);
        open -= taken;
        taken
    };
    let (mut settled, mut overage, mut doubts) = (0, 0, Vec::new());
    if let Some(replay) = replay {
        // Of a damaged journal the owner may have reported more than can still be read.
        settled = take(replay.settled - row.settled);
        overage = (replay.overage - row.overage).max(0);
        doubts = replay.doubts;
        doubts.extend(replay.in_flight);
    }
    let noted = known_doubts(connection, row.id)?;
    let doubts: Vec<Doubt> = doubts
        .into_iter()
        .filter(|doubt| !noted.contains(&doubt.attempt))
        .map(|doubt| Doubt { amount: take(doubt.amount), ..doubt })
        .collect();
    let in_doubt = row.doubt(connection, &doubts, now)?;
    let mut period = Period::by_id(connection, row.period)?;
    let accounts = &mut period.amounts;
    accounts.open -= row.open;
    accounts.settled += settled;
    accounts.in_doubt += in_doubt;
    let (returned, loss) = if complete { (open, 0) } else { (0, open) };
    accounts.available += returned;
    accounts.loss += loss;
    accounts.overspend(overage);
    period.save(connection, now)?;
    row.delete(connection)?;
    Ok(Recovered { leases: 1, settled, in_doubt, returned, loss })
}

fn known_doubts(connection: &Connection, lease: LeaseId) -> rusqlite::Result<Vec<u64>> {
    connection
        .prepare_cached("SELECT attempt FROM doubt WHERE lease = ?1")?
        .query_map([lease.as_bytes()], |row| row.get::<_, i64>(0))?
        .map(|attempt| Ok(attempt?.unsigned_abs()))
        .collect()
}
