//! Windows that are forgotten, so that a ledger does not grow for ever.

use rusqlite::{Connection, Result, params};

use super::LedgerFile;
use crate::budget::fault::LedgerFault;
use crate::clock::Calendar;

/// How many windows of a budget are kept, the newest: a year of days, and a month to look at it.
///
/// Counted and not dated: a clock that is wrong by years would have the window of today forgotten, and its limit could be
/// spent again.
pub(super) const KEPT_WINDOWS: u32 = 400;

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Windows.
    pub windows: usize,
    /// Attempts in doubt, and losses, of those windows.
    pub attempts: usize,
}

impl LedgerFile {
    /// Forget all but the newest `keep` windows of each budget, and give their room back to the disk. One that is not over,
    /// or of which a lease is open, is kept.
    ///
    /// # Errors
    /// [`LedgerFault`]; then nothing has changed.
    pub fn prune(&mut self, keep: u32, calendar: &Calendar) -> Result<Pruned, LedgerFault> {
        let now = calendar.seconds();
        let pruned = self.transact(|transaction| {
            let mut budgets = transaction.prepare("SELECT id FROM budget")?;
            let budgets: Vec<i64> = budgets.query_map([], |row| row.get(0))?.collect::<Result<_>>()?;
            budgets.into_iter().try_fold(Pruned::default(), |sum, budget| {
                let Pruned { windows, attempts } = forget(transaction, budget, keep, now)?;
                Ok(Pruned { windows: sum.windows + windows, attempts: sum.attempts + attempts })
            })
        })?;
        self.connection.execute_batch("VACUUM").map_err(|error| self.fault(error))?;
        Ok(pruned)
    }
}

/// Forget all but the newest `keep` windows of a budget.
pub(super) fn forget(connection: &Connection, budget: i64, keep: u32, now: i64) -> Result<Pruned> {
    let mut old = connection.prepare_cached(
        "SELECT id FROM period WHERE budget = ?1 AND ends <= ?2
            AND id NOT IN (SELECT id FROM period WHERE budget = ?1 ORDER BY starts DESC LIMIT ?3)
            AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.period = period.id)",
    )?;
    let old: Vec<i64> =
        old.query_map(params![budget, now, keep], |row| row.get(0))?.collect::<Result<_>>()?;
    let mut pruned = Pruned { windows: old.len(), attempts: 0 };
    for period in old {
        pruned.attempts += connection.execute("DELETE FROM doubt WHERE period = ?1", [period])?;
        pruned.attempts += connection.execute("DELETE FROM loss WHERE period = ?1", [period])?;
        connection.execute("DELETE FROM period WHERE id = ?1", [period])?;
    }
    Ok(pruned)
}
