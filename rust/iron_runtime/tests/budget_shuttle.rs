//! Every interleaving, as far as shuttle explores them, of calls that meet in nested budgets.
//!
//! Only the `shuttle` feature builds it: the ledger's lock is then shuttle's.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::atomic::{AtomicI64, Ordering};

use futures::FutureExt;
use iron_protocol::NanoUsd;
use iron_runtime::budget::{Ask, Budget, Ledger};
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::Arc;
use shuttle::{Config, Runner, future, thread};

fn nanos(amount: i64) -> NanoUsd {
    NanoUsd::from_nanos(amount)
}

/// The budgets that meet, and what all calls together have paid.
#[derive(Clone)]
struct World {
    ledger: Ledger,
    client: Budget,
    left: Budget,
    right: Budget,
    paid: std::sync::Arc<AtomicI64>,
}

/// What a call does with its reservation.
#[derive(Clone, Copy)]
enum End {
    Settle(i64),
    Release,
    DropUnsent,
    DropSent,
}

impl World {
    fn new() -> Self {
        let ledger = Ledger::new();
        let budget = |name: &str, limit| Budget::new(&ledger, name, nanos(limit));
        let (client, left, right) = (budget("client", 100), budget("left", 60), budget("right", 70));
        Self { ledger, client, left, right, paid: std::sync::Arc::default() }
    }

    fn nested(&self, within: &Budget) -> Arc<[Budget]> {
        Arc::from([within.clone(), self.client.clone()])
    }

    fn alone(&self) -> Arc<[Budget]> {
        Arc::from([self.client.clone()])
    }

    /// The invariant, of every budget.
    fn check(&self) {
        for budget in [&self.client, &self.left, &self.right] {
            let now = budget.snapshot();
            assert!(now.settled >= NanoUsd::ZERO && now.held >= NanoUsd::ZERO, "{now:?}");
            assert_eq!(now.overage, NanoUsd::ZERO, "{now:?}");
            assert!(now.settled.checked_add(now.held).unwrap() <= now.limit, "{now:?}");
        }
    }

    /// One call: what it reserved it gives up, once.
    fn call(&self, chain: Arc<[Budget]>, amount: i64, end: End) {
        let granted = future::block_on(self.ledger.reserve(chain, Ask::exactly(nanos(amount)), None));
        self.check();
        let Ok(reservation) = granted else { return };
        thread::yield_now();
        let paid = match end {
            End::Settle(actual) => {
                reservation.settle(nanos(actual));
                actual
            }
            End::Release => {
                reservation.release();
                0
            }
            End::DropUnsent => {
                drop(reservation);
                0
            }
            End::DropSent => {
                assert!(reservation.sent().mark());
                drop(reservation);
                amount
            }
        };
        self.paid.fetch_add(paid, Ordering::Relaxed);
        self.check();
    }

    /// One call that is dropped wherever it has come to.
    fn leaving_call(&self, chain: Arc<[Budget]>, amount: i64) {
        let mut reserve = Box::pin(self.ledger.reserve(chain, Ask::exactly(nanos(amount)), None));
        let first = (&mut reserve).now_or_never();
        thread::yield_now();
        drop(first);
        drop(reserve);
        self.check();
    }

    /// When all is quiet nothing is held, nobody waits, and every nano-dollar was paid once.
    fn at_rest(&self) {
        let paid = self.paid.load(Ordering::Relaxed);
        for budget in [&self.client, &self.left, &self.right] {
            let now = budget.snapshot();
            assert_eq!((now.held, now.waiting), (NanoUsd::ZERO, 0), "{now:?}");
        }
        assert_eq!(self.client.snapshot().settled, nanos(paid));
    }
}

fn explore(scheduler: impl Scheduler + 'static, calls: fn(World)) -> usize {
    Runner::new(scheduler, Config::default()).run(move || {
        let world = World::new();
        calls(world.clone());
        world.at_rest();
    })
}

/// Run each on a thread of its own, and wait for all. Whoever is stranded is a deadlock, which shuttle reports.
fn side_by_side(tasks: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = tasks.into_iter().map(thread::spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn task(world: &World, run: impl FnOnce(&World) + Send + 'static) -> Box<dyn FnOnce() + Send> {
    let world = world.clone();
    Box::new(move || run(&world))
}

/// More than the budgets can hold at once, on three nested chains, some dropped while they wait.
#[expect(clippy::needless_pass_by_value, reason = "a scenario owns its world")]
fn swarm(world: World) {
    let (left, right, client) = (world.nested(&world.left), world.nested(&world.right), world.alone());
    side_by_side(vec![
        task(&world, {
            let chain = left.clone();
            move |world| {
                world.call(chain.clone(), 60, End::Settle(7));
                world.call(chain, 30, End::DropSent);
            }
        }),
        task(&world, {
            let chain = right.clone();
            move |world| {
                world.call(chain.clone(), 70, End::DropUnsent);
                world.call(chain, 20, End::Settle(20));
            }
        }),
        task(&world, move |world| {
            world.leaving_call(client.clone(), 90);
            world.call(client, 100, End::Release);
        }),
        task(&world, move |world| {
            world.leaving_call(left, 50);
            world.client.set_limit(nanos(110)).unwrap();
            world.right.set_limit(nanos(75)).unwrap();
            world.call(right, 75, End::Settle(1));
        }),
    ]);
}

/// Two that cannot both have it at once: small enough for every interleaving. Only the client's budget is looked at,
/// because each look is a lock, and multiplies them.
#[expect(clippy::needless_pass_by_value, reason = "a scenario owns its world")]
fn duel(world: World) {
    let call = |chain: Arc<[Budget]>, amount, actual| {
        move |world: &World| {
            let granted = future::block_on(world.ledger.reserve(chain, Ask::exactly(nanos(amount)), None));
            let now = world.client.snapshot();
            assert!(now.settled.checked_add(now.held).unwrap() <= now.limit, "{now:?}");
            granted.unwrap().settle(nanos(actual));
            world.paid.fetch_add(actual, Ordering::Relaxed);
        }
    };
    side_by_side(vec![
        task(&world, call(world.nested(&world.left), 60, 10)),
        task(&world, call(world.alone(), 80, 20)),
    ]);
}

#[test]
fn random_interleavings_hold_the_limit_and_strand_nobody() {
    explore(RandomScheduler::new(3_000), swarm);
}

#[test]
fn rare_interleavings_hold_the_limit_and_strand_nobody() {
    explore(PctScheduler::new(4, 3_000), swarm);
}

#[test]
fn every_interleaving_of_two_calls_holds_the_limit() {
    const MOST: usize = 50_000;
    let explored = explore(DfsScheduler::new(Some(MOST), false), duel);
    assert!((100..MOST).contains(&explored), "{explored} interleavings are not all of them");
}

/// The exploration itself: who looks under the lock and takes under it again is caught taking twice.
#[test]
fn a_race_would_be_found() {
    let caught = std::panic::catch_unwind(|| {
        Runner::new(RandomScheduler::new(500), Config::default()).run(|| {
            let left = Arc::new(shuttle::sync::Mutex::new(1));
            let take = |left: Arc<shuttle::sync::Mutex<i32>>| {
                move || {
                    let free = *left.lock().unwrap() > 0;
                    if free {
                        *left.lock().unwrap() -= 1;
                    }
                }
            };
            for thread in [(); 2].map(|()| thread::spawn(take(left.clone()))) {
                thread.join().unwrap();
            }
            assert!(*left.lock().unwrap() >= 0);
        });
    });
    assert!(caught.is_err(), "the schedules explored are all alike");
}
