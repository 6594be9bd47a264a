//! Everything that can become of processes, in any order.

use std::collections::BTreeMap;
use std::io::Write;

use proptest::prelude::*;

use super::*;

const PROCESSES: usize = 3;

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
                process.pool.drain(LeaseEnd::GivenBack);
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
