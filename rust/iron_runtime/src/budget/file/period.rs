//! The accounts of one window of one budget.

use rusqlite::{Connection, OptionalExtension, Result, Row, Transaction, params};

use super::BudgetKey;
use crate::budget::window::{Span, Window};

/// For how long a process is believed to wait that has said so.
const CLAIM_SECONDS: i64 = 2;

/// The accounts of a window, in nano-dollars.
///
/// At every instant `deposited + overage = available + open + settled + in_doubt + loss + expired`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// The limit.
    pub deposited: i64,
    /// Spent beyond it, because a provider billed above the bound it publishes.
    pub overage: i64,
    /// What can be leased.
    pub available: i64,
    /// What processes hold in leases and have not reported as spent.
    pub open: i64,
    /// What calls have cost.
    pub settled: i64,
    /// What attempts may have cost of which nobody knows.
    pub in_doubt: i64,
    /// What a process or machine that died may have spent without a trace.
    pub loss: i64,
    /// What was left when the window was over.
    pub expired: i64,
}

impl Amounts {
    /// Whether the accounts agree, and none is below zero.
    pub fn agree(&self) -> bool {
        let all = [self.available, self.open, self.settled, self.in_doubt, self.loss, self.expired];
        let right: i128 = all.into_iter().map(i128::from).sum();
        let left = i128::from(self.deposited) + i128::from(self.overage);
        left == right && self.deposited >= 0 && self.overage >= 0 && all.into_iter().all(|amount| amount >= 0)
    }

    /// What calls have cost, or may have.
    pub fn spent(&self) -> i64 {
        self.settled.saturating_add(self.in_doubt).saturating_add(self.loss)
    }

    /// Take what was spent beyond a lease from what is available, as far as that goes.
    pub(super) fn overspend(&mut self, amount: i64) {
        self.settled = self.settled.saturating_add(amount);
        self.overage = self.overage.saturating_add(amount);
    }

    /// Put each dollar where it belongs at `now`.
    fn tidy(&mut self, span: Span, limit: i64, now: i64) {
        // What expired stays there only if the window is over: a clock that went back may come into it again.
        self.available = self.available.saturating_add(self.expired);
        self.expired = 0;
        if span.contains(now) {
            // Of a lower limit, what is leased or spent already stays so.
            let lower = self.deposited.saturating_sub(limit).min(self.available);
            let change = if limit > self.deposited { limit - self.deposited } else { -lower };
            self.deposited += change;
            self.available += change;
        }
        // What was spent beyond a lease is paid from what is left, as long as something is.
        let paid = self.overage.min(self.available);
        self.overage -= paid;
        self.available -= paid;
        if now >= span.ends {
            self.expired = std::mem::take(&mut self.available);
        }
    }
}

impl BudgetKey {
    /// Whose window it is.
    pub(super) fn of_period(connection: &Connection, period: i64) -> Result<Self> {
        connection
            .prepare_cached(
                "SELECT name, every FROM budget JOIN period ON budget.id = period.budget WHERE period.id = ?1",
            )?
            .query_row([period], |row| {
                let window: String = row.get(1)?;
                Ok(Self { name: row.get(0)?, window: Window::from_name(&window).unwrap_or_default() })
            })
    }
}

/// A window of a budget, as it is in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    pub(super) id: i64,
    pub(super) span: Span,
    pub(super) amounts: Amounts,
    /// Until then a process waits for money that others hold.
    claimed_until: i64,
    limit: i64,
}

const COLUMNS: &str =
    "period.id, starts, ends, deposited, overage, available, open, settled, in_doubt, loss, expired,
    claimed_until, budget.maximum FROM period JOIN budget ON budget.id = period.budget";

impl Period {
    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            span: Span { starts: row.get(1)?, ends: row.get(2)? },
            amounts: Amounts {
                deposited: row.get(3)?,
                overage: row.get(4)?,
                available: row.get(5)?,
                open: row.get(6)?,
                settled: row.get(7)?,
                in_doubt: row.get(8)?,
                loss: row.get(9)?,
                expired: row.get(10)?,
            },
            claimed_until: row.get(11)?,
            limit: row.get(12)?,
        })
    }

    /// That period.
    pub(super) fn by_id(connection: &Connection, id: i64) -> Result<Self> {
        let sql = format!("SELECT {COLUMNS} WHERE period.id = ?1");
        connection.prepare_cached(&sql)?.query_row([id], Self::read)
    }

    /// All periods of a budget, the newest first.
    pub(super) fn of_budget(connection: &Connection, budget: i64) -> Result<Vec<Self>> {
        let sql = format!("SELECT {COLUMNS} WHERE budget.id = ?1 ORDER BY starts DESC");
        connection.prepare_cached(&sql)?.query_map([budget], Self::read)?.collect()
    }

    /// The period that holds `now`, if it has begun.
    pub(super) fn begun(connection: &Connection, key: &BudgetKey, now: i64) -> Result<Option<Self>> {
        let span = key.window.around(now);
        let sql = format!("SELECT {COLUMNS} WHERE budget.name = ?1 AND budget.every = ?2 AND starts = ?3");
        connection
            .prepare_cached(&sql)?
            .query_row(params![key.name, key.window.as_str(), span.starts], Self::read)
            .optional()
    }

    /// The period that holds `now`, begun if it is not there. Within a transaction: two processes would begin it twice.
    pub(super) fn current(connection: &Transaction<'_>, key: &BudgetKey, now: i64) -> Result<Self> {
        if let Some(period) = Self::begun(connection, key, now)? {
            return Ok(period);
        }
        let span = key.window.around(now);
        let (budget, limit): (i64, i64) = connection
            .prepare_cached("SELECT id, maximum FROM budget WHERE name = ?1 AND every = ?2")?
            .query_row(params![key.name, key.window.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Self::close_others(connection, budget, now)?;
        // Before the new one is there, which is one more.
        super::prune::forget(connection, budget, super::prune::KEPT_WINDOWS - 1, now)?;
        connection.execute(
            "INSERT INTO period (budget, starts, ends, deposited, overage, available, open, settled, in_doubt, loss,
                expired) VALUES (?1, ?2, ?3, ?4, 0, ?4, 0, 0, 0, 0, 0)",
            params![budget, span.starts, span.ends, limit],
        )?;
        Self::by_id(connection, connection.last_insert_rowid())
    }

    /// What is left of windows that are over expires.
    fn close_others(connection: &Connection, budget: i64, now: i64) -> Result<()> {
        for mut period in Self::of_budget(connection, budget)? {
            if now >= period.span.ends && period.amounts.available > 0 {
                period.save(connection, now)?;
            }
        }
        Ok(())
    }

    /// Whether a process waits at `now` for money that others hold.
    pub(super) fn is_claimed(&self, now: i64) -> bool {
        // One that was made by a clock which has been set back since is none.
        (1..=CLAIM_SECONDS).contains(&self.claimed_until.saturating_sub(now))
    }

    /// Say that a process waits for it.
    pub(super) fn claim(&mut self, now: i64) {
        // Said again only when it is forgotten: every process that waits would write each time.
        if !self.is_claimed(now) {
            self.claimed_until = now + CLAIM_SECONDS;
        }
    }

    /// The accounts as they are at `now`, also if nobody has written them since.
    pub(super) fn at(mut self, now: i64) -> Self {
        self.amounts.tidy(self.span, self.limit, now);
        self
    }

    /// Write the accounts back, each dollar where it belongs. The file refuses what breaks their identity.
    pub(super) fn save(&mut self, connection: &Connection, now: i64) -> Result<()> {
        self.amounts.tidy(self.span, self.limit, now);
        debug_assert!(self.amounts.agree(), "{:?}", self.amounts);
        let Amounts { deposited, overage, available, open, settled, in_doubt, loss, expired } = self.amounts;
        connection
            .prepare_cached(
                "UPDATE period SET deposited = ?2, overage = ?3, available = ?4, open = ?5, settled = ?6,
                    in_doubt = ?7, loss = ?8, expired = ?9, claimed_until = ?10 WHERE id = ?1",
            )?
            .execute(params![
                self.id,
                deposited,
                overage,
                available,
                open,
                settled,
                in_doubt,
                loss,
                expired,
                self.claimed_until
            ])?;
        Ok(())
    }
}
