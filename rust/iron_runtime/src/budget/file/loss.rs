//! What dead processes may have spent without a trace, and what an operator may say of it.

use iron_protocol::LeaseId;
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::LedgerFile;
use super::lease::LeaseRow;
use super::period::Period;
use crate::budget::fault::LedgerFault;
use crate::clock::Calendar;

/// A loss: the rest of a lease whose journal does not say what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossState {
    /// Its number in the file.
    pub id: i64,
    /// What may have been spent, and counts as spent.
    pub amount: i64,
    /// The process that had the lease.
    pub pid: u32,
    /// Whether that process may live, and go on spending it.
    pub may_live: bool,
    /// When it was noticed, in seconds since 1970.
    pub noticed_at: i64,
}

/// What came of releasing a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossRelease {
    /// So much went back.
    Released(i64),
    /// The process of that id has the lease and may go on spending it.
    HolderLives(u32),
    /// There is no such loss, or it has been released.
    Unknown,
}

/// What is known of the process that had a lease.
pub(super) struct Holder<'a> {
    pub(super) pid: u32,
    pub(super) boot: Option<&'a str>,
    /// Its lock on the journal was seen to be gone.
    pub(super) is_dead: bool,
}

impl LedgerFile {
    /// Give a loss back: the operator has seen that nothing of it was spent. Not while its holder may live.
    ///
    /// # Errors
    /// [`LedgerFault`]; then nothing has changed.
    pub fn release_loss(&mut self, loss: i64, calendar: &Calendar) -> Result<LossRelease, LedgerFault> {
        let (now, boot) = (calendar.seconds(), self.boot.clone());
        self.transact(|transaction| {
            let sql = format!("SELECT period, {COLUMNS} FROM loss WHERE id = ?1 AND released_at IS NULL");
            let found = transaction
                .query_row(&sql, [loss], |row| Ok((row.get::<_, i64>(0)?, read(row, 1, boot.as_deref())?)))
                .optional()?;
            let Some((period, loss)) = found else { return Ok(LossRelease::Unknown) };
            if loss.may_live {
                return Ok(LossRelease::HolderLives(loss.pid));
            }
            transaction.execute("UPDATE loss SET released_at = ?2 WHERE id = ?1", params![loss.id, now])?;
            let mut period = Period::by_id(transaction, period)?;
            period.amounts.loss -= loss.amount;
            period.amounts.available += loss.amount;
            period.save(transaction, now)?;
            Ok(LossRelease::Released(loss.amount))
        })
    }
}

/// Note the rest of a lease as a loss.
pub(super) fn note(
    connection: &Connection,
    lease: &LeaseRow,
    amount: i64,
    holder: &Holder<'_>,
    now: i64,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO loss (period, lease, pid, boot, is_dead, amount, noticed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            lease.period,
            lease.id.as_bytes(),
            holder.pid,
            holder.boot,
            holder.is_dead,
            amount,
            now
        ])?;
    Ok(())
}

/// Whether a lease became a loss, whatever became of that.
pub(super) fn was(connection: &Connection, lease: LeaseId) -> Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM loss WHERE lease = ?1)")?
        .query_row([lease.as_bytes()], |row| row.get(0))
}

/// The losses of a period that stand, the oldest first, as they look in the boot `now`.
pub(super) fn of_period(connection: &Connection, period: i64, boot: Option<&str>) -> Result<Vec<LossState>> {
    let sql = format!("SELECT {COLUMNS} FROM loss WHERE period = ?1 AND released_at IS NULL ORDER BY id");
    connection.prepare_cached(&sql)?.query_map([period], |row| read(row, 0, boot))?.collect()
}

const COLUMNS: &str = "id, amount, pid, boot, is_dead, noticed_at";

fn read(row: &rusqlite::Row<'_>, first: usize, boot: Option<&str>) -> Result<LossState> {
    let pid = row.get(first + 2)?;
    let theirs: Option<String> = row.get(first + 3)?;
    let is_dead: bool = row.get(first + 4)?;
    // Processes end with the boot; where that cannot be told, the process id is all there is.
    let other_boot = boot.is_some() && theirs.is_some() && theirs.as_deref() != boot;
    Ok(LossState {
        id: row.get(first)?,
        amount: row.get(first + 1)?,
        pid,
        may_live: !is_dead && !other_boot && is_there(pid),
        noticed_at: row.get(first + 5)?,
    })
}

/// Whether there is a process of that id: perhaps another one by now, which is taken for the same.
#[cfg(unix)]
fn is_there(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Other systems do not say.
#[cfg(not(unix))]
fn is_there(_: u32) -> bool {
    true
}
