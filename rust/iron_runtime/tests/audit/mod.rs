//! The audit log, as it is written by calls to a simulator and read from its files.

mod disk;
mod ends;
mod processes;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use iron_runtime::audit::{Records, Verified, verify};
use iron_runtime::budget::Ledger;
use iron_runtime::{Client, Error};
use iron_simulator::{Rule, Simulator};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rig::{self, soon};

/// A client whose calls are recorded.
struct Audited {
    simulator: Simulator,
    client: Client,
    ledger: Ledger,
    directory: TempDir,
}

impl Audited {
    /// With `audit` above a directory and `sync = "never"`.
    async fn new(rules: Vec<Rule>, audit: Value) -> Self {
        Self::with(rules, json!({"audit": audit})).await
    }

    async fn with(rules: Vec<Rule>, changes: Value) -> Self {
        let (simulator, directory) = (rig::simulator(rules).await, TempDir::new().unwrap());
        let ledger = Ledger::new();
        let mut settings = settings(directory.path(), json!({}));
        rig::merge(&mut settings, changes);
        let client = rig::client(&ledger, &simulator.url(), settings).unwrap();
        Self { simulator, client, ledger, directory }
    }

    /// Every record, once all of them are written.
    async fn records(&self) -> Vec<Value> {
        self.client.close();
        soon(self.client.drained()).await;
        records(self.directory.path())
    }
}

fn settings(directory: &Path, audit: Value) -> Value {
    let mut settings = json!({"directory": directory, "sync": "never"});
    rig::merge(&mut settings, audit);
    json!({ "audit": settings })
}

/// Be a process of its own, which does `work` as its first line of input tells; run as a test like others, do nothing.
fn as_process<O: DeserializeOwned, W: Future<Output = ()>>(work: impl FnOnce(O) -> W) {
    let line = std::io::stdin().lines().next().unwrap().unwrap();
    let Ok(orders) = serde_json::from_str::<O>(&line) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work(orders));
}

fn records(directory: &Path) -> Vec<Value> {
    let lines = Records::open(directory).unwrap();
    lines.map(|line| serde_json::from_slice(&line.unwrap().text).unwrap()).collect()
}

fn of_kind<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records.iter().filter(|record| record["kind"] == kind).collect()
}

/// How many of each.
fn count<'r>(records: &'r [Value], field: &str) -> BTreeMap<&'r str, usize> {
    let mut counts = BTreeMap::new();
    for record in of_kind(records, "call") {
        *counts.entry(record[field].as_str().unwrap_or_default()).or_default() += 1;
    }
    counts
}

fn sound(directory: &Path) -> Verified {
    let verified = verify(directory, None, &[]).unwrap();
    assert_eq!(verified.problems, []);
    verified
}

/// All that the files of a log say.
fn everything(directory: &Path) -> String {
    let files = fs::read_dir(directory).unwrap();
    files.map(|file| String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()).into_owned()).collect()
}

fn is_audit(error: &Error) -> bool {
    matches!(error, Error::Audit(_))
}
