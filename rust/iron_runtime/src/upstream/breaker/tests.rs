//! The state machine, with the time told to it.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const POLICY: BreakerPolicy = BreakerPolicy {
    enabled: true,
    failures: 3,
    failure_percent: 50,
    window: Duration::from_secs(8),
    min_requests: 10,
    open: Duration::from_secs(5),
    probes: 2,
};

/// A breaker, and a clock that stands still.
struct Bench {
    breaker: Breaker,
    now: Instant,
}

impl Bench {
    fn new(policy: BreakerPolicy) -> Self {
        Self { breaker: Breaker::new(policy), now: crate::clock::now() }
    }

    fn pass(&self) -> Result<Pass, Instant> {
        self.breaker.pass(|| self.now)
    }

    fn judge(&self, pass: Pass, verdict: Verdict) {
        self.breaker.judge(pass, verdict, || self.now);
    }

    fn call(&self, verdict: Verdict) {
        self.judge(self.pass().unwrap(), verdict);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Three failures in a row, and the time until it probes.
    fn probing() -> Self {
        let mut bench = Self::new(POLICY);
        (0..3).for_each(|_| bench.call(Verdict::Ill));
        bench.wait(5);
        bench
    }
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let mut bench = Bench::new(POLICY);
    for verdict in [Verdict::Ill, Verdict::Ill, Verdict::Well, Verdict::Ill, Verdict::Unknown, Verdict::Ill] {
        bench.call(verdict);
    }
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
    bench.call(Verdict::Ill);
    assert_eq!(bench.breaker.state(), BreakerState::Open);
    let opened = bench.now;
    bench.wait(4);
    assert_eq!(bench.pass(), Err(opened + POLICY.open));
    assert_eq!(bench.breaker.refuses(|| bench.now), Some(opened + POLICY.open));
}

#[test]
fn a_share_of_failures_opens_it_once_calls_are_enough() {
    let bench = Bench::new(POLICY);
    for _ in 0..4 {
        bench.call(Verdict::Well);
        bench.call(Verdict::Ill);
    }
    bench.call(Verdict::Well);
    assert_eq!(bench.breaker.state(), BreakerState::Closed, "nine calls say nothing");
    bench.call(Verdict::Ill);
    assert_eq!(bench.breaker.state(), BreakerState::Open);
}

#[test]
fn what_has_left_the_window_does_not_count() {
    let mut bench = Bench::new(POLICY);
    for _ in 0..4 {
        bench.call(Verdict::Ill);
        bench.call(Verdict::Well);
    }
    bench.wait(9);
    for _ in 0..9 {
        bench.call(Verdict::Well);
    }
    bench.call(Verdict::Ill);
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
}

#[test]
fn it_lets_so_many_probes_through_and_their_success_closes_it() {
    let bench = Bench::probing();
    let probes = [bench.pass().unwrap(), bench.pass().unwrap()];
    assert!(probes.iter().all(|probe| probe.is_probe()));
    assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
    assert!(bench.pass().is_err(), "two probes are all");
    bench.judge(probes[0], Verdict::Well);
    assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
    bench.judge(probes[1], Verdict::Well);
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
}

#[test]
fn a_probe_that_fails_opens_it_again_for_as_long() {
    let mut bench = Bench::probing();
    let (first, second) = (bench.pass().unwrap(), bench.pass().unwrap());
    bench.judge(first, Verdict::Ill);
    // What the other one finds out belongs to the past.
    bench.judge(second, Verdict::Well);
    assert_eq!(bench.pass(), Err(bench.now + POLICY.open));
    bench.wait(5);
    assert!(bench.pass().is_ok());
}

#[test]
fn a_probe_that_is_dropped_gives_its_place_to_the_next() {
    let bench = Bench::probing();
    let probes = [bench.pass().unwrap(), bench.pass().unwrap()];
    assert!(bench.pass().is_err());
    bench.judge(probes[0], Verdict::Unknown);
    assert!(bench.pass().is_ok_and(Pass::is_probe));
}

#[test]
fn a_call_from_before_it_opened_has_no_say_in_probing() {
    let mut bench = Bench::new(POLICY);
    let old = bench.pass().unwrap();
    (0..3).for_each(|_| bench.call(Verdict::Ill));
    bench.wait(5);
    let probe = bench.pass().unwrap();
    bench.judge(old, Verdict::Ill);
    assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
    bench.judge(probe, Verdict::Well);
    bench.call(Verdict::Well);
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
}

#[test]
fn switched_off_it_passes_everything() {
    let bench = Bench::new(BreakerPolicy { enabled: false, ..POLICY });
    (0..50).for_each(|_| bench.call(Verdict::Ill));
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Pass,
    Judge(usize, Verdict),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![Just(Verdict::Well), Just(Verdict::Ill), Just(Verdict::Unknown)];
    prop_oneof![
        3 => Just(Step::Pass),
        3 => (any::<usize>(), verdict).prop_map(|(nth, verdict)| Step::Judge(nth, verdict)),
        1 => (0..7_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens in whatever order: open, it passes nothing; half-open, no more than its probes; and it never
    /// stays shut: once every verdict is in and its time has passed, a call passes.
    #[test]
    fn any_order_of_events_keeps_its_promises(steps in prop::collection::vec(step(), 1..200)) {
        let mut bench = Bench::new(POLICY);
        let mut out: Vec<Pass> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(seconds) => bench.wait(seconds),
                Step::Judge(nth, verdict) => {
                    if !out.is_empty() {
                        let pass = out.swap_remove(nth % out.len());
                        bench.judge(pass, verdict);
                    }
                }
                Step::Pass => {
                    let (before, refuses) = (bench.breaker.state(), bench.breaker.refuses(|| bench.now));
                    let passed = bench.pass();
                    prop_assert_eq!(passed.err(), refuses, "asking first and asking say the same");
                    match (before, passed) {
                        (BreakerState::Closed, passed) => prop_assert!(passed.is_ok_and(|pass| !pass.is_probe())),
                        (_, Ok(pass)) => prop_assert!(pass.is_probe()),
                        (_, Err(until)) => prop_assert!(until >= bench.now),
                    }
                    out.extend(passed);
                }
            }
            let current = bench.breaker.lock().generation;
            let probes = out.iter().filter(|pass| pass.is_probe() && pass.generation == current).count();
            prop_assert!(probes <= POLICY.probes as usize, "{} probes at once", probes);
        }
        for pass in out {
            bench.judge(pass, Verdict::Unknown);
        }
        bench.wait(POLICY.open.as_secs());
        prop_assert!(bench.pass().is_ok());
    }
}
