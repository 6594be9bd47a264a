//! What a ledger file says, whether it can be so, and what an operator may change in it.

use iron_protocol::{LeaseId, RequestId};
use rusqlite::{Connection, OptionalExtension, params};

use super::LedgerFile;
use super::lease::LeaseRow;
use super::loss::{self, LossState};
use super::period::{Amounts, Period};
use crate::budget::fault::LedgerFault;
use crate::budget::journal::{self, Replay};
use crate::budget::window::{Span, Window};
use crate::clock::Calendar;

/// A budget of a ledger file.
#[derive(Clone, Debug)]
pub struct BudgetState {
    /// What it is called.
    pub name: String,
    /// After which time it begins anew.
    pub window: Window,
    /// The most that calls may cost in one window.
    pub limit: i64,
    /// Its windows so far, the newest first.
    pub periods: Vec<PeriodState>,
}

/// One window of a budget.
#[derive(Clone, Debug)]
pub struct PeriodState {
    /// From when to when.
    pub span: Span,
    /// Whether that is now.
    pub is_current: bool,
    /// The accounts.
    pub amounts: Amounts,
    /// Leases that are open, the oldest first.
    pub leases: Vec<LeaseState>,
    /// Attempts of which nobody knows what they cost, the oldest first.
    pub doubts: Vec<DoubtState>,
    /// What dead processes may have spent without a trace, the oldest first.
    pub losses: Vec<LossState>,
}

/// An open lease.
#[derive(Clone, Debug)]
pub struct LeaseState {
    /// Its id.
    pub id: LeaseId,
    /// The process that took it.
    pub pid: u32,
    /// Whether that process lives; if not, `iron budget release` settles the lease.
    pub is_alive: bool,
    /// For how long it has been open.
    pub age_seconds: i64,
    /// How much was granted.
    pub granted: i64,
    /// How much of that is spent or in doubt, as far as its journal says.
    pub spent: i64,
    /// How much of it calls in flight hold, as far as its journal says.
    pub held: i64,
}

/// An attempt of which nobody knows what it cost.
#[derive(Clone, Debug)]
pub struct DoubtState {
    /// Its number in the file.
    pub id: i64,
    /// What it cost at most, and counts as having cost.
    pub amount: i64,
    /// The call that made it.
    pub request: RequestId,
    /// When that was noticed, in seconds since 1970.
    pub noticed_at: i64,
}

impl LedgerFile {
    /// All budgets of the file, by name.
    ///
    /// # Errors
    /// [`LedgerFault`] if the file cannot be read.
    pub fn budgets(&mut self, calendar: &Calendar) -> Result<Vec<BudgetState>, LedgerFault> {
        let now = calendar.seconds();
        // One transaction, so that the accounts and the leases are those of one instant.
        let mut budgets = {
            let boot = self.boot.clone();
            self.transact(|transaction| Ok(read_budgets(transaction, boot.as_deref(), now)?))?
        };
        for lease in
            budgets.iter_mut().flat_map(|budget| &mut budget.periods).flat_map(|period| &mut period.leases)
        {
            let path = self.journal_path(lease.id);
            lease.is_alive = journal::is_owned(&path);
            if let Ok(replay) = journal::read(&path, lease.id) {
                // Ahead of what is reported, unless it is damaged.
                lease.spent = spent(&replay).max(lease.spent);
                lease.held = held(&replay);
            }
        }
        Ok(budgets)
    }

    /// What is wrong with the file: nothing, if all is well.
    ///
    /// # Errors
    /// [`LedgerFault`] if the file cannot be read at all.
    pub fn verify(&mut self) -> Result<Vec<String>, LedgerFault> {
        self.check_place()?;
        let (mut found, leases) = self.transact(|transaction| {
            let mut found = damage(transaction)?;
            found.extend(disagreements(transaction)?);
            Ok((found, all_leases(transaction)?))
        })?;
        for lease in &leases {
            if let Some(problem) = self.check_journal(lease)? {
                found.push(format!("lease {}: {problem}", lease.id));
            }
        }
        Ok(found)
    }

    /// What is wrong with the journal of a lease that was open a moment ago.
    fn check_journal(&self, lease: &LeaseRow) -> Result<Option<String>, LedgerFault> {
        let replay = match journal::read(&self.journal_path(lease.id), lease.id) {
            Ok(replay) => replay,
            Err(error) => {
                let still_open =
                    LeaseRow::by_id(&self.connection, lease.id).map_err(|error| self.fault(error))?;
                let problem =
                    format!("its journal cannot be read ({error}): what it has not reported will be a loss");
                return Ok(still_open.map(|_| problem));
            }
        };
        if !replay.intact {
            return Ok(Some("its journal is damaged: what it does not say will be a loss".to_owned()));
        }
        if replay.settled < lease.settled {
            return Ok(Some("it has reported more than its journal says".to_owned()));
        }
        if spent(&replay).saturating_add(held(&replay)) > lease.granted {
            return Ok(Some("its journal spends more than it was granted".to_owned()));
        }
        Ok(None)
    }

    /// Resolve an attempt in doubt: the provider has not billed it, and what it held goes back. `None` if there is
    /// no such attempt in doubt.
    ///
    /// # Errors
    /// [`LedgerFault`]; then nothing has changed.
    pub fn resolve(&mut self, doubt: i64, calendar: &Calendar) -> Result<Option<i64>, LedgerFault> {
        let now = calendar.seconds();
        self.transact(|transaction| Ok(resolve(transaction, doubt, now)?))
    }
}

/// Settled and in doubt, within what was granted.
fn spent(replay: &Replay) -> i64 {
    replay.doubts.iter().fold(replay.settled, |sum, doubt| sum.saturating_add(doubt.amount))
}

fn held(replay: &Replay) -> i64 {
    replay.in_flight.iter().fold(0, |sum, attempt| sum.saturating_add(attempt.amount))
}

fn read_budgets(connection: &Connection, boot: Option<&str>, now: i64) -> rusqlite::Result<Vec<BudgetState>> {
    let mut select =
        connection.prepare("SELECT id, name, every, maximum FROM budget ORDER BY name, every")?;
    let rows = select.query_map([], |row| {
        let window: String = row.get(2)?;
        let window = Window::from_name(&window).unwrap_or_default();
        Ok((row.get(0)?, BudgetState { name: row.get(1)?, window, limit: row.get(3)?, periods: Vec::new() }))
    })?;
    let rows: Vec<(i64, BudgetState)> = rows.collect::<rusqlite::Result<_>>()?;
    rows.into_iter()
        .map(|(id, budget)| {
            let periods = Period::of_budget(connection, id)?;
            let periods = periods.into_iter().map(|period| read_period(connection, period, boot, now));
            Ok(BudgetState { periods: periods.collect::<rusqlite::Result<_>>()?, ..budget })
        })
        .collect()
}

fn read_period(
    connection: &Connection,
    period: Period,
    boot: Option<&str>,
    now: i64,
) -> rusqlite::Result<PeriodState> {
    let period = period.at(now);
    let leases = connection
        .prepare_cached(
            "SELECT id, pid, opened_at, granted, settled + in_doubt FROM lease WHERE period = ?1 ORDER BY id",
        )?
        .query_map([period.id], |row| {
            Ok(LeaseState {
                id: LeaseId::from_bytes(row.get(0)?),
                pid: row.get(1)?,
                is_alive: false,
                age_seconds: (now - row.get::<_, i64>(2)?).max(0),
                granted: row.get(3)?,
                spent: row.get(4)?,
                held: 0,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let doubts = connection
        .prepare_cached(
            "SELECT id, amount, request, noticed_at FROM doubt
             WHERE period = ?1 AND resolved_at IS NULL ORDER BY id",
        )?
        .query_map([period.id], |row| {
            Ok(DoubtState {
                id: row.get(0)?,
                amount: row.get(1)?,
                request: RequestId::from_bytes(row.get(2)?),
                noticed_at: row.get(3)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let (span, amounts) = (period.span, period.amounts);
    let losses = loss::of_period(connection, period.id, boot)?;
    Ok(PeriodState { span, is_current: span.contains(now), amounts, leases, doubts, losses })
}

fn all_leases(connection: &Connection) -> rusqlite::Result<Vec<LeaseRow>> {
    let sql = format!("SELECT {} FROM lease", LeaseRow::COLUMNS);
    connection.prepare(&sql)?.query_map([], LeaseRow::read)?.collect()
}

/// What SQLite finds wrong with the file itself.
fn damage(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare("PRAGMA integrity_check(5)")?;
    let found = check.query_map([], |row| row.get::<_, String>(0))?;
    found
        .filter(|line| line.as_deref() != Ok("ok"))
        .map(|line| Ok(format!("the file is damaged: {}", line?)))
        .collect()
}

/// Windows whose accounts do not agree with themselves, with their leases, or with their attempts in doubt.
fn disagreements(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare(
        "SELECT period.id, budget.name, budget.every,
            (SELECT coalesce(sum(open), 0) FROM lease WHERE lease.period = period.id),
            (SELECT coalesce(sum(amount), 0) FROM doubt WHERE doubt.period = period.id AND resolved_at IS NULL),
            (SELECT coalesce(sum(amount), 0) FROM loss WHERE loss.period = period.id AND released_at IS NULL)
         FROM period JOIN budget ON budget.id = period.budget ORDER BY period.id",
    )?;
    let rows: Vec<(i64, String, String, [i64; 3])> = select
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, [row.get(3)?, row.get(4)?, row.get(5)?]))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut found = Vec::new();
    for (id, name, window, [leased, doubted, lost]) in rows {
        let Amounts { open, in_doubt, loss, .. } = Period::by_id(connection, id)?.amounts;
        let mut say = |what: String| found.push(format!("budget {name:?} ({window}), window {id}: {what}"));
        if !Period::by_id(connection, id)?.amounts.agree() {
            say("its accounts do not add up".to_owned());
        }
        if open != leased {
            say(format!("{open} nano-dollars are open, and its leases hold {leased}"));
        }
        if in_doubt != doubted {
            say(format!("{in_doubt} nano-dollars are in doubt, and its attempts come to {doubted}"));
        }
        if loss != lost {
            say(format!("{loss} nano-dollars are lost, and its losses come to {lost}"));
        }
    }
    Ok(found)
}

fn resolve(connection: &Connection, doubt: i64, now: i64) -> rusqlite::Result<Option<i64>> {
    let found: Option<(i64, i64)> = connection
        .query_row("SELECT period, amount FROM doubt WHERE id = ?1 AND resolved_at IS NULL", [doubt], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((period, amount)) = found else { return Ok(None) };
    connection.execute("UPDATE doubt SET resolved_at = ?2 WHERE id = ?1", params![doubt, now])?;
    let mut period = Period::by_id(connection, period)?;
    period.amounts.in_doubt -= amount;
    period.amounts.available += amount;
    period.save(connection, now)?;
    Ok(Some(amount))
}
