use iron_protocol::NanoUsd;
use proptest::prelude::*;

use super::*;

fn ask(least: i64, most: i64) -> Ask {
    Ask { least: NanoUsd::from_nanos(least), most: NanoUsd::from_nanos(most) }
}

fn granted(amount: i64) -> Answer<()> {
    Answer::Granted(Held { amount, parts: Vec::new() })
}

fn ended(book: &mut Book<u64, ()>, chain: &[NodeId], reserved: i64, actual: i64) -> Vec<Turn<u64, ()>> {
    let held = Held { amount: reserved, parts: Vec::new() };
    book.settle(chain, &held, Ending::Settled(actual), RequestId::from_bytes([0; 16]))
}

fn amount(outcome: Result<Held<()>, NodeId>) -> Result<i64, NodeId> {
    outcome.map(|held| held.amount)
}

fn book(limits: &[i64]) -> Book<u64, ()> {
    let mut book = Book::new();
    for limit in limits {
        book.open(Arc::from("budget"), *limit);
    }
    book
}

#[test]
fn reserves_on_the_whole_chain_or_on_none() {
    let mut book = book(&[100, 10]);
    assert_eq!(book.ask(&[0, 1], ask(11, 11)), Answer::Refused(1));
    assert_eq!(book.node(0).unwrap().held, 0);
    assert_eq!(book.ask(&[0, 1], ask(10, 10)), granted(10));
    assert_eq!((book.node(0).unwrap().held, book.node(1).unwrap().held), (10, 10));
}

#[test]
fn grants_what_is_free_between_least_and_most() {
    let mut book = book(&[100]);
    assert_eq!(book.ask(&[0], ask(10, 80)), granted(80));
    assert_eq!(book.ask(&[0], ask(10, 80)), granted(20));
    assert_eq!(book.ask(&[0], ask(10, 80)), Answer::Blocked(0));
}

#[test]
fn waiters_have_their_turn_in_order_of_arrival() {
    let mut book = book(&[100]);
    assert_eq!(book.ask(&[0], ask(100, 100)), granted(100));
    book.park(&[0], ask(60, 60), 0, 1);
    book.park(&[0], ask(10, 10), 0, 2);
    assert!(ended(&mut book, &[0], 50, 0).is_empty(), "the second must not overtake the first");
    assert_eq!(book.ask(&[0], ask(1, 1)), Answer::Blocked(0), "nor may a newcomer");
    let told: Vec<_> = ended(&mut book, &[0], 20, 0).into_iter().map(|turn| turn.tell).collect();
    assert_eq!(told, [1, 2]);
}

#[test]
fn a_waiter_that_can_no_longer_fit_is_refused_at_once() {
    let mut book = book(&[100]);
    assert_eq!(book.ask(&[0], ask(50, 50)), granted(50));
    assert_eq!(book.ask(&[0], ask(50, 50)), granted(50));
    book.park(&[0], ask(40, 40), 0, 1);
    book.park(&[0], ask(60, 60), 0, 2);
    let turns = ended(&mut book, &[0], 50, 50);
    let told: Vec<_> = turns.into_iter().map(|turn| (turn.tell, amount(turn.outcome))).collect();
    assert_eq!(told, [(2, Err(0))], "the first still fits once the other call settles");
}

#[test]
fn a_waiter_of_one_budget_does_not_hold_up_another() {
    let mut book = book(&[100, 10, 10]);
    assert_eq!(book.ask(&[1, 0], ask(10, 10)), granted(10));
    assert_eq!(book.ask(&[1, 0], ask(5, 5)), Answer::Blocked(1));
    book.park(&[1, 0], ask(5, 5), 1, 1);
    assert_eq!(book.ask(&[2, 0], ask(10, 10)), granted(10));
}

#[test]
fn leaving_lets_the_next_in() {
    let mut book = book(&[100]);
    assert_eq!(book.ask(&[0], ask(50, 50)), granted(50));
    let first = book.park(&[0], ask(80, 80), 0, 1);
    book.park(&[0], ask(50, 50), 0, 2);
    let told: Vec<_> = book.leave(first).into_iter().map(|turn| (turn.tell, amount(turn.outcome))).collect();
    assert_eq!(told, [(2, Ok(50))]);
}

#[derive(Clone, Debug)]
enum Step {
    Ask {
        chain: usize,
        least: i64,
        extra: i64,
    },
    /// Settle the nth open reservation at a part of it, in percent.
    Settle {
        nth: usize,
        percent: i64,
    },
    Leave {
        nth: usize,
    },
    Raise {
        node: usize,
        by: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..CHAINS.len(), 0..60_i64, 0..60_i64).prop_map(|(chain, least, extra)| Step::Ask { chain, least, extra }),
        4 => (any::<usize>(), 0..=100_i64).prop_map(|(nth, percent)| Step::Settle { nth, percent }),
        1 => any::<usize>().prop_map(|nth| Step::Leave { nth }),
        1 => (0..4_usize, 0..50_i64).prop_map(|(node, by)| Step::Raise { node, by }),
    ]
}

/// Chains as nesting makes them: 0 is the client's budget, 1 and 2 are within it, 3 is within 1.
const CHAINS: [&[NodeId]; 5] = [&[0], &[1, 0], &[2, 0], &[3, 1, 0], &[3, 2, 0]];

/// What a test knows beside the book.
struct World {
    book: Book<u64, ()>,
    held: Vec<(usize, i64)>,
    waiting: BTreeMap<u64, (Ticket, usize, Ask)>,
    next: u64,
}

impl World {
    fn new() -> Self {
        Self { book: book(&[200, 120, 90, 60]), held: Vec::new(), waiting: BTreeMap::new(), next: 0 }
    }

    fn take(&mut self, turns: Vec<Turn<u64, ()>>) {
        for turn in turns {
            let (_, chain, ask) = self.waiting.remove(&turn.tell).unwrap();
            match turn.outcome {
                Ok(Held { amount, .. }) => {
                    assert!((ask.least.nanos()..=ask.most.nanos()).contains(&amount));
                    self.held.push((chain, amount));
                }
                Err(by) => {
                    assert!(ask.least.nanos() > self.book.node(by).unwrap().ever_free(), "could have fitted");
                }
            }
        }
    }

    fn run(&mut self, step: &Step) {
        let turns = match *step {
            Step::Ask { chain, least, extra } => {
                let ask = ask(least, least + extra);
                match self.book.ask(CHAINS[chain], ask) {
                    Answer::Granted(Held { amount, .. }) => self.held.push((chain, amount)),
                    Answer::Refused(by) => assert!(least > self.book.node(by).unwrap().ever_free()),
                    Answer::Blocked(at) => {
                        let ticket = self.book.park(CHAINS[chain], ask, at, self.next);
                        self.waiting.insert(self.next, (ticket, chain, ask));
                        self.next += 1;
                    }
                }
                return;
            }
            Step::Settle { nth, percent } if !self.held.is_empty() => {
                let (chain, amount) = self.held.swap_remove(nth % self.held.len());
                ended(&mut self.book, CHAINS[chain], amount, amount * percent / 100)
            }
            Step::Leave { nth } if !self.waiting.is_empty() => {
                let name = *self.waiting.keys().nth(nth % self.waiting.len()).unwrap();
                let (ticket, ..) = self.waiting.remove(&name).unwrap();
                self.book.leave(ticket)
            }
            Step::Raise { node, by } => {
                let limit = self.book.node(node).unwrap().limit + by;
                self.book.set_limit(node, limit)
            }
            Step::Settle { .. } | Step::Leave { .. } => return,
        };
        self.take(turns);
    }

    fn check(&self) {
        for id in 0..4 {
            let node = self.book.node(id).unwrap();
            assert!(node.spent >= 0 && node.held >= 0);
            assert!(node.spent + node.held <= node.limit, "{node:?}");
            let held: i64 = self
                .held
                .iter()
                .filter(|(chain, _)| CHAINS[*chain].contains(&id))
                .map(|(_, held)| held)
                .sum();
            assert_eq!(node.held, held, "held is exactly what is reserved");
        }
        // Nobody waits without a reason: each waiter is blocked now, by what is held or by who came before.
        for (ticket, chain, ask) in self.waiting.values() {
            assert!(matches!(
                self.book.judge(CHAINS[*chain], *ask, *ticket),
                Verdict::Blocked(_) | Verdict::Never(_)
            ));
        }
        assert_eq!(self.book.waiters.len(), self.waiting.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn settled_and_held_never_pass_the_limit(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.run(&step);
            world.check();
        }
        // When every call has settled nobody waits and nothing is held.
        while let Some((chain, amount)) = world.held.pop() {
            let turns = ended(&mut world.book, CHAINS[chain], amount, 0);
            world.take(turns);
            world.check();
        }
        assert!(world.waiting.is_empty());
        assert!((0..4).all(|id| world.book.node(id).unwrap().held == 0));
    }
}
