//! Processes that share a ledger file, one step after the other.

mod accounts;
mod place;
mod recovery;
mod swarm;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use iron_protocol::RequestId;
use tempfile::TempDir;

use super::*;
use crate::budget::attempt::{Ending, Part};
use crate::budget::journal::Journal;
use crate::budget::pool::Pool;
use crate::budget::tranche::Want;
use crate::budget::window::Span;
use crate::clock::Calendar;
use crate::event::LeaseEnd;

const LIMIT: i64 = 10_000;
const DAY: i64 = 86_400;

type Parts = Vec<Part<Arc<Journal>>>;

fn daily() -> BudgetKey {
    BudgetKey { name: "research".into(), window: Window::Daily }
}

fn ledger(directory: &TempDir) -> LedgerFile {
    let file = LedgerFile::open(&directory.path().join("ledger.db")).unwrap();
    // Power does not fail in a test.
    file.connection.pragma_update(None, "synchronous", "OFF").unwrap();
    file
}

/// One process: what it has leased, and which attempts are under way.
struct Process {
    file: LedgerFile,
    pool: Pool<Arc<Journal>>,
    attempts: Vec<(Span, Parts)>,
}

impl Process {
    fn new(directory: &TempDir) -> Self {
        Self { file: ledger(directory), pool: Pool::new(), attempts: Vec::new() }
    }

    fn open(&mut self, key: &BudgetKey, want: Want, now: i64) -> bool {
        self.pool.enter(key.window.around(now));
        let opened = self.file.open_lease(key, want, now).unwrap();
        match opened.outcome {
            Outcome::Granted { amount, journal } => {
                assert!(amount >= want.least);
                let (lease, journal) = (journal.lease(), Arc::new(journal));
                self.pool.grant(lease, opened.span, amount, journal);
                true
            }
            Outcome::Short => {
                self.pool.refused();
                false
            }
        }
    }

    fn begin(&mut self, amount: i64, now: i64, key: &BudgetKey) {
        self.pool.enter(key.window.around(now));
        if self.pool.free() < amount {
            return;
        }
        let parts = self.pool.take(amount);
        assert_eq!(parts.iter().map(|part| part.amount).sum::<i64>(), amount);
        for part in &parts {
            part.journal.admit(part, request()).unwrap();
        }
        self.attempts.push((self.pool.span(), parts));
    }

    fn end(&mut self, nth: usize, ending: Ending) -> Option<(Span, i64)> {
        if self.attempts.is_empty() {
            return None;
        }
        let (span, parts) = self.attempts.swap_remove(nth % self.attempts.len());
        let amounts: Vec<i64> = parts.iter().map(|part| part.amount).collect();
        let total: i64 = amounts.iter().sum();
        let ending = match ending {
            Ending::Settled(percent) => Ending::Settled(total * percent / 100),
            Ending::InDoubt => Ending::InDoubt,
        };
        for (part, ending) in parts.iter().zip(ending.share_out(&amounts)) {
            part.journal.end(part, ending, request()).unwrap();
            self.pool.end(part, ending, request());
        }
        Some((span, if let Ending::Settled(actual) = ending { actual } else { total }))
    }

    fn report(&mut self, now: i64) {
        let reports = self.pool.reports(true);
        self.file.report(&reports, now).unwrap();
        for closed in self.pool.reported(&reports) {
            std::fs::remove_file(closed.journal.path()).unwrap();
        }
    }
}

fn request() -> RequestId {
    RequestId::from_bytes([9; 16])
}

fn calendar(now: i64) -> Calendar {
    Calendar::set_by(Arc::new(AtomicI64::new(now)))
}

fn alone() -> (TempDir, Process, i64) {
    let directory = TempDir::new().unwrap();
    let mut process = Process::new(&directory);
    let now = 20_000 * DAY;
    process.file.declare(&daily(), LIMIT, now).unwrap();
    (directory, process, now)
}

fn amounts(file: &mut LedgerFile, now: i64) -> Amounts {
    file.budgets(&calendar(now)).unwrap()[0].periods[0].amounts
}
