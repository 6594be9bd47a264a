//! `iron audit stats`.

use std::collections::BTreeMap;

use iron_protocol::NanoUsd;
use serde_json::json;

use super::Log;
use super::filter::{Filter, Record, each};
use crate::failure::Failure;
use crate::terminal::Output;

/// Sum up the log: calls by how they ended and by agent, what they cost, what was refused, what rules found.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    log: Log,
    #[command(flatten)]
    filter: Filter,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

type Counts = BTreeMap<String, u64>;

#[derive(Default)]
struct Sums {
    calls: u64,
    cost: NanoUsd,
    outcomes: Counts,
    codes: Counts,
    agents: BTreeMap<String, (u64, NanoUsd)>,
    models: BTreeMap<String, (u64, NanoUsd)>,
    entities: Counts,
    rules: Counts,
    unrecorded: u64,
}

pub(super) fn run(options: &Options, audit: &super::Options) -> Result<u8, Failure> {
    let mut records = audit.records(&options.log)?;
    let mut sums = Sums::default();
    each(&mut records, &options.filter, |record| {
        sums.add(&record);
        Ok(())
    })?;
    let shown = if options.json { format!("{}\n", sums.json()) } else { sums.table() };
    Output::new().text(&shown)?;
    Ok(0)
}

impl Sums {
    fn add(&mut self, record: &Record) {
        let text = |field| record.text_of(field).unwrap_or_default();
        match text("kind") {
            "call" => {
                let cost = text("cost_usd").parse().unwrap_or_default();
                self.calls += 1;
                self.cost = self.cost.saturating_add(cost);
                one(&mut self.outcomes, text("outcome"), 1);
                one(&mut self.codes, text("code"), 1);
                let model = if text("upstream").is_empty() { text("model") } else { text("upstream") };
                for (sums, name) in [(&mut self.agents, text("agent")), (&mut self.models, model)] {
                    let (calls, spent) = sums.entry(name.to_owned()).or_default();
                    *calls += 1;
                    *spent = spent.saturating_add(cost);
                }
            }
            "finding" => {
                let count = record.field("count").as_u64().unwrap_or(1);
                one(&mut self.entities, text("entity"), count);
                one(&mut self.rules, &format!("{} ({})", text("rule"), text("action")), count);
            }
            "unrecorded" => self.unrecorded += record.field("calls").as_u64().unwrap_or_default(),
            _ => {}
        }
    }

    fn json(&self) -> serde_json::Value {
        let spent = |sums: &BTreeMap<String, (u64, NanoUsd)>| -> serde_json::Value {
            let sums = sums
                .iter()
                .map(|(name, (calls, cost))| (name.clone(), json!({"calls": calls, "cost_usd": cost})));
            sums.collect::<serde_json::Map<_, _>>().into()
        };
        json!({
            "calls": self.calls,
            "cost_usd": self.cost,
            "unrecorded": self.unrecorded,
            "outcomes": self.outcomes,
            "codes": self.codes,
            "agents": spent(&self.agents),
            "models": spent(&self.models),
            "entities": self.entities,
            "rules": self.rules,
        })
    }

    fn table(&self) -> String {
        let mut lines = vec![format!("{} calls, {} USD", self.calls, self.cost)];
        if self.unrecorded > 0 {
            lines.push(format!("{} calls were not recorded", self.unrecorded));
        }
        for (title, counts) in [
            ("outcome", &self.outcomes),
            ("code", &self.codes),
            ("found", &self.entities),
            ("rule", &self.rules),
        ] {
            let counts = counts.iter().map(|(name, count)| (name, count.to_string(), String::new()));
            part(&mut lines, title, counts.collect());
        }
        for (title, sums) in [("agent", &self.agents), ("model", &self.models)] {
            let sums =
                sums.iter().map(|(name, (calls, cost))| (name, calls.to_string(), format!("{cost} USD")));
            part(&mut lines, title, sums.collect());
        }
        lines.join("\n") + "\n"
    }
}

/// Nothing is said of what has no name.
fn one(counts: &mut Counts, name: &str, count: u64) {
    if !name.is_empty() {
        *counts.entry(name.to_owned()).or_default() += count;
    }
}

fn part(lines: &mut Vec<String>, title: &str, rows: Vec<(&String, String, String)>) {
    if rows.iter().all(|(name, ..)| name.is_empty()) {
        return;
    }
    lines.push(format!("\n{title}"));
    for (name, count, cost) in rows {
        let name = if name.is_empty() { "(none)" } else { name };
        lines.push(format!("  {name:<32} {count:>8}  {cost}").trim_end().to_owned());
    }
}
