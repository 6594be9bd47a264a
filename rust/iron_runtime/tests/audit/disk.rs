//! Disks that are full, or that nobody may write: calls are refused, and nothing is lost.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use iron_runtime::CallContext;
use iron_runtime::budget::Ledger;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use super::{Audited, as_process, is_audit, of_kind, records, settings, sound};
use crate::rig::{self, ask, soon, until, within};

/// What the process is told.
#[derive(Serialize, Deserialize)]
struct Orders {
    url: String,
    directory: PathBuf,
    sync: String,
}

/// The body of the process, whose files may not grow beyond some size; it is this program, asked for this one test.
#[test]
#[ignore = "a process of the test below"]
fn process() {
    as_process(call_until_full);
}

/// Make calls until one is refused, and once more when there is room: what was answered is told, a line each.
async fn call_until_full(orders: Orders) {
    let changes = settings(&orders.directory, json!({"sync": orders.sync, "sync_ms": 1}));
    let client = rig::client(&Ledger::new(), &orders.url, changes).unwrap();
    let requests = || rig::ask("Hello", 20);
    let mut told = std::io::stdout();
    let refused = loop {
        let context = CallContext::new();
        let id = context.request_id;
        match client.chat(requests(), context).await {
            Ok(_) => writeln!(told, "answered {id}").unwrap(),
            Err(error) => break error,
        }
    };
    assert!(is_audit(&refused) && refused.retryable(), "{refused:?}");
    assert!(refused.to_string().contains("the disk is full or a limit is reached"), "{refused}");
    let attempts = client.stats().attempts;
    let refused = client.chat(requests(), CallContext::new()).await.unwrap_err();
    assert!(is_audit(&refused), "{refused:?}");
    assert_eq!(client.stats().attempts, attempts, "it was refused before anything was sent");
    writeln!(told, "full").unwrap();
    assert_eq!(std::io::stdin().lines().next().unwrap().unwrap(), "go on");
    loop {
        let context = CallContext::new();
        let id = context.request_id;
        if client.chat(requests(), context).await.is_ok() {
            writeln!(told, "answered {id}").unwrap();
            break;
        }
    }
    client.close();
    client.drained().await;
}

async fn full_and_then_not(sync: &str) {
    let (simulator, directory) = (rig::simulator(vec![]).await, TempDir::new().unwrap());
    // Files of 8 KiB at most: a signal would come with the error, and end the process.
    let mut child = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -S -f 16; exec "$@""#, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["audit::disk::process", "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let orders = Orders { url: simulator.url(), directory: directory.path().into(), sync: sync.to_owned() };
    let line = format!("{}\n", serde_json::to_string(&orders).unwrap());
    stdin.write_all(line.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stdout).lines();
    let mut answered = Vec::new();
    while let Some(line) = soon(lines.next_line()).await.unwrap() {
        if let Some((_, id)) = line.split_once("answered ") {
            answered.push(id.to_owned());
        } else if line.ends_with("full") {
            sound(directory.path());
            let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
            prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
            stdin.write_all(b"go on\n").await.unwrap();
        }
    }
    assert!(soon(child.wait()).await.unwrap().success());
    sound(directory.path());
    let records = records(directory.path());
    let recorded: Vec<_> =
        of_kind(&records, "call").iter().map(|call| call["request_id"].as_str().unwrap()).collect();
    assert!(answered.len() > 3 && answered.iter().all(|id| recorded.contains(&id.as_str())), "{answered:?}");
    let refused: u64 =
        of_kind(&records, "unrecorded").iter().map(|told| told["refused"].as_u64().unwrap()).sum();
    let attempts = simulator.stats().requests;
    assert!(refused > 0);
    assert_eq!(
        recorded.len() as u64,
        attempts,
        "each that was sent is recorded, also where its reply was held back"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_calls_until_there_is_room_and_loses_none() {
    full_and_then_not("never").await;
}

#[tokio::test]
async fn with_always_too() {
    full_and_then_not("always").await;
}

/// A directory in the place of which stands a file: nobody may write there, not even the superuser.
#[tokio::test]
async fn a_log_that_cannot_be_opened_refuses_calls_or_lets_them_pass_as_configured() {
    let (simulator, place) = (rig::simulator(vec![]).await, TempDir::new().unwrap());
    let directory = place.path().join("log");
    std::fs::write(&directory, "").unwrap();
    let ledger = Ledger::new();
    let client = rig::client(&ledger, &simulator.url(), settings(&directory, json!({}))).unwrap();
    let refused = soon(client.chat(ask("Hello", 20), within([]))).await.unwrap_err();
    assert!(is_audit(&refused), "{refused:?}");
    assert!(refused.to_string().contains("cannot be written (making its directory)"), "{refused}");
    assert_eq!(simulator.stats().requests, 0);
    assert_eq!(client.stats().refused, [(refused.code(), 1)]);
    drop(client);

    let lenient =
        rig::client(&ledger, &simulator.url(), settings(&directory, json!({"on_failure": "allow"}))).unwrap();
    soon(lenient.chat(ask("Hello", 20), within([]))).await.unwrap();
    std::fs::remove_file(&directory).unwrap();
    soon(lenient.chat(ask("Hello", 20), within([]))).await.unwrap();
    drop(lenient);
    let records = records(&directory);
    assert_eq!(of_kind(&records, "unrecorded")[0]["calls"], 1);
    assert_eq!(of_kind(&records, "call").len(), 1);
    sound(&directory);
}

#[tokio::test]
async fn files_end_and_the_oldest_go() {
    let audited = Audited::new(vec![], json!({"rotate_bytes": 4_096, "keep": 2})).await;
    for _ in 0..60 {
        soon(audited.client.chat(ask("Hello", 20), within([]))).await.unwrap();
    }
    let count = || {
        std::fs::read_dir(audited.directory.path()).unwrap().filter(|file| {
            file.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "jsonl")
        })
    };
    audited.records().await;
    until(|| count().count() == 3).await;
    sound(audited.directory.path());
}
