//! Processes that are killed at any point, two hundred times, and share one budget.
//!
//! What was spent is not taken from the runtime's word: the simulator counts what it served, in a process of its own
//! that nobody kills, and the price is applied here once more.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use iron_runtime::budget::file::{Amounts, LedgerFile};
use iron_runtime::budget::{Calendar, Ledger};
use iron_runtime::{CallContext, Client, Error};
use iron_simulator::{Millis, Reply, Settings, Simulator};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::rig::{self, LONG, ask, nanos, reserved, served, soon};

const PROCESSES: usize = 8;
/// Calls at once in each.
const CALLS: u64 = 6;
const OUTPUT_TOKENS: u32 = 50;
/// Those with more money than they can spend, and those that come to the end of it.
const KILLS: [usize; 2] = [120, 80];
/// What a process says of each call that was answered.
const SPENT: &str = "spent";
const SEED: u64 = 20_261_124;

/// What one process is told.
#[derive(Serialize, Deserialize)]
struct Orders {
    url: String,
    ledger: std::path::PathBuf,
    limit_nanos: u64,
    seed: u64,
}

/// The body of each process; it is this program, asked for this one test.
#[test]
#[ignore = "a process of the test below"]
fn process() {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    let Ok(orders) = serde_json::from_str::<Orders>(&line) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(spend(orders));
}

/// Make calls until the budget refuses, then give back what is left, or leave it behind.
async fn spend(orders: Orders) {
    let ledger = Ledger::new();
    let budget = json!({
        "name": "crash",
        "limit_usd": nanos(orders.limit_nanos).to_string(),
        "ledger": orders.ledger,
        "window": "lifetime",
    });
    let client = rig::client(&ledger, &orders.url, json!({"budget": budget})).unwrap();
    let mut calls = JoinSet::new();
    for nth in 0..CALLS {
        let draw = StdRng::seed_from_u64(orders.seed ^ nth);
        calls.spawn(call_until_refused(client.clone(), draw));
    }
    calls.join_all().await;
    drop(client);
    if orders.seed.is_multiple_of(2) {
        ledger.return_leases(LONG);
    }
}

async fn call_until_refused(client: Client, mut draw: StdRng) {
    loop {
        let request = ask(&"w".repeat(draw.random_range(1..60)), OUTPUT_TOKENS);
        let outcome = if draw.random_range(0..3) == 0 {
            stream(&client, request).await
        } else {
            client.chat(request, CallContext::new()).await.map(drop)
        };
        match outcome {
            // At once, for the test to see that it is in the midst of its work.
            Ok(()) => println!("{SPENT}"),
            Err(Error::BudgetExceeded(refusal)) if !refusal.waited => return,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn stream(client: &Client, request: iron_runtime::ChatRequest) -> Result<(), Error> {
    let mut stream = client.stream(request, CallContext::new()).await?;
    while let Some(batch) = stream.next_batch().await {
        batch?;
    }
    Ok(())
}

struct World {
    simulator: Simulator,
    directory: TempDir,
    draw: StdRng,
}

impl World {
    async fn new() -> Self {
        let replies = [1, 17, 50].map(|tokens| Reply::tokens(tokens).into());
        let settings = Settings {
            rules: replies.into_iter().collect(),
            latency_ms: Millis::from(2.0),
            record_limit: 1,
            ..Settings::default()
        };
        let simulator = Simulator::start(settings).await.unwrap();
        Self { simulator, directory: TempDir::new().unwrap(), draw: StdRng::seed_from_u64(SEED) }
    }

    fn ledger(&self) -> std::path::PathBuf {
        self.directory.path().join("ledger.db")
    }

    fn start(&mut self, limit_nanos: u64) -> Child {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["ledger_crash::process", "--exact", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let orders = Orders {
            url: self.simulator.url(),
            ledger: self.ledger(),
            limit_nanos,
            seed: self.draw.random(),
        };
        let line = format!("{}\n", serde_json::to_string(&orders).unwrap());
        // Closed when it is dropped; the pipe has room for it.
        let stdin = child.stdin.take().unwrap().into_owned_fd().unwrap();
        std::fs::File::from(stdin).write_all(line.as_bytes()).unwrap();
        child
    }

    /// Keep processes running and kill them, each at a point of its own, so many times in all.
    async fn kill(&mut self, kills: usize, limit_nanos: u64) {
        let mut dying = JoinSet::new();
        for begun in 0..kills + PROCESSES {
            if begun >= PROCESSES {
                soon(dying.join_next()).await.unwrap().unwrap();
            }
            if begun < kills {
                let child = self.start(limit_nanos);
                // From before it has read its orders to the middle of its work, however slow the machine is.
                let spends = begun % 2 == 0;
                let after = Duration::from_micros(self.draw.random_range(0..120_000));
                dying.spawn(killed(child, spends, after));
            }
        }
    }

    /// Run processes until all of them are refused.
    async fn spend_the_rest(&mut self, limit_nanos: u64) {
        let children: Vec<Child> = (0..PROCESSES).map(|_| self.start(limit_nanos)).collect();
        for child in children {
            let ended = soon(child.wait_with_output()).await.unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        }
    }

    /// Settle what the dead have left.
    fn recover(&self) {
        LedgerFile::open(&self.ledger()).unwrap().recover(&Calendar::default()).unwrap();
    }

    /// The accounts, which have to be sound at any time, whatever has just been killed.
    fn accounts(&self) -> Amounts {
        let mut file = LedgerFile::open(&self.ledger()).unwrap();
        assert_eq!(file.verify().unwrap(), Vec::<String>::new());
        file.budgets(&Calendar::default()).unwrap()[0].periods[0].amounts
    }
}

/// Kill a process so long after its beginning, or after its first call if it is to have spent something.
async fn killed(mut child: Child, spends: bool, after: Duration) {
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    if spends {
        // Or up to its end: another may have spent the last of it.
        while soon(said.next_line()).await.unwrap().is_some_and(|line| line != SPENT) {}
    }
    // What is drawn is the point to be killed at; nothing waits for it.
    tokio::time::sleep(after).await;
    child.start_kill().unwrap();
    drop(said);
    let ended = child.wait_with_output().await.unwrap();
    // It may have come to the end of the money before.
    assert!(
        ended.status.success() || ended.status.code().is_none(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

fn left(directory: &Path) -> usize {
    std::fs::read_dir(directory.join("ledger.db-journals")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_kills_spend_no_cent_too_many_and_strand_none() {
    println!("seed {SEED}");
    let mut world = World::new().await;
    let plenty = 50_000_000_000;
    world.kill(KILLS[0], plenty).await;
    world.recover();
    let spent = world.accounts().spent();
    assert!(spent > 0);
    // From here on there is little left: each process fights for it and is killed meanwhile.
    let call = u64::try_from(reserved(&"w".repeat(59), OUTPUT_TOKENS).nanos()).unwrap();
    let limit = u64::try_from(spent).unwrap() + 500 * call;
    world.kill(KILLS[1], limit).await;
    world.spend_the_rest(limit).await;

    assert!(world.simulator.quiet(LONG).await);
    world.recover();
    let accounts = world.accounts();
    let served = served(&world.simulator.stats());
    println!("{} requests, {served} served: {accounts:?}", world.simulator.stats().requests);
    let limit = i64::try_from(limit).unwrap();
    assert!(served <= nanos(u64::try_from(limit).unwrap()), "{served} of {limit}");
    assert!(served.nanos() <= accounts.settled + accounts.in_doubt);
    assert_eq!((accounts.open, accounts.loss, accounts.overage), (0, 0, 0));
    assert_eq!(
        accounts.available + accounts.settled + accounts.in_doubt,
        limit,
        "each dollar is accounted for"
    );
    let least = reserved("w", OUTPUT_TOKENS).nanos();
    assert!(accounts.available < i64::try_from(call).unwrap() + least, "{} was left", accounts.available);
    assert_eq!(left(world.directory.path()), 0, "no journal is left");
}
