//! A thousand calls on a budget for about a hundred of them.
//!
//! What was spent is not taken from the runtime's word: the simulator counts what it served, and the price is applied
//! here once more.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iron_protocol::NanoUsd;
use iron_runtime::budget::Budget;
use iron_runtime::{BudgetExceeded, CallContext, Client, Error};
use iron_simulator::{
    At, Bare, BreakFault, EventFault, Fault, LengthFault, Match, Reply, Rule, Simulator, StallFault,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::rig::{LONG, Rig, ask, nanos, polled, reserved, served, until, within};

const CALLS: usize = 1_000;
const OUTPUT_TOKENS: u32 = 50;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Served,
    /// The fault of that place in the list.
    Faulty(usize),
    /// Dropped after so many polls.
    Dropped(usize),
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    nth: usize,
    stream: bool,
    fate: Fate,
}

fn faults() -> Vec<Fault> {
    let broken = |at| BreakFault { at };
    vec![
        Fault::status(400),
        Fault::status(429),
        Fault::status(503),
        Fault::ErrorInOk(Bare {}),
        Fault::EmptyBody(Bare {}),
        Fault::Stall(StallFault { at: At::BeforeHeaders, ms: None }),
        Fault::Stall(StallFault { at: At::AfterBytes(300), ms: None }),
        Fault::Reset(broken(At::BeforeHeaders)),
        Fault::Reset(broken(At::AfterHeaders)),
        Fault::Close(broken(At::AfterBytes(400))),
        Fault::SplitBytes(Bare {}),
        // Of plain replies, and then of streams.
        Fault::MalformedJson(Bare {}),
        Fault::WrongLength(LengthFault { by: 5 }),
        Fault::WrongLength(LengthFault { by: -5 }),
        Fault::Reset(broken(At::AfterChunks(7))),
        Fault::MalformedEvent(EventFault::after(9)),
        Fault::ErrorEvent(EventFault::after(5)),
        Fault::NoDone(Bare {}),
        Fault::NoFinishReason(Bare {}),
    ]
}

/// Rules that do to each call what its prompt names. The reply has reasoning and cached input in it.
fn rules() -> Vec<Rule> {
    let reply = Reply { reasoning_tokens: 13, cached_tokens: 4, ..Reply::tokens(37) };
    let faulty = faults().into_iter().enumerate().map(|(nth, fault)| Rule {
        when: Match { text: Some(format!("fault {nth:02};")), ..Match::default() },
        fault: Some(fault),
        reply: Some(reply.clone()),
        ..Rule::default()
    });
    faulty.chain([reply.clone().into()]).collect()
}

/// A prompt of one length for all.
fn prompt(plan: Plan) -> String {
    let fate = match plan.fate {
        Fate::Faulty(nth) => format!("fault {nth:02};"),
        Fate::Served | Fate::Dropped(_) => "no fault;".to_owned(),
    };
    format!("call {:04}; {fate} a prompt such as agents write", plan.nth)
}

fn plans(seed: u64, troubled: bool) -> Vec<Plan> {
    let mut draw = StdRng::seed_from_u64(seed);
    (0..CALLS)
        .map(|nth| {
            let fate = match draw.random_range(0..10) {
                0..3 if troubled => Fate::Faulty(draw.random_range(0..faults().len())),
                3..5 if troubled => Fate::Dropped(draw.random_range(0..12)),
                _ => Fate::Served,
            };
            Plan { nth, stream: draw.random(), fate }
        })
        .collect()
}

/// What the budgets are: each call's chain, innermost first, and all of them.
struct Budgets {
    chains: Vec<Vec<Budget>>,
    all: Vec<Budget>,
    outermost: Budget,
}

async fn call(client: Client, plan: Plan, chain: Vec<Budget>) -> Result<(), Error> {
    let request = ask(&prompt(plan), OUTPUT_TOKENS);
    let context = CallContext { timeout: Some(Duration::from_secs(300)), ..within(chain) };
    if !plan.stream {
        return client.chat(request, context).await.map(drop);
    }
    let mut stream = client.stream(request, context).await?;
    while let Some(batch) = stream.next_batch().await {
        batch?;
        tokio::task::yield_now().await;
    }
    stream.reply().await.map(drop)
}

/// The invariant, of every budget.
fn look(budgets: &[Budget]) {
    for budget in budgets {
        let now = budget.snapshot();
        assert_eq!(now.overage, NanoUsd::ZERO, "{now:?}");
        assert!(now.settled.checked_add(now.held).unwrap() <= now.limit, "{now:?}");
    }
}

/// The future, with a look at every budget after each of its steps.
async fn watched<F: Future>(future: F, budgets: Arc<[Budget]>) -> F::Output {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |cx| {
        let polled = future.as_mut().poll(cx);
        look(&budgets);
        polled
    })
    .await
}

/// Make all calls at once: the refusals, by call.
async fn swarm(rig: &Rig, plans: Vec<Plan>, budgets: &Budgets) -> Vec<(usize, BudgetExceeded)> {
    let stop = Arc::new(AtomicBool::new(false));
    let all: Arc<[Budget]> = budgets.all.clone().into();
    // Between the steps too, from a thread of its own.
    let watcher = std::thread::spawn({
        let (all, stop) = (all.clone(), stop.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                look(&all);
                std::thread::yield_now();
            }
        }
    });
    let mut calls = JoinSet::new();
    for plan in plans {
        let call = call(rig.client.clone(), plan, budgets.chains[plan.nth % budgets.chains.len()].clone());
        let call = watched(call, all.clone());
        calls.spawn(async move {
            let outcome = match plan.fate {
                Fate::Dropped(polls) => polled(call, polls).await,
                _ => Some(call.await),
            };
            (plan, outcome)
        });
    }
    let mut refused = Vec::new();
    let outcomes = tokio::time::timeout(Duration::from_secs(240), calls.join_all()).await.expect("it hangs");
    for (plan, outcome) in outcomes {
        match outcome {
            Some(Err(Error::BudgetExceeded(refusal))) => refused.push((plan.nth, *refusal)),
            // On a machine that is busy a call may be slow by itself.
            Some(Ok(()) | Err(Error::UpstreamTimeout { .. })) | None => {}
            Some(Err(error)) => assert!(matches!(plan.fate, Fate::Faulty(_)), "{plan:?}: {error}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    watcher.join().unwrap();
    refused
}

/// What holds of every swarm when all is quiet.
async fn check(rig: Rig, budgets: Budgets, refused: &[(usize, BudgetExceeded)]) -> (NanoUsd, Budget) {
    for budget in &budgets.all {
        rig.at_rest(budget);
        let now = budget.snapshot();
        assert!(now.overage == NanoUsd::ZERO && now.settled <= now.limit, "{now:?}");
    }
    let Rig { simulator, client, .. } = rig;
    drop(client);
    // With every connection closed nothing is on its way any more.
    until(|| simulator.stats().connections_open == 0).await;
    assert!(simulator.quiet(LONG).await);
    for (nth, refusal) in refused {
        assert!(!refusal.waited, "call {nth} was left waiting: {refusal}");
        let left = refusal.limit.checked_sub(refusal.settled).unwrap();
        assert!(refusal.estimate > left, "call {nth} could have been afforded: {refusal}");
    }
    no_request_of_the_refused(&simulator, refused);
    let served = served(&simulator.stats());
    let outermost = budgets.outermost;
    let settled = outermost.snapshot().settled;
    assert!(served <= settled, "{served} was served, {settled} settled");
    assert!(settled <= outermost.snapshot().limit);
    (served, outermost)
}

fn no_request_of_the_refused(simulator: &Simulator, refused: &[(usize, BudgetExceeded)]) {
    let requests = simulator.requests();
    assert_eq!(requests.len() as u64, simulator.stats().requests, "all of them are remembered");
    let asked: std::collections::HashSet<usize> = requests
        .iter()
        .filter_map(|request| request.body["messages"][0]["content"].as_str())
        .map(|prompt| prompt["call ".len()..][..4].parse().unwrap())
        .collect();
    for (nth, _) in refused {
        assert!(!asked.contains(nth), "call {nth} was refused and made a request");
    }
}

fn share(part: NanoUsd, whole: NanoUsd) -> i64 {
    part.nanos() * 1_000 / whole.nanos()
}

/// What a hundred calls reserve.
fn hundred() -> u64 {
    let plan = Plan { nth: 0, stream: false, fate: Fate::Served };
    100 * u64::try_from(reserved(&prompt(plan), OUTPUT_TOKENS).nanos()).unwrap()
}

fn single(rig: &Rig) -> Budgets {
    let budget = rig.budget(hundred());
    Budgets { chains: vec![vec![budget.clone()]], all: vec![budget.clone()], outermost: budget }
}

/// The client's own budget, four teams within it, and twenty agents within those; every level has too little.
fn nested(rig: &Rig) -> Budgets {
    let outermost = rig.client.budget().unwrap().clone();
    let budget = |name: &str, part| Budget::new(&rig.ledger, name, nanos(hundred() / part));
    let teams: Vec<_> = (0..4).map(|_| budget("team", 3)).collect();
    let chains: Vec<_> = (0..20).map(|nth| vec![budget("agent", 12), teams[nth % 4].clone()]).collect();
    let agents = chains.iter().map(|chain| chain[0].clone());
    let all = agents.chain(teams.iter().cloned()).chain([outermost.clone()]).collect();
    Budgets { chains, all, outermost }
}

fn impatient() -> Value {
    // Stalls are for ever: any bound ends them, and a longer one spares calls that are merely slow here.
    json!({"timeouts": {"ttft_ms": 1_500, "idle_ms": 1_500}})
}

fn limited() -> Value {
    json!({"budget": {"limit_usd": nanos(hundred()).to_string()}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_is_spent_to_its_end_and_not_beyond() {
    for seed in [1, 2] {
        let rig = Rig::new(rules()).await;
        let budgets = single(&rig);
        let refused = swarm(&rig, plans(seed, false), &budgets).await;
        let (served, budget) = check(rig, budgets, &refused).await;
        let now = budget.snapshot();
        assert_eq!(served, now.settled, "without trouble both sides agree to the nano-dollar");
        assert!(share(served, now.limit) >= 980, "{served} of {}", now.limit);
        assert!(refused.len() > 500, "{} refusals", refused.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn trouble_of_every_kind_never_spends_beyond_a_budget() {
    for seed in [3, 4, 5] {
        let rig = Rig::with(rules(), impatient()).await;
        let budgets = single(&rig);
        let refused = swarm(&rig, plans(seed, true), &budgets).await;
        let (served, budget) = check(rig, budgets, &refused).await;
        let now = budget.snapshot();
        assert!(share(now.settled, now.limit) >= 980, "{} of {}", now.settled, now.limit);
        assert!(served > NanoUsd::ZERO);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nested_budgets_hold_on_every_level() {
    for (seed, troubled) in [(6, false), (7, true)] {
        let mut changes = limited();
        if troubled {
            changes["timeouts"] = impatient()["timeouts"].take();
        }
        let rig = Rig::with(rules(), changes).await;
        let budgets = nested(&rig);
        let refused = swarm(&rig, plans(seed, troubled), &budgets).await;
        let (served, outermost) = check(rig, budgets, &refused).await;
        let now = outermost.snapshot();
        let used = if troubled { now.settled } else { served };
        assert!(share(used, now.limit) >= 980, "{used} of {}", now.limit);
    }
}

/// With few connections and limits in the way too, nobody waits for ever and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_behind_a_limit_is_spent_to_its_end() {
    let rig = Rig::with(rules(), json!({"limits": {"concurrency": 20}})).await;
    let budgets = single(&rig);
    let refused = swarm(&rig, plans(8, false), &budgets).await;
    let (served, budget) = check(rig, budgets, &refused).await;
    assert!(share(served, budget.snapshot().limit) >= 980);
}
