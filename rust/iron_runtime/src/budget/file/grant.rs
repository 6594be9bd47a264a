//! Leases as a living process takes them, reports on them, and gives them back.

use iron_protocol::LeaseId;
use rusqlite::{Connection, Result, params};

use super::lease::LeaseRow;
use super::loss;
use super::period::{Amounts, Period};
use super::recover::Left;
use super::{BudgetKey, DeadLease, LedgerFile};
use crate::budget::account::View;
use crate::budget::fault::LedgerFault;
use crate::budget::journal::Journal;
use crate::budget::lease::Report;
use crate::budget::tranche::{Terms, Want, tranche};
use crate::budget::window::Span;

/// What came of asking for a lease, and the accounts after it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) span: Span,
    pub(crate) amounts: Amounts,
    /// Of what is open, that which other processes hold.
    pub(crate) elsewhere: i64,
    pub(crate) outcome: Outcome,
    /// Leases of dead processes that were taken back for it.
    pub(crate) recovered: Vec<DeadLease>,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Granted {
        amount: i64,
        journal: Journal,
    },
    /// There is too little at present.
    Short,
}

/// How a window stands, to a process that shares it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) amounts: Amounts,
    pub(crate) elsewhere: i64,
    /// Another process waits for money that is leased.
    pub(crate) claimed: bool,
}

impl Standing {
    pub(crate) fn view(&self) -> View {
        View { amounts: self.amounts, elsewhere: self.elsewhere }
    }
}

impl LedgerFile {
    /// Make a budget known, or change its limit.
    pub(crate) fn declare(&mut self, key: &BudgetKey, limit: i64, now: i64) -> Result<Standing, LedgerFault> {
        let holder = self.holder;
        self.transact(|transaction| {
            transaction.execute(
                "INSERT INTO budget (name, every, maximum) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name, every) DO UPDATE SET maximum = excluded.maximum",
                params![key.name, key.window.as_str(), limit],
            )?;
            let mut period = Period::current(transaction, key, now)?;
            period.save(transaction, now)?;
            let shared = Shared::of(transaction, period.id, holder)?;
            Ok(standing(&period, &shared, now))
        })
    }

    /// How the window that holds `now` stands.
    pub(crate) fn standing(&mut self, key: &BudgetKey, now: i64) -> Result<Standing, LedgerFault> {
        let holder = self.holder;
        let look = |connection: &Connection, period: Period| {
            Ok(standing(&period.at(now), &Shared::of(connection, period.id, holder)?, now))
        };
        let seen = || {
            // Without the write lock, which others may need; the reads are of one instant all the same.
            let reading = self.connection.unchecked_transaction()?;
            let period = Period::begun(&reading, key, now)?;
            period.map(|period| look(&reading, period)).transpose()
        };
        match seen().map_err(|error| self.fault(error))? {
            Some(standing) => Ok(standing),
            None => {
                self.transact(|transaction| Ok(look(transaction, Period::current(transaction, key, now)?)?))
            }
        }
    }

    /// Take a lease of what `want` asks for, within the window that holds `now`. If there is too little, what dead
    /// processes hold is taken back first; if that is not enough, the holders of the rest are told that it is wanted.
    pub(crate) fn open_lease(
        &mut self,
        key: &BudgetKey,
        want: Want,
        now: i64,
    ) -> Result<Opened, LedgerFault> {
        self.check_place()?;
        let lease = LeaseId::new();
        let journal_path = self.journal_path(lease);
        let dead = self.dead_in_reach();
        let path = self.path.clone();
        let (holder, boot) = (self.holder, self.boot.clone());
        let mut left = Vec::new();
        let opened = self.transact(|transaction| {
            let mut period = Period::current(transaction, key, now)?;
            period.save(transaction, now)?;
            let mut shared = Shared::of(transaction, period.id, holder)?;
            let mut granted = tranche(shared.terms(&period), want);
            if granted.is_none() && shared.open > 0 {
                left = dead.take_back(transaction, Some(period.id), now)?;
                period = Period::by_id(transaction, period.id)?;
                shared = Shared::of(transaction, period.id, holder)?;
                granted = tranche(shared.terms(&period), want);
            }
            let mut outcome = Outcome::Short;
            if let Some(amount) = granted {
                period.amounts.available -= amount;
                period.amounts.open += amount;
                LeaseRow::insert(transaction, (lease, period.id, amount), (holder, boot.as_deref()), now)?;
                // Within the transaction: who looks for journals of dead processes sees it with its lock, or not yet.
                let journal = Journal::create(&journal_path, lease)
                    .map_err(|error| LedgerFault::io(&path, "beginning a journal", error))?;
                outcome = Outcome::Granted { amount, journal };
            } else if want.least > 0 && shared.open > 0 {
                period.claim(now);
            }
            period.save(transaction, now)?;
            let (amounts, elsewhere) = (period.amounts, shared.open);
            Ok(Opened { span: period.span, amounts, elsewhere, outcome, recovered: Vec::new() })
        });
        match opened {
            Ok(opened) => Ok(Opened { recovered: left.into_iter().map(Left::remove).collect(), ..opened }),
            Err(fault) => {
                drop(std::fs::remove_file(self.journal_path(lease)));
                Err(fault)
            }
        }
    }

    /// Write down what has become of leases: the accounts of their windows follow. Those that are over are closed. What
    /// comes back are those that another process has found without a journal: nothing of them is left to account for.
    pub(crate) fn report(&mut self, reports: &[Report], now: i64) -> Result<Vec<LeaseId>, LedgerFault> {
        self.transact(|transaction| {
            let mut lost = Vec::new();
            for report in reports {
                if !report_one(transaction, report, now)? && loss::was(transaction, report.lease)? {
                    lost.push(report.lease);
                }
            }
            Ok(lost)
        })
    }
}

fn standing(period: &Period, shared: &Shared, now: i64) -> Standing {
    Standing { amounts: period.amounts, elsewhere: shared.open, claimed: period.is_claimed(now) }
}

/// What other processes hold of a window.
struct Shared {
    open: i64,
    holders: i64,
}

impl Shared {
    fn terms(&self, period: &Period) -> Terms {
        let Amounts { deposited, available, .. } = period.amounts;
        Terms { deposited, available, sharers: self.holders }
    }

    fn of(connection: &Connection, period: i64, holder: LeaseId) -> Result<Self> {
        connection
            .prepare_cached(
                "SELECT coalesce(sum(open), 0), count(DISTINCT holder) FROM lease WHERE period = ?1 AND holder <> ?2",
            )?
            .query_row(params![period, holder.as_bytes()], |row| {
                Ok(Self { open: row.get(0)?, holders: row.get(1)? })
            })
    }
}

/// Amounts in a report are totals: what they add to the row is what the accounts change by. `false` if the lease is no
/// longer known: a report has closed it whose answer was lost, or it has become a loss.
fn report_one(connection: &Connection, report: &Report, now: i64) -> Result<bool> {
    let Some(row) = LeaseRow::by_id(connection, report.lease)? else { return Ok(false) };
    let doubted = row.doubt(connection, &report.doubts, now)?;
    let settled = report.settled - row.settled;
    let overage = report.overage - row.overage;
    let mut period = Period::by_id(connection, row.period)?;
    let accounts = &mut period.amounts;
    accounts.open -= row.open - report.open;
    accounts.settled += settled;
    accounts.in_doubt += doubted;
    accounts.available += row.open - report.open - settled - doubted;
    accounts.overspend(overage);
    period.save(connection, now)?;
    if report.closes() {
        row.delete(connection)?;
    } else {
        row.update(connection, report, doubted)?;
    }
    Ok(true)
}
