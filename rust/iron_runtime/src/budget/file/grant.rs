//! Leases as a living process takes them, reports on them, and gives them back.

use iron_protocol::LeaseId;
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::period::{Amounts, Period};
use super::{BudgetKey, LedgerFile};
use crate::budget::account::View;
use crate::budget::fault::LedgerFault;
use crate::budget::journal::Journal;
use crate::budget::lease::{Doubt, Report};
use crate::budget::tranche::{Terms, Want, tranche};
use crate::budget::window::Span;

/// For how long a process is believed to wait that has said so.
const CLAIM_SECONDS: i64 = 2;

/// What came of asking for a lease, and the accounts after it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) span: Span,
    pub(crate) amounts: Amounts,
    /// Of what is open, that which other processes hold.
    pub(crate) elsewhere: i64,
    pub(crate) outcome: Outcome,
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
        let path = self.path.clone();
        let wrong = |error| LedgerFault::sqlite(&path, error);
        let holder = self.holder;
        self.transact(|transaction| {
            transaction
                .execute(
                    "INSERT INTO budget (name, every, maximum) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name, every) DO UPDATE SET maximum = excluded.maximum",
                    params![key.name, key.window.as_str(), limit],
                )
                .map_err(wrong)?;
            let mut period = Period::current(transaction, key, now).map_err(wrong)?;
            period.save(transaction, now).map_err(wrong)?;
            let shared = Shared::of(transaction, period.id, holder).map_err(wrong)?;
            Ok(standing(&period, &shared, now))
        })
    }

    /// How the window that holds `now` stands.
    pub(crate) fn standing(&mut self, key: &BudgetKey, now: i64) -> Result<Standing, LedgerFault> {
        let look = || {
            let period = Period::current(&self.connection, key, now)?.at(now);
            Ok(standing(&period, &Shared::of(&self.connection, period.id, self.holder)?, now))
        };
        look().map_err(|error| self.fault(error))
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
        let wrong = |error| LedgerFault::sqlite(&path, error);
        let (holder, boot) = (self.holder, self.boot.clone());
        let mut left = Vec::new();
        let opened = self.transact(|transaction| {
            let mut period = Period::current(transaction, key, now).map_err(wrong)?;
            period.save(transaction, now).map_err(wrong)?;
            let mut shared = Shared::of(transaction, period.id, holder).map_err(wrong)?;
            let mut granted = tranche(shared.terms(&period), want);
            if granted.is_none() && shared.open > 0 {
                left = dead.take_back(transaction, Some(period.id), now)?;
                period = Period::by_id(transaction, period.id).map_err(wrong)?;
                shared = Shared::of(transaction, period.id, holder).map_err(wrong)?;
                granted = tranche(shared.terms(&period), want);
            }
            let mut outcome = Outcome::Short;
            if let Some(amount) = granted {
                period.amounts.available -= amount;
                period.amounts.open += amount;
                insert(transaction, lease, &period, amount, (holder, boot.as_deref()), now).map_err(wrong)?;
                // Within the transaction: who looks for journals of dead processes sees it with its lock, or not yet.
                let journal = Journal::create(&journal_path, lease)
                    .map_err(|error| LedgerFault::io(&path, "beginning a journal", error))?;
                outcome = Outcome::Granted { amount, journal };
            } else if want.least > 0 && shared.open > 0 && period.claimed_until <= now {
                // Said again only when it is forgotten: every process that waits would write each time.
                period.claimed_until = now + CLAIM_SECONDS;
            }
            period.save(transaction, now).map_err(wrong)?;
            Ok(Opened { span: period.span, amounts: period.amounts, elsewhere: shared.open, outcome })
        });
        match &opened {
            Ok(_) => left.iter().for_each(super::recover::Left::remove),
            Err(_) => drop(std::fs::remove_file(self.journal_path(lease))),
        }
        opened
    }

    /// Write down what has become of leases: the accounts of their windows follow. Those that are over are closed.
    pub(crate) fn report(&mut self, reports: &[Report], now: i64) -> Result<(), LedgerFault> {
        let path = self.path.clone();
        let wrong = |error| LedgerFault::sqlite(&path, error);
        self.transact(|transaction| {
            reports.iter().try_for_each(|report| report_one(transaction, report, now)).map_err(wrong)
        })
    }
}

fn standing(period: &Period, shared: &Shared, now: i64) -> Standing {
    Standing { amounts: period.amounts, elsewhere: shared.open, claimed: period.claimed_until > now }
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

fn insert(
    connection: &Connection,
    lease: LeaseId,
    period: &Period,
    amount: i64,
    (holder, boot): (LeaseId, Option<&str>),
    now: i64,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO lease (id, period, holder, pid, boot, opened_at, granted, open, settled, in_doubt, returned,
                overage) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 0, 0, 0, 0)",
        )?
        .execute(params![
            lease.as_bytes(),
            period.id,
            holder.as_bytes(),
            std::process::id(),
            boot,
            now,
            amount
        ])?;
    Ok(())
}

/// A lease, as it is in the file.
#[derive(Clone, Debug)]
pub(super) struct LeaseRow {
    pub(super) id: LeaseId,
    pub(super) period: i64,
    pub(super) granted: i64,
    pub(super) open: i64,
    pub(super) settled: i64,
    pub(super) in_doubt: i64,
    pub(super) overage: i64,
}

impl LeaseRow {
    pub(super) const COLUMNS: &str = "id, period, granted, open, settled, in_doubt, overage";

    pub(super) fn read(row: &rusqlite::Row<'_>) -> Result<Self> {
        Ok(Self {
            id: LeaseId::from_bytes(row.get(0)?),
            period: row.get(1)?,
            granted: row.get(2)?,
            open: row.get(3)?,
            settled: row.get(4)?,
            in_doubt: row.get(5)?,
            overage: row.get(6)?,
        })
    }

    pub(super) fn by_id(connection: &Connection, id: LeaseId) -> Result<Option<Self>> {
        let sql = format!("SELECT {} FROM lease WHERE id = ?1", Self::COLUMNS);
        connection.prepare_cached(&sql)?.query_row([id.as_bytes()], Self::read).optional()
    }

    /// Note doubts that are not noted yet: how much they come to.
    pub(super) fn doubt(&self, connection: &Connection, doubts: &[Doubt], now: i64) -> Result<i64> {
        let mut insert = connection.prepare_cached(
            "INSERT OR IGNORE INTO doubt (period, lease, attempt, request, amount, noticed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let mut sum = 0;
        for doubt in doubts {
            let attempt = i64::try_from(doubt.attempt).unwrap_or(i64::MAX);
            let lease = self.id.as_bytes();
            let request = doubt.request.as_bytes();
            if insert.execute(params![self.period, lease, attempt, request, doubt.amount, now])? == 1 {
                sum += doubt.amount;
            }
        }
        Ok(sum)
    }

    pub(super) fn delete(&self, connection: &Connection) -> Result<()> {
        connection.prepare_cached("DELETE FROM lease WHERE id = ?1")?.execute([self.id.as_bytes()])?;
        Ok(())
    }
}

/// Amounts in a report are totals: what they add to the row is what the accounts change by.
fn report_one(connection: &Connection, report: &Report, now: i64) -> Result<()> {
    let Some(row) = LeaseRow::by_id(connection, report.lease)? else {
        // Its journal was taken away under its owner, and all of it became a loss.
        tracing::error!(lease = %report.lease, "a lease is not in its ledger any more: its journal was deleted");
        return Ok(());
    };
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
        return row.delete(connection);
    }
    connection
        .prepare_cached(
            "UPDATE lease SET open = ?2, settled = ?3, in_doubt = ?4, returned = granted - ?2 - ?3 - ?4, overage = ?5
             WHERE id = ?1",
        )?
        .execute(params![
            row.id.as_bytes(),
            report.open,
            report.settled,
            row.in_doubt + doubted,
            report.overage
        ])?;
    Ok(())
}
