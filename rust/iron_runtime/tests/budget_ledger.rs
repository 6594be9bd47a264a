//! Reservations that wait: order, deadlines, and waiters that leave.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use iron_protocol::NanoUsd;
use iron_runtime::budget::{Ask, Budget, Ledger, Reservation};
use iron_runtime::{BudgetExceeded, Error};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::rig::nanos;

fn chain(budgets: &[&Budget]) -> Arc<[Budget]> {
    budgets.iter().map(|budget| (*budget).clone()).collect()
}

fn exactly(amount: u64) -> Ask {
    Ask::exactly(nanos(amount))
}

async fn reserve(ledger: &Ledger, budget: &Budget, amount: u64) -> Result<Reservation, Error> {
    ledger.reserve(chain(&[budget]), exactly(amount), None).await
}

fn refused(outcome: Result<Reservation, Error>) -> BudgetExceeded {
    match outcome {
        Err(Error::BudgetExceeded(refusal)) => *refusal,
        other => panic!("{other:?}"),
    }
}

fn after(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[tokio::test]
async fn waiters_are_served_in_order_of_arrival() {
    let ledger = Ledger::new();
    let budget = Budget::new(&ledger, "b", nanos(100));
    let whole = reserve(&ledger, &budget, 100).await.unwrap();
    let (told, mut order) = mpsc::unbounded_channel();
    let mut waiters = JoinSet::new();
    // Small ones behind large ones: none may overtake.
    for (nth, amount) in [90, 5, 60, 1, 100, 2].into_iter().enumerate() {
        let (ledger, on, told) = (ledger.clone(), budget.clone(), told.clone());
        waiters.spawn(async move {
            let reservation = reserve(&ledger, &on, amount).await.unwrap();
            told.send(nth).unwrap();
            drop(reservation);
        });
        while budget.snapshot().waiting <= nth {
            tokio::task::yield_now().await;
        }
    }
    whole.release();
    waiters.join_all().await;
    drop(told);
    let mut served = Vec::new();
    while let Some(nth) = order.recv().await {
        served.push(nth);
    }
    assert_eq!(served, [0, 1, 2, 3, 4, 5]);
    assert_eq!(budget.snapshot().remaining(), nanos(100));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_and_says_that_it_waited() {
    let ledger = Ledger::new();
    let budget = Budget::new(&ledger, "research", nanos(100));
    let held = reserve(&ledger, &budget, 60).await.unwrap();
    let start = Instant::now();
    let refusal = refused(ledger.reserve(chain(&[&budget]), exactly(50), Some(after(5))).await);
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    let expected = BudgetExceeded {
        budget: "research".into(),
        limit: nanos(100),
        settled: NanoUsd::ZERO,
        held: nanos(60),
        estimate: nanos(50),
        waited: true,
    };
    assert_eq!(refusal, expected);
    assert_eq!(budget.snapshot().waiting, 0);
    held.release();
    assert_eq!(budget.snapshot().held, NanoUsd::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_fit_is_refused_at_once_even_from_the_queue() {
    let ledger = Ledger::new();
    let budget = Budget::new(&ledger, "b", nanos(100));
    let refusal = refused(ledger.reserve(chain(&[&budget]), exactly(101), Some(after(5))).await);
    assert!(!refusal.waited);
    let held = reserve(&ledger, &budget, 60).await.unwrap();
    let mut waiter = Box::pin(ledger.reserve(chain(&[&budget]), exactly(50), Some(after(60))));
    assert!((&mut waiter).now_or_never().is_none());
    let start = Instant::now();
    held.settle(nanos(51));
    let refusal = refused(waiter.await);
    assert_eq!((start.elapsed(), refusal.waited, refusal.settled), (Duration::ZERO, false, nanos(51)));
}

#[tokio::test(start_paused = true)]
async fn an_outer_budget_that_runs_out_refuses_whoever_waits_within() {
    let ledger = Ledger::new();
    let outer = Budget::new(&ledger, "outer", nanos(100));
    let inner = Budget::new(&ledger, "inner", nanos(50));
    let within = chain(&[&inner, &outer]);
    let held = ledger.reserve(within.clone(), exactly(50), None).await.unwrap();
    let mut waiter = Box::pin(ledger.reserve(within, exactly(40), Some(after(60))));
    assert!((&mut waiter).now_or_never().is_none());
    reserve(&ledger, &outer, 50).await.unwrap().settle(nanos(50));
    held.settle(nanos(20));
    // 30 are left in each; the waiter could never be paid.
    let refusal = refused(waiter.await);
    assert!(!refusal.waited);
    assert_eq!((outer.snapshot().held, inner.snapshot().waiting), (NanoUsd::ZERO, 0));
}

#[tokio::test]
async fn a_waiter_that_is_dropped_lets_the_next_in() {
    let ledger = Ledger::new();
    let budget = Budget::new(&ledger, "b", nanos(100));
    let held = reserve(&ledger, &budget, 50).await.unwrap();
    let mut first = Box::pin(reserve(&ledger, &budget, 80));
    let mut second = Box::pin(reserve(&ledger, &budget, 50));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    let second = second.now_or_never().expect("its turn has come").unwrap();
    assert_eq!(budget.snapshot().held, nanos(100));
    drop((held, second));
    assert_eq!(budget.snapshot().remaining(), nanos(100));
}

#[tokio::test]
async fn a_grant_that_its_waiter_never_takes_is_given_back() {
    let ledger = Ledger::new();
    let budget = Budget::new(&ledger, "b", nanos(100));
    let held = reserve(&ledger, &budget, 100).await.unwrap();
    let mut first = Box::pin(reserve(&ledger, &budget, 100));
    let mut second = Box::pin(reserve(&ledger, &budget, 100));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    // The turn is told to the first, which is dropped before it looks.
    held.release();
    drop(first);
    drop(second.now_or_never().expect("the grant went on to the next").unwrap());
    assert_eq!(budget.snapshot().remaining(), nanos(100));
}

/// Grants and drops race on several threads: nothing is lost, and nobody is stranded.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn grants_that_race_drops_lose_nothing() {
    let ledger = Ledger::new();
    let outer = Budget::new(&ledger, "outer", nanos(100));
    let inner = Budget::new(&ledger, "inner", nanos(70));
    for round in 0..300_u64 {
        let mut tasks = JoinSet::new();
        for nth in 0..12_u64 {
            let ledger = ledger.clone();
            let on = if nth % 3 == 0 { chain(&[&outer]) } else { chain(&[&inner, &outer]) };
            tasks.spawn(async move {
                let reserve = ledger.reserve(on, exactly(30 + nth), None);
                if (round + nth) % 4 == 0 {
                    // Polled a few times, then dropped wherever it is.
                    let mut reserve = Box::pin(reserve);
                    for _ in 0..(round % 5) {
                        if let Some(done) = (&mut reserve).now_or_never() {
                            drop(done);
                            return;
                        }
                        tokio::task::yield_now().await;
                    }
                } else {
                    let reservation = reserve.await.unwrap();
                    tokio::task::yield_now().await;
                    reservation.release();
                }
            });
        }
        tokio::time::timeout(Duration::from_secs(30), tasks.join_all()).await.expect("somebody is stranded");
        for budget in [&outer, &inner] {
            let snapshot = budget.snapshot();
            assert_eq!((snapshot.held, snapshot.waiting), (NanoUsd::ZERO, 0), "round {round}");
        }
    }
}

#[tokio::test]
async fn raising_a_limit_gives_turns_and_lowering_it_refuses() {
    let ledger = Ledger::new();
    let budget = Budget::new(&ledger, "b", nanos(100));
    let held = reserve(&ledger, &budget, 100).await.unwrap();
    let mut waiter = Box::pin(reserve(&ledger, &budget, 100));
    assert!((&mut waiter).now_or_never().is_none());
    budget.set_limit(nanos(200)).unwrap();
    let second = (&mut waiter).now_or_never().expect("there is room now").unwrap();
    let mut waiter = Box::pin(reserve(&ledger, &budget, 150));
    assert!((&mut waiter).now_or_never().is_none());
    budget.set_limit(nanos(120)).unwrap();
    let refusal = refused((&mut waiter).now_or_never().expect("it can never fit now"));
    assert_eq!((refusal.limit, refusal.held), (nanos(120), nanos(200)));
    drop((held, second));
    assert_eq!(budget.snapshot().remaining(), nanos(120));
}

#[tokio::test]
async fn a_budget_that_stands_twice_in_a_chain_is_charged_once() {
    let ledger = Ledger::new();
    let budget = Budget::new(&ledger, "b", nanos(100));
    let twice = ledger.reserve(chain(&[&budget, &budget]), exactly(60), None).await.unwrap();
    assert_eq!(budget.snapshot().held, nanos(60));
    twice.settle(nanos(60));
    assert_eq!((budget.snapshot().settled, budget.snapshot().held), (nanos(60), NanoUsd::ZERO));
}

#[tokio::test]
async fn a_bill_above_its_reservation_is_shown_as_overage() {
    let ledger = Ledger::new();
    let budget = Budget::new(&ledger, "b", nanos(100));
    reserve(&ledger, &budget, 90).await.unwrap().settle(nanos(130));
    let snapshot = budget.snapshot();
    assert_eq!((snapshot.settled, snapshot.overage, snapshot.spent()), (nanos(100), nanos(30), nanos(130)));
    assert!(reserve(&ledger, &budget, 1).await.is_err());
}

#[tokio::test]
async fn dropping_a_reservation_costs_nothing_unsent_and_everything_sent() {
    let ledger = Ledger::new();
    let budget = Budget::new(&ledger, "b", nanos(100));
    drop(reserve(&ledger, &budget, 40).await.unwrap());
    assert_eq!(budget.snapshot().settled, NanoUsd::ZERO);
    let reservation = reserve(&ledger, &budget, 40).await.unwrap();
    assert!(reservation.sent().mark());
    drop(reservation);
    assert_eq!(budget.snapshot().settled, nanos(40));
}

/// Whoever writes the request may come a moment after its owner has left.
#[tokio::test]
async fn a_request_whose_reservation_was_given_up_may_not_leave() {
    let ledger = Ledger::new();
    let budget = Budget::new(&ledger, "b", nanos(100));
    let reservation = reserve(&ledger, &budget, 40).await.unwrap();
    let sent = reservation.sent().clone();
    drop(reservation);
    assert!(!sent.mark(), "a request that nobody pays for was let out");
    assert_eq!(budget.snapshot().remaining(), nanos(100));
}

#[tokio::test]
async fn budgets_that_are_gone_leave_nothing_behind() {
    let ledger = Ledger::new();
    let client = Budget::new(&ledger, "client", nanos(1_000_000));
    for _ in 0..1_000 {
        let nested = Budget::new(&ledger, "nested", nanos(10));
        let all =
            join_all((0..5).map(|_| ledger.reserve(chain(&[&nested, &client]), exactly(2), None))).await;
        drop(nested);
        drop(all);
    }
    assert_eq!(client.snapshot().remaining(), nanos(1_000_000));
}
