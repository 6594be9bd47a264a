//! Leases, as they are in the file.

use iron_protocol::LeaseId;
use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::budget::attempt::Doubt;
use crate::budget::lease::Report;

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

    /// Note a lease of a period and an amount, to whoever takes it.
    pub(super) fn insert(
        connection: &Connection,
        (id, period, granted): (LeaseId, i64, i64),
        (holder, boot): (LeaseId, Option<&str>),
        now: i64,
    ) -> Result<()> {
        let pid = std::process::id();
        connection
            .prepare_cached(
                "INSERT INTO lease (id, period, holder, pid, boot, opened_at, granted, open, settled, in_doubt,
                    returned, overage) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 0, 0, 0, 0)",
            )?
            .execute(params![id.as_bytes(), period, holder.as_bytes(), pid, boot, now, granted])?;
        Ok(())
    }

    /// Write down what its owner has reported, `doubted` of it in doubt since the last time.
    pub(super) fn update(&self, connection: &Connection, report: &Report, doubted: i64) -> Result<()> {
        let in_doubt = self.in_doubt + doubted;
        connection
            .prepare_cached(
                "UPDATE lease SET open = ?2, settled = ?3, in_doubt = ?4, returned = granted - ?2 - ?3 - ?4,
                    overage = ?5 WHERE id = ?1",
            )?
            .execute(params![self.id.as_bytes(), report.open, report.settled, in_doubt, report.overage])?;
        Ok(())
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
