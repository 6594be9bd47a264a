//! Processes that share a ledger file, with everything that can become of them, one step after the other.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use iron_protocol::RequestId;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::budget::journal::Journal;
use crate::budget::lease::{Ending, Part, Pool, share_out};
use crate::budget::tranche::Want;
use crate::budget::window::Span;
use crate::clock::Calendar;

const LIMIT: i64 = 10_000;
const DAY: i64 = 86_400;
const PROCESSES: usize = 3;

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
        for (part, ending) in parts.iter().zip(share_out(&amounts, ending)) {
            part.journal.end(part, ending, request()).unwrap();
            self.pool.end(part, ending, request());
        }
        Some((span, if let Ending::Settled(actual) = ending { actual } else { total }))
    }

    fn report(&mut self, now: i64) {
        let reports = self.pool.reports(true);
        self.file.report(&reports, now).unwrap();
        for journal in self.pool.reported(&reports) {
            std::fs::remove_file(journal.path()).unwrap();
        }
    }
}

fn request() -> RequestId {
    RequestId::from_bytes([9; 16])
}

fn calendar(now: i64) -> Calendar {
    Calendar::set_by(Arc::new(AtomicI64::new(now)))
}

#[derive(Clone, Debug)]
enum Step {
    Open {
        least: i64,
        extra: i64,
    },
    Begin {
        amount: i64,
    },
    /// Settle the nth attempt at that part of it, in percent.
    Settle {
        nth: usize,
        percent: i64,
    },
    Doubt {
        nth: usize,
    },
    Report,
    Drain,
    Crash {
        torn: usize,
    },
    Recover,
    Pass {
        seconds: i64,
    },
    Resolve,
    Limit {
        to: i64,
    },
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let step = prop_oneof![
        4 => (0..2_000_i64, 0..2_000_i64).prop_map(|(least, extra)| Step::Open { least, extra }),
        8 => (1..900_i64).prop_map(|amount| Step::Begin { amount }),
        6 => (any::<usize>(), 0..=100_i64).prop_map(|(nth, percent)| Step::Settle { nth, percent }),
        1 => any::<usize>().prop_map(|nth| Step::Doubt { nth }),
        3 => Just(Step::Report),
        2 => Just(Step::Drain),
        2 => (0..40_usize).prop_map(|torn| Step::Crash { torn }),
        1 => Just(Step::Recover),
        1 => prop_oneof![Just(-DAY), Just(60), Just(DAY / 2), Just(DAY)].prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Resolve),
        1 => (5_000..15_000_i64).prop_map(|to| Step::Limit { to }),
    ];
    (0..PROCESSES, step)
}

/// What a test knows beside the file.
struct World {
    directory: TempDir,
    processes: Vec<Process>,
    now: i64,
    /// What a provider may have billed in each window: what was settled, and all of what nobody saw the end of.
    billed: BTreeMap<i64, i64>,
    /// The highest limit of each window so far.
    most: BTreeMap<i64, i64>,
    limit: i64,
}

impl World {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut processes: Vec<_> = (0..PROCESSES).map(|_| Process::new(&directory)).collect();
        let now = 20_000 * DAY;
        processes[0].file.declare(&daily(), LIMIT, now).unwrap();
        let mut world =
            Self { directory, processes, now, billed: BTreeMap::new(), most: BTreeMap::new(), limit: LIMIT };
        world.note_limit();
        world
    }

    fn note_limit(&mut self) {
        let window = self.most.entry(Window::Daily.around(self.now).starts).or_default();
        *window = self.limit.max(*window);
    }

    fn bill(&mut self, span: Span, amount: i64) {
        *self.billed.entry(span.starts).or_default() += amount;
    }

    fn run(&mut self, who: usize, step: &Step) {
        let now = self.now;
        let process = &mut self.processes[who];
        match *step {
            Step::Open { least, extra } => {
                process.open(&daily(), Want { least, most: least + extra }, now);
            }
            Step::Begin { amount } => process.begin(amount, now, &daily()),
            Step::Settle { nth, percent } => {
                if let Some((span, actual)) = process.end(nth, Ending::Settled(percent)) {
                    self.bill(span, actual);
                }
            }
            Step::Doubt { nth } => {
                if let Some((span, amount)) = process.end(nth, Ending::InDoubt) {
                    self.bill(span, amount);
                }
            }
            Step::Report => process.report(now),
            Step::Drain => {
                process.pool.drain();
                process.report(now);
            }
            Step::Crash { torn } => self.crash(who, torn),
            Step::Recover => drop(process.file.recover(&calendar(now)).unwrap()),
            Step::Pass { seconds } => {
                self.now += seconds;
                // Whoever asks first in a window begins it.
                self.processes[who].file.declare(&daily(), self.limit, self.now).unwrap();
                self.note_limit();
            }
            Step::Resolve => self.resolve(who),
            Step::Limit { to } => {
                self.limit = to;
                process.file.declare(&daily(), to, now).unwrap();
                self.note_limit();
            }
        }
    }

    /// The process dies, perhaps in the middle of a record; all that it had under way may be billed.
    fn crash(&mut self, who: usize, torn: usize) {
        let dead = std::mem::replace(&mut self.processes[who], Process::new(&self.directory));
        for (span, parts) in &dead.attempts {
            self.bill(*span, parts.iter().map(|part| part.amount).sum());
        }
        if let Some(part) = dead.attempts.iter().flat_map(|(_, parts)| parts).next() {
            let mut journal = std::fs::OpenOptions::new().append(true).open(part.journal.path()).unwrap();
            journal.write_all(&vec![1; torn]).unwrap();
        }
    }

    /// The operator has seen that one was not billed.
    fn resolve(&mut self, who: usize) {
        let file = &mut self.processes[who].file;
        let budgets = file.budgets(&calendar(self.now)).unwrap();
        let found =
            budgets[0].periods.iter().find_map(|period| Some((period.span, period.doubts.first()?.clone())));
        if let Some((span, doubt)) = found {
            assert_eq!(file.resolve(doubt.id, &calendar(self.now)).unwrap(), Some(doubt.amount));
            assert_eq!(file.resolve(doubt.id, &calendar(self.now)).unwrap(), None, "once");
            self.bill(span, -doubt.amount);
        }
    }

    fn check(&mut self) {
        assert_eq!(self.processes[0].file.verify().unwrap(), Vec::<String>::new());
        let budgets = self.processes[0].file.budgets(&calendar(self.now)).unwrap();
        for period in &budgets[0].periods {
            assert!(period.amounts.agree());
            let Amounts { overage, loss, .. } = period.amounts;
            assert_eq!((overage, loss), (0, 0), "nobody billed too much, and the machine kept its power");
            let billed = *self.billed.get(&period.span.starts).unwrap_or(&0);
            assert!(billed <= self.most[&period.span.starts], "{billed} was billed");
            assert!(billed <= period.amounts.spent() + period.amounts.open, "{billed}: {period:?}");
        }
    }

    /// All processes end, the last of them badly. Then each dollar is accounted for.
    fn end(mut self) {
        for who in 0..PROCESSES {
            self.crash(who, 0);
        }
        self.processes[0].file.recover(&calendar(self.now)).unwrap();
        self.check();
        for period in &self.processes[0].file.budgets(&calendar(self.now)).unwrap()[0].periods {
            let amounts = period.amounts;
            assert!(period.leases.is_empty() && amounts.open == 0, "nothing is stranded: {period:?}");
            let billed = *self.billed.get(&period.span.starts).unwrap_or(&0);
            assert_eq!(amounts.settled + amounts.in_doubt, billed, "to the nano-dollar: {period:?}");
            assert_eq!(amounts.available + amounts.expired, amounts.deposited - billed);
        }
        let left = std::fs::read_dir(self.directory.path().join("ledger.db-journals")).unwrap();
        assert_eq!(left.count(), 0, "no journal is left");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_becomes_of_processes_the_accounts_agree(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for (who, step) in steps {
            world.run(who, &step);
            world.check();
        }
        world.end();
    }
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

#[test]
fn across_a_boot_what_a_journal_does_not_say_is_lost() {
    let (directory, mut dead, now) = alone();
    assert!(dead.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    dead.begin(300, now, &daily());
    dead.begin(200, now, &daily());
    dead.end(0, Ending::Settled(50));
    drop(dead);
    let mut other = Process::new(&directory);
    other.file.boot = Some("another".to_owned());
    let recovered = other.file.recover(&calendar(now)).unwrap();
    let expected = Recovered { leases: 1, settled: 150, in_doubt: 200, returned: 0, loss: 650 };
    assert_eq!(recovered, expected);
    let accounts = amounts(&mut other.file, now);
    assert_eq!((accounts.loss, accounts.available), (650, LIMIT - 1_000));
}

#[test]
fn what_a_damaged_or_deleted_journal_does_not_say_is_lost() {
    for deleted in [false, true] {
        let (directory, mut dead, now) = alone();
        assert!(dead.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
        dead.begin(300, now, &daily());
        dead.end(0, Ending::Settled(50));
        dead.report(now);
        dead.begin(200, now, &daily());
        let path = std::fs::read_dir(&dead.file.journals).unwrap().next().unwrap().unwrap().path();
        drop(dead);
        if deleted {
            std::fs::remove_file(&path).unwrap();
        } else {
            let mut bytes = std::fs::read(&path).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        let mut other = Process::new(&directory);
        assert_eq!(other.file.verify().unwrap().len(), 1);
        let recovered = other.file.recover(&calendar(now)).unwrap();
        assert_eq!(
            (recovered.settled, recovered.in_doubt, recovered.loss),
            (0, 0, 850),
            "deleted: {deleted}"
        );
        assert_eq!(amounts(&mut other.file, now).settled, 150);
    }
}

#[test]
fn a_bill_beyond_a_lease_is_paid_from_what_is_left() {
    let (_directory, mut process, now) = alone();
    assert!(process.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    process.begin(500, now, &daily());
    process.end(0, Ending::Settled(300));
    process.report(now);
    let accounts = amounts(&mut process.file, now);
    assert_eq!((accounts.settled, accounts.overage), (1_500, 0));
    assert!(process.open(&daily(), Want { least: 8_000, most: 8_000 }, now));
    process.begin(8_500, now, &daily());
    process.end(0, Ending::Settled(200));
    process.report(now);
    let accounts = amounts(&mut process.file, now);
    assert_eq!((accounts.settled, accounts.overage, accounts.available), (18_500, 8_500, 0));
    assert!(accounts.agree());
}

#[test]
fn money_of_a_window_settles_in_it() {
    let (_directory, mut process, now) = alone();
    assert!(process.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    process.begin(300, now, &daily());
    let tomorrow = now + DAY;
    assert!(process.open(&daily(), Want { least: 10, most: 10 }, tomorrow));
    process.end(0, Ending::Settled(100));
    process.report(tomorrow);
    let budgets = process.file.budgets(&calendar(tomorrow)).unwrap();
    let [today, yesterday] = &budgets[0].periods[..] else { panic!("{budgets:?}") };
    assert_eq!((today.amounts.settled, today.amounts.deposited), (0, LIMIT));
    let expected = Amounts { deposited: LIMIT, settled: 300, expired: LIMIT - 300, ..Amounts::default() };
    assert_eq!(yesterday.amounts, expected);
    // The clock was wrong: what had expired is there again, and no more than that.
    let standing = process.file.standing(&daily(), now).unwrap();
    assert_eq!((standing.amounts.available, standing.amounts.expired), (LIMIT - 300, 0));
    process.pool.drain();
    process.report(now);
    assert!(!process.open(&daily(), Want { least: LIMIT - 299, most: LIMIT }, now));
    assert!(process.open(&daily(), Want { least: LIMIT - 300, most: LIMIT }, now));
}

#[test]
fn the_file_refuses_accounts_that_do_not_agree() {
    let (_directory, process, _) = alone();
    for change in ["settled = settled + 1", "available = available - 1", "available = -1, open = 10001"] {
        let sql = format!("UPDATE period SET {change}");
        assert!(process.file.connection.execute(&sql, []).is_err(), "{change}");
    }
}

#[test]
fn verify_names_what_is_wrong() {
    let (_directory, mut process, now) = alone();
    assert!(process.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    process.file.connection.execute("UPDATE period SET settled = 500, open = 500", []).unwrap();
    let found = process.file.verify().unwrap();
    assert_eq!(
        found,
        ["budget \"research\" (daily), window 1: 500 nano-dollars are open, and its leases hold 1000"]
    );
}

#[test]
fn a_process_that_waits_is_heard_by_those_who_hold() {
    let (directory, mut holder, now) = alone();
    let mut other = Process::new(&directory);
    assert!(holder.open(&daily(), Want { least: LIMIT, most: LIMIT }, now));
    assert!(!holder.file.standing(&daily(), now).unwrap().claimed);
    assert!(!other.open(&daily(), Want { least: 10, most: 10 }, now));
    assert!(holder.file.standing(&daily(), now).unwrap().claimed);
    assert!(!holder.file.standing(&daily(), now + 3).unwrap().claimed, "for a while");
    holder.pool.drain();
    holder.report(now);
    assert!(other.open(&daily(), Want { least: 10, most: 10 }, now));
}

#[test]
fn files_that_are_no_ledger_are_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("other.db");
    let refused = |path: &Path| LedgerFile::open(path).unwrap_err().to_string();
    std::fs::write(&path, b"This is a text, and no database at all. ".repeat(100)).unwrap();
    assert!(
        refused(&path)
            .ends_with("is damaged or no ledger: restore it from a backup, or move it away to begin anew")
    );
    std::fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE cats (name TEXT)").unwrap();
    assert!(refused(&path).contains("is a database of another program"));
    drop(other);
    let newer = directory.path().join("newer.db");
    LedgerFile::open(&newer).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(refused(&newer).contains("has version 99, and this iron-sdk knows up to 1"));
    let inside = directory.path().join("newer.db/ledger.db");
    assert!(refused(&inside).contains("cannot be used (making its directory)"));
}

#[test]
fn a_file_that_is_taken_away_grants_nothing_more() {
    let (directory, mut process, now) = alone();
    let path = directory.path().join("ledger.db");
    let aside = directory.path().join("aside.db");
    std::fs::rename(&path, &aside).unwrap();
    let want = Want { least: 1, most: 1 };
    let refused =
        |process: &mut Process| process.file.open_lease(&daily(), want, now).unwrap_err().to_string();
    assert!(refused(&mut process).contains("was deleted while it was in use"));
    std::fs::write(&path, "").unwrap();
    assert!(refused(&mut process).contains("was replaced by another file"));
    std::fs::rename(&aside, &path).unwrap();
    assert!(process.open(&daily(), want, now));
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("new/state/ledger.db");
    let mut file = LedgerFile::open(&path).unwrap();
    file.declare(&daily(), LIMIT, 0).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(&directory.path().join("new/state/ledger.db-wal")), 0o600);
}
