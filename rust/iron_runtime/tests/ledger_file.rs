//! Budgets in a ledger file: processes that share them, stood for by ledgers that know nothing of each other.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use iron_protocol::NanoUsd;
use iron_runtime::budget::file::LedgerFile;
use iron_runtime::budget::{Ask, Budget, Calendar, Ledger, Reservation, Shared, Window};
use iron_runtime::{BudgetExceeded, Error};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::rig::{LONG, nanos, soon, until};

const LIMIT: u64 = 100_000;

/// One process's part of a budget.
struct Process {
    ledger: Ledger,
    budget: Budget,
}

impl Process {
    fn new(path: &Path) -> Self {
        Self::with(path, Window::Lifetime, Calendar::default())
    }

    fn with(path: &Path, window: Window, calendar: Calendar) -> Self {
        let ledger = Ledger::with_calendar(calendar);
        let shared = Shared { ledger: path.into(), window };
        let budget = Budget::shared(&ledger, "research", nanos(LIMIT), shared).unwrap();
        Self { ledger, budget }
    }

    async fn ask(&self, ask: Ask, deadline: Option<Instant>) -> Result<Reservation, Error> {
        soon(self.ledger.reserve([self.budget.clone()].into(), ask, deadline)).await
    }

    async fn reserve(&self, amount: u64) -> Result<Reservation, Error> {
        self.ask(Ask::exactly(nanos(amount)), None).await
    }

    async fn spend(&self, reserved: u64, actual: u64) {
        self.reserve(reserved).await.unwrap().settle(nanos(actual));
    }

    /// Give everything back and end.
    fn end(self) {
        drop(self.budget);
        self.ledger.return_leases(LONG);
    }
}

fn refused(outcome: Result<Reservation, Error>) -> BudgetExceeded {
    match outcome {
        Err(Error::BudgetExceeded(refusal)) => *refusal,
        other => panic!("{other:?}"),
    }
}

fn place() -> (TempDir, std::path::PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    (directory, path)
}

/// Available, open, settled and in doubt of the newest window; the file must be sound.
fn accounts(path: &Path, calendar: &Calendar) -> (i64, i64, i64, i64) {
    let mut file = LedgerFile::open(path).unwrap();
    assert_eq!(file.verify().unwrap(), Vec::<String>::new());
    let amounts = file.budgets(calendar).unwrap()[0].periods[0].amounts;
    (amounts.available, amounts.open, amounts.settled, amounts.in_doubt)
}

fn now_accounts(path: &Path) -> (i64, i64, i64, i64) {
    accounts(path, &Calendar::default())
}

#[tokio::test]
async fn what_one_process_spends_the_next_does_not_have() {
    let (_directory, path) = place();
    let first = Process::new(&path);
    for _ in 0..100 {
        first.spend(900, 400).await;
    }
    assert_eq!(first.budget.snapshot().spent(), nanos(40_000));
    assert_eq!(first.budget.snapshot().remaining(), nanos(60_000));
    first.end();
    assert_eq!(now_accounts(&path), (60_000, 0, 40_000, 0));
    let second = Process::new(&path);
    let seen = second.budget.snapshot();
    assert_eq!((seen.spent(), seen.remaining()), (nanos(40_000), nanos(60_000)), "before any call");
    let refusal = refused(second.reserve(60_001).await);
    assert_eq!((refusal.settled, refusal.held, refusal.waited), (nanos(40_000), NanoUsd::ZERO, false));
    drop(second.reserve(60_000).await.unwrap());
    second.end();
}

#[tokio::test]
async fn the_whole_limit_can_be_spent_and_nothing_beyond() {
    let (_directory, path) = place();
    let processes = [Process::new(&path), Process::new(&path), Process::new(&path)];
    let mut spent = 0;
    for nth in 0.. {
        match processes[nth % 3].reserve(700).await {
            Ok(reservation) => {
                reservation.settle(nanos(700));
                spent += 700;
            }
            Err(error) => {
                assert!(!refused(Err(error)).waited);
                break;
            }
        }
    }
    assert_eq!(spent, 99_400, "all but what is too little for one more");
    processes.into_iter().for_each(Process::end);
    assert_eq!(now_accounts(&path), (600, 0, 99_400, 0));
}

#[tokio::test]
async fn a_call_waits_for_what_another_process_holds_and_gets_it() {
    let (_directory, path) = place();
    let holder = Process::new(&path);
    let waiter = Process::new(&path);
    let held = holder.reserve(90_000).await.unwrap();
    let mut waiting = Box::pin(waiter.reserve(50_000));
    assert!((&mut waiting).now_or_never().is_none());
    until(|| waiter.budget.snapshot().elsewhere >= nanos(90_000)).await;
    assert!((&mut waiting).now_or_never().is_none());
    held.settle(nanos(40_000));
    // Nobody calls there any more, and yet it comes.
    let got = waiting.await.unwrap();
    assert_eq!(got.amount(), nanos(50_000));
    assert_eq!(holder.budget.snapshot().held, NanoUsd::ZERO);
    drop(got);
    waiter.end();
    holder.end();
    assert_eq!(now_accounts(&path), (60_000, 0, 40_000, 0));
}

#[tokio::test]
async fn a_call_waits_no_longer_than_its_deadline() {
    let (_directory, path) = place();
    let (holder, waiter) = (Process::new(&path), Process::new(&path));
    let held = holder.reserve(90_000).await.unwrap();
    // By now it knows what is held elsewhere, however slow the disk is.
    waiter.spend(10, 10).await;
    let deadline = Instant::now() + Duration::from_millis(20);
    let refusal = refused(waiter.ask(Ask::exactly(nanos(50_000)), Some(deadline)).await);
    assert!(refusal.waited && refusal.held >= nanos(90_000), "{refusal:?}");
    // What could not fit even if all came back is refused at once.
    held.settle(nanos(60_000));
    holder.end();
    assert!(!refused(waiter.reserve(50_000).await).waited);
    waiter.end();
}

#[tokio::test]
async fn a_call_without_max_tokens_is_not_cut_to_a_tranche() {
    let (_directory, path) = place();
    let process = Process::new(&path);
    process.spend(10, 10).await;
    let ask = |most| Ask { least: nanos(100), most: nanos(most) };
    let whole = process.ask(ask(50_000), None).await.unwrap();
    assert_eq!(whole.amount(), nanos(50_000));
    let rest = process.ask(ask(60_000), None).await.unwrap();
    assert_eq!(rest.amount(), nanos(49_990), "what there is, where there is no more");
    drop((whole, rest));
    process.end();
}

#[tokio::test]
async fn what_was_sent_and_never_settled_is_in_doubt() {
    let (_directory, path) = place();
    let process = Process::new(&path);
    let sent = process.reserve(500).await.unwrap();
    assert!(sent.sent().mark());
    drop(sent);
    drop(process.reserve(700).await.unwrap());
    assert_eq!(process.budget.snapshot().spent(), nanos(500));
    process.end();
    assert_eq!(now_accounts(&path), (99_500, 0, 0, 500));
    let mut file = LedgerFile::open(&path).unwrap();
    let doubt = file.budgets(&Calendar::default()).unwrap()[0].periods[0].doubts[0].clone();
    assert_eq!(file.resolve(doubt.id, &Calendar::default()).unwrap(), Some(500));
    assert_eq!(now_accounts(&path), (100_000, 0, 0, 0));
}

#[tokio::test]
async fn clients_of_one_process_share_their_leases() {
    let (_directory, path) = place();
    let process = Process::new(&path);
    let shared = Shared { ledger: path.clone(), window: Window::Lifetime };
    let again = Budget::shared(&process.ledger, "research", nanos(LIMIT), shared).unwrap();
    process.spend(800, 300).await;
    assert_eq!(again.snapshot(), process.budget.snapshot());
    drop(again);
    process.spend(800, 300).await;
    process.end();
    assert_eq!(now_accounts(&path), (99_400, 0, 600, 0));
}

#[tokio::test]
async fn a_new_window_begins_with_the_whole_limit() {
    let (_directory, path) = place();
    let seconds = Arc::new(AtomicI64::new(1_795_564_790));
    let calendar = Calendar::set_by(seconds.clone());
    let process = Process::with(&path, Window::Daily, calendar.clone());
    process.spend(60_000, 60_000).await;
    let over_midnight = process.reserve(30_000).await.unwrap();
    seconds.fetch_add(20, Ordering::AcqRel);
    process.spend(90_000, 80_000).await;
    over_midnight.settle(nanos(10_000));
    let seen = process.budget.snapshot();
    assert_eq!((seen.spent(), seen.held), (nanos(80_000), NanoUsd::ZERO));
    assert!(!refused(process.reserve(20_001).await).waited);
    process.end();
    let periods = LedgerFile::open(&path).unwrap().budgets(&calendar).unwrap().remove(0).periods;
    let settled: Vec<_> =
        periods.iter().map(|period| (period.amounts.settled, period.amounts.expired)).collect();
    assert_eq!(settled, [(80_000, 0), (70_000, 30_000)]);
}

#[tokio::test]
async fn a_limit_can_be_changed_for_all() {
    let (_directory, path) = place();
    let (one, other) = (Process::new(&path), Process::new(&path));
    one.spend(50_000, 50_000).await;
    one.budget.set_limit(nanos(50_100)).unwrap();
    until(|| other.reserve(101).now_or_never().is_none_or(|asked| asked.is_err())).await;
    let left = refused(other.reserve(50_000).await);
    assert!(left.estimate == nanos(50_000) && !left.waited);
    one.budget.set_limit(nanos(200_000)).unwrap();
    one.spend(140_000, 140_000).await;
    one.end();
    other.end();
    let (available, open, settled, _) = now_accounts(&path);
    assert_eq!((available, open, settled), (10_000, 0, 190_000));
}

#[tokio::test]
async fn a_changed_limit_holds_for_all_once_it_is_set() {
    let (_directory, path) = place();
    let (one, other) = (Process::new(&path), Process::new(&path));
    one.spend(100, 100).await;
    let mut file = LedgerFile::open(&path).unwrap();
    for limit in (40_000..40_100).rev() {
        one.budget.set_limit(nanos(limit)).unwrap();
        let written = file.budgets(&Calendar::default()).unwrap()[0].limit;
        assert_eq!(written, i64::try_from(limit).unwrap());
    }
    assert!(!refused(other.reserve(40_001).await).waited);
}

#[tokio::test]
async fn a_ledger_that_cannot_be_used_refuses() {
    let (directory, path) = place();
    let process = Process::new(&path);
    process.spend(100, 100).await;
    std::fs::remove_dir_all(directory.path().join("ledger.db-journals")).unwrap();
    let error = process.reserve(50_000).await.unwrap_err();
    assert!(matches!(&error, Error::Ledger(_)), "{error}");
    assert!(error.to_string().ends_with("ledger.db cannot be used (beginning a journal)"), "{error}");
    assert_eq!(process.budget.snapshot().held, NanoUsd::ZERO);
    std::fs::create_dir(directory.path().join("ledger.db-journals")).unwrap();
    process.spend(50_000, 50_000).await;
    std::fs::remove_file(&path).unwrap();
    let error = process.reserve(20_000).await.unwrap_err();
    assert!(error.to_string().contains("was deleted while it was in use") && !error.retryable(), "{error}");
    process.end();
}

/// Processes with more to do than money, side by side.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_compete_spend_all_of_it_and_no_more() {
    let (_directory, path) = place();
    let mut processes = JoinSet::new();
    for seed in 0..4_u64 {
        let path = path.clone();
        processes.spawn(async move {
            let process = Arc::new(Process::new(&path));
            let mut calls = JoinSet::new();
            for nth in 0..100_u64 {
                let process = process.clone();
                calls.spawn(async move {
                    let reserved = 300 + (seed * 31 + nth * 17) % 700;
                    let reservation = process.reserve(reserved).await.ok()?;
                    tokio::task::yield_now().await;
                    let actual = reserved - nth % 250;
                    reservation.settle(nanos(actual));
                    Some(actual)
                });
            }
            let spent: u64 = soon(calls.join_all()).await.into_iter().flatten().sum();
            Arc::into_inner(process).unwrap().end();
            spent
        });
    }
    let spent: u64 = soon(processes.join_all()).await.into_iter().sum();
    let (available, open, settled, in_doubt) = now_accounts(&path);
    assert_eq!((open, in_doubt), (0, 0));
    assert_eq!(settled, i64::try_from(spent).unwrap());
    assert_eq!(available, i64::try_from(LIMIT - spent).unwrap());
    assert!(available < 1_000, "{available} is left, and more was asked for");
}
