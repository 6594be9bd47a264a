//! A process of its own that makes calls, in an environment of its own.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::process::Command;

use futures::future::join_all;
use iron_runtime::Client;
use iron_runtime::budget::{Budget, Ledger};
use serde_json::{Value, json};

use crate::rig::{Wire, ask, merge, nanos, soon, within};

/// The key that the calls carry, and nobody but their server may see.
pub(super) const KEY: &str = "sk-for-the-server-alone";

/// What the child is told, as JSON.
const ORDERS: &str = "IRON_TEST_ORDERS";
/// What each line that it says begins with.
const SAYS: &str = "child: ";

/// What a child is to do: rounds of so many calls at once.
#[derive(Clone, Copy)]
pub(super) struct Orders<'a> {
    pub(super) url: &'a str,
    pub(super) wire: Wire,
    pub(super) rounds: &'a [usize],
    pub(super) stream: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Report {
    /// Of each call, its text, or the code of its error with the causes.
    pub(super) calls: Vec<Result<String, (String, String)>>,
    /// Nano-dollars.
    pub(super) settled: i64,
    pub(super) held: i64,
}

/// Run a child that has these environment variables and no others.
pub(super) async fn run(orders: Orders<'_>, environment: &[(&str, &str)]) -> Report {
    let told = json!({
        "url": orders.url,
        "settings": orders.wire.settings(orders.url),
        "rounds": orders.rounds,
        "stream": orders.stream,
    });
    let mut environment: BTreeMap<String, String> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    environment.insert(ORDERS.to_owned(), told.to_string());
    let output = tokio::task::spawn_blocking(move || {
        Command::new(std::env::current_exe().unwrap())
            .args(["connections::child::calls", "--exact", "--ignored", "--nocapture"])
            .env_clear()
            .envs(environment)
            .output()
            .unwrap()
    });
    let output = soon(output).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut said = text.lines().filter_map(|line| line.split_once(SAYS));
    let report: Value = serde_json::from_str(said.next().unwrap().1).unwrap();
    let calls = report["calls"].as_array().unwrap().iter().map(|call| {
        let field = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
        if call["code"].is_null() { Ok(field("text")) } else { Err((field("code"), field("causes"))) }
    });
    let calls = calls.collect();
    let amount = |name: &str| report[name].as_i64().unwrap();
    Report { calls, settled: amount("settled"), held: amount("held") }
}

/// The child.
#[tokio::test]
#[ignore = "the tests run it themselves, in an environment that they choose"]
#[expect(clippy::disallowed_methods, reason = "a child is told what to do by its environment")]
async fn calls() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Value = serde_json::from_str(&orders).unwrap();
    let ledger = Ledger::new();
    let mut changes = json!({"providers": {"sim": {"api_key": KEY}}});
    merge(&mut changes, orders["settings"].clone());
    let client = crate::rig::client(&ledger, orders["url"].as_str().unwrap(), changes).unwrap();
    let budget = Budget::new(&ledger, "child", nanos(1_000_000_000));
    let mut calls = Vec::new();
    for round in orders["rounds"].as_array().unwrap() {
        let round = 0..round.as_u64().unwrap();
        calls.extend(join_all(round.map(|_| call(&client, &budget, orders["stream"] == true))).await);
    }
    let snapshot = budget.snapshot();
    let report = json!({"calls": calls, "settled": snapshot.settled.nanos(), "held": snapshot.held.nanos()});
    println!("{SAYS}{report}");
}

async fn call(client: &Client, budget: &Budget, stream: bool) -> Value {
    let (request, context) = (ask("Hello", 20), within([budget.clone()]));
    let reply = if stream {
        match client.stream(request, context).await {
            Ok(mut stream) => stream.reply().await,
            Err(error) => Err(error),
        }
    } else {
        client.chat(request, context).await
    };
    match reply {
        Ok(reply) => {
            let body: Value = serde_json::from_slice(&reply.body).unwrap();
            json!({"text": body["choices"][0]["message"]["content"]})
        }
        Err(error) => {
            let mut causes = error.to_string();
            let mut next = error.source();
            while let Some(cause) = next {
                causes = format!("{causes} | {cause}");
                next = cause.source();
            }
            json!({"code": error.code().as_str(), "causes": causes})
        }
    }
}
