//! What is told of leases: taken, renewed, closed, and lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use iron_protocol::NanoUsd;
use iron_runtime::budget::file::LedgerFile;
use iron_runtime::budget::{Ask, Budget, Calendar, Ledger, Reservation, Shared, Window};
use iron_runtime::{EventReader, Events, Happened, LeaseEnd, Leased, Told};
use tempfile::TempDir;

use crate::rig::{LONG, nanos, soon};

const LIMIT: u64 = 1_600_000;
const DAY: i64 = 86_400;

/// One process's part of a budget, and what it tells.
struct Process {
    ledger: Ledger,
    budget: Budget,
    reader: EventReader,
}

impl Process {
    fn new(path: &Path, calendar: Calendar) -> Self {
        let events = Events::new();
        let ledger = Ledger::watched(calendar, &events);
        let shared = Shared { ledger: path.into(), window: Window::Daily };
        let budget = Budget::shared(&ledger, "team", nanos(LIMIT), shared).unwrap();
        Self { ledger, budget, reader: events.read() }
    }

    async fn reserve(&self, amount: u64) -> Reservation {
        let ask = Ask::exactly(nanos(amount));
        soon(self.ledger.reserve([self.budget.clone()].into(), ask, None)).await.unwrap()
    }

    async fn taken(&mut self) -> (Leased, bool) {
        match next(&mut self.reader).await {
            Happened::LeaseTaken { lease, renewal } => (lease, renewal),
            other => panic!("{other:?}"),
        }
    }

    async fn closed(&mut self) -> (Leased, NanoUsd, NanoUsd, LeaseEnd) {
        match next(&mut self.reader).await {
            Happened::LeaseClosed { lease, spent, returned, why } => (lease, spent, returned, why),
            other => panic!("{other:?}"),
        }
    }
}

async fn next(reader: &mut EventReader) -> Happened {
    match soon(reader.next()).await.unwrap() {
        Told::Event(event) => event.what.clone(),
        Told::Dropped(count) => panic!("{count} were dropped"),
    }
}

fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    (directory, path)
}

fn noon() -> (Arc<AtomicI64>, Calendar) {
    let seconds = Arc::new(AtomicI64::new(20_000 * DAY + DAY / 2));
    (seconds.clone(), Calendar::set_by(seconds))
}

#[tokio::test]
async fn a_lease_is_told_when_it_is_taken_renewed_spent_and_given_back() {
    let (_directory, path) = place();
    let mut process = Process::new(&path, noon().1);
    process.reserve(10).await.settle(nanos(10));
    let (first, renewal) = process.taken().await;
    assert_eq!((&*first.budget, first.window, first.granted), ("team", Window::Daily, nanos(100_000)));
    assert!(!renewal, "a call waited for it");
    // More than half of it is gone: the next is taken while calls are paid from this one.
    process.reserve(60_000).await.settle(nanos(50_000));
    let (second, renewal) = process.taken().await;
    assert!(renewal && second.id > first.id && second.granted < first.granted, "{second:?}");
    process.reserve(49_990).await.settle(nanos(49_990));
    let (lease, spent, returned, why) = process.closed().await;
    assert_eq!((lease, spent, returned), (first, nanos(100_000), NanoUsd::ZERO));
    assert_eq!(why, LeaseEnd::Spent);
    drop(process.budget);
    process.ledger.return_leases(LONG);
    let mut back = NanoUsd::ZERO;
    while let Some(Told::Event(event)) = process.reader.take() {
        match &event.what {
            Happened::LeaseClosed { lease, spent, returned, why } => {
                assert_eq!((*spent, *returned, *why), (NanoUsd::ZERO, lease.granted, LeaseEnd::GivenBack));
                back = back.saturating_add(*returned);
            }
            Happened::LeaseTaken { renewal, .. } => assert!(renewal),
            other => panic!("{other:?}"),
        }
    }
    assert!(back >= second.granted);
}

#[tokio::test]
async fn a_lease_that_another_process_wants_and_one_whose_window_is_over_say_so() {
    let (_directory, path) = place();
    let (seconds, calendar) = noon();
    let mut holder = Process::new(&path, calendar.clone());
    let waiter = Process::new(&path, calendar);
    holder.reserve(10).await.settle(nanos(10));
    let (lease, _) = holder.taken().await;
    drop(waiter.reserve(LIMIT - 10).await);
    let (closed, spent, returned, why) = holder.closed().await;
    assert_eq!((closed, spent, why), (lease, nanos(10), LeaseEnd::Wanted));
    assert_eq!(returned, nanos(99_990));
    drop(waiter.budget);
    waiter.ledger.return_leases(LONG);

    drop(holder.reserve(10).await);
    let (yesterday, _) = holder.taken().await;
    seconds.fetch_add(DAY, Ordering::AcqRel);
    drop(holder.reserve(10).await);
    let told = [next(&mut holder.reader).await, next(&mut holder.reader).await];
    let over = told.iter().filter(|what| match what {
        Happened::LeaseClosed { lease, why, .. } => *lease == yesterday && *why == LeaseEnd::WindowOver,
        _ => false,
    });
    assert_eq!(over.count(), 1, "{told:?}");
}

#[tokio::test]
async fn a_lease_without_its_journal_is_told_to_be_lost_once() {
    let (directory, path) = place();
    let (_, calendar) = noon();
    let mut process = Process::new(&path, calendar.clone());
    process.reserve(10).await.settle(nanos(10));
    let (lease, _) = process.taken().await;
    for journal in std::fs::read_dir(directory.path().join("ledger.db-journals")).unwrap() {
        std::fs::remove_file(journal.unwrap().path()).unwrap();
    }
    let found = LedgerFile::open(&path).unwrap().recover(&calendar).unwrap();
    assert!(found.loss >= 99_990, "{found:?}");
    process.reserve(20).await.settle(nanos(20));
    let Happened::LeaseLost { lease: lost } = next(&mut process.reader).await else { panic!() };
    assert_eq!(lost, lease);
    drop(process.budget);
    process.ledger.return_leases(LONG);
    let told: Vec<Told> = std::iter::from_fn(|| process.reader.take()).collect();
    let [Told::Event(event)] = &told[..] else { panic!("{told:?}") };
    let Happened::LeaseClosed { returned, spent, .. } = &event.what else { panic!("{event:?}") };
    assert_eq!((*returned, *spent), (NanoUsd::ZERO, nanos(30)), "nothing of a loss goes back");
}

#[tokio::test]
async fn tranches_shrink_near_the_limit_and_strand_nothing() {
    let (_directory, path) = place();
    let mut process = Process::new(&path, noon().1);
    let mut spent = 0;
    while spent < LIMIT {
        let step = 500.min(LIMIT - spent);
        process.reserve(step).await.settle(nanos(step));
        spent += step;
    }
    drop(process.budget);
    process.ledger.return_leases(LONG);
    let mut granted = Vec::new();
    while let Some(Told::Event(event)) = process.reader.take() {
        if let Happened::LeaseTaken { lease, .. } = &event.what {
            granted.push(lease.granted);
        }
    }
    assert_eq!(granted[0], nanos(LIMIT / 16));
    assert!(granted.is_sorted_by(|one, next| one >= next), "{granted:?}");
    // None is smaller than a part of the limit, or the last of it would take leases without end.
    assert!(granted.len() < 120, "{granted:?}");
    assert_eq!(granted.into_iter().fold(NanoUsd::ZERO, NanoUsd::saturating_add), nanos(LIMIT));
}

#[tokio::test]
async fn what_is_leased_goes_back_when_no_call_is_made_for_a_while() {
    let (_directory, path) = place();
    let mut process = Process::new(&path, noon().1);
    process.reserve(10).await.settle(nanos(10));
    let (lease, _) = process.taken().await;
    let (closed, spent, returned, why) = process.closed().await;
    assert_eq!((closed, spent, returned, why), (lease, nanos(10), nanos(99_990), LeaseEnd::Idle));
    // It is leased again when it is needed.
    process.reserve(10).await.settle(nanos(10));
    assert!(!process.taken().await.1);
}
