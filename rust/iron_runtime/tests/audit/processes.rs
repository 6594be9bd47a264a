//! Processes that write one log, and are killed at any point.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use iron_runtime::CallContext;
use iron_runtime::budget::Ledger;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::{as_process, of_kind, records, settings};
use crate::rig::{self, soon};

const PROCESSES: usize = 8;
const KILLS: usize = 48;
/// Calls at once in each.
const CALLS: usize = 4;
const SEED: u64 = 20_261_124;

/// What one process is told.
#[derive(Serialize, Deserialize)]
struct Orders {
    url: String,
    directory: PathBuf,
}

/// The body of each process; it is this program, asked for this one test.
#[test]
#[ignore = "a process of the test below"]
fn process() {
    as_process(call_for_ever);
}

/// Make calls until it is killed: what was answered is told, a line each.
async fn call_for_ever(orders: Orders) {
    let audit = json!({"sync": "always", "rotate_bytes": 16_384});
    let client = rig::client(&Ledger::new(), &orders.url, settings(&orders.directory, audit)).unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let client = client.clone();
        calls.spawn(async move {
            loop {
                let context = CallContext::new();
                let id = context.request_id;
                client.chat(rig::ask("Hello", 20), context).await.unwrap();
                // In one piece: it may be killed in between.
                std::io::stdout().write_all(format!("answered {id}\n").as_bytes()).unwrap();
            }
        });
    }
    calls.join_all().await;
}

async fn start(orders: &Orders) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["audit::processes::process", "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let line = format!("{}\n", serde_json::to_string(orders).unwrap());
    child.stdin.take().unwrap().write_all(line.as_bytes()).await.unwrap();
    child
}

/// Kill a process so long after it was started, or has begun to work: the calls that it saw answered.
async fn killed(mut child: Child, is_begun: bool, after: Duration) -> Vec<String> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered = Vec::new();
    let take = |answered: &mut Vec<String>, line: String| {
        answered.extend(line.split_once("answered ").map(|(_, id)| id.to_owned()));
    };
    if is_begun {
        while answered.is_empty() {
            take(&mut answered, lines.next_line().await.unwrap().expect("it ended by itself"));
        }
    }
    // What is drawn is the point to be killed at; nothing waits for it.
    let alarm = tokio::time::sleep(after);
    tokio::pin!(alarm);
    loop {
        tokio::select! {
            () = &mut alarm => break,
            line = lines.next_line() => take(&mut answered, line.unwrap().expect("it ended by itself")),
        }
    }
    child.start_kill().unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        take(&mut answered, line);
    }
    child.wait().await.unwrap();
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_the_log_is_whole_and_has_every_reply() {
    println!("seed {SEED}");
    let (simulator, directory) = (rig::simulator(vec![]).await, TempDir::new().unwrap());
    let orders = Orders { url: simulator.url(), directory: directory.path().into() };
    let mut draw = StdRng::seed_from_u64(SEED);
    let (mut dying, mut answered) = (JoinSet::new(), BTreeSet::new());
    for begun in 0..KILLS + PROCESSES {
        if begun >= PROCESSES {
            answered.extend(soon(dying.join_next()).await.unwrap().unwrap());
        }
        if begun < KILLS {
            let after = Duration::from_micros(draw.random_range(0..150_000));
            dying.spawn(killed(start(&orders).await, begun % 4 > 0, after));
        }
    }
    let verified = super::sound(directory.path());
    assert!(verified.chains.len() <= PROCESSES, "{} chains", verified.chains.len());
    let records = records(directory.path());
    let recorded: BTreeSet<_> = of_kind(&records, "call")
        .iter()
        .map(|call| call["request_id"].as_str().unwrap().to_owned())
        .collect();
    println!("{} answered, {} recorded, {} chains", answered.len(), recorded.len(), verified.chains.len());
    assert!(answered.len() > KILLS, "{}", answered.len());
    assert_eq!(answered.difference(&recorded).count(), 0);
}
