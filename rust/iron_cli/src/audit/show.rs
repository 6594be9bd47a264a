//! `iron audit show`.

use std::collections::VecDeque;

use super::Log;
use super::filter::{Filter, Record, each};
use crate::failure::Failure;
use crate::terminal::Output;

/// Show records in order of time, those of all processes together.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    log: Log,
    #[command(flatten)]
    filter: Filter,
    /// The last so many.
    #[arg(long, value_name = "COUNT")]
    tail: Option<usize>,
    /// The records as they stand in the log, one a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, audit: &super::Options) -> Result<u8, Failure> {
    let records = audit.records(&options.log)?;
    let mut output = Output::new();
    let mut show = |record: &Record| {
        let line = if options.json { record.text.clone() } else { line(record) };
        output.text(&format!("{line}\n")).map_err(Failure::from)
    };
    let Some(tail) = options.tail else {
        each(records, &options.filter, |record| show(&record))?;
        return Ok(0);
    };
    let mut last = VecDeque::new();
    each(records, &options.filter, |record| {
        last.push_back(record);
        if last.len() > tail {
            last.pop_front();
        }
        Ok(())
    })?;
    last.iter().try_for_each(show)?;
    Ok(0)
}

/// A record in one line.
fn line(record: &Record) -> String {
    let text = |field| record.text_of(field).unwrap_or_default();
    let at = text("at").get(..19).unwrap_or_default().replace('T', " ");
    let kind = text("kind");
    let told = match kind {
        "call" => call(record),
        "finding" => format!(
            "{} {} in {} by rule {:?}, {} times",
            text("action"),
            text("entity"),
            text("direction"),
            text("rule"),
            record.field("count")
        ),
        "refusal" => refusal(record),
        _ => note(record),
    };
    let of = [text("agent"), text("request_id")].into_iter().filter(|part| !part.is_empty());
    let of: Vec<_> = of.collect();
    format!("{at}  {kind:<8}  {told}  {}", of.join(" ")).trim_end().to_owned()
}

fn call(record: &Record) -> String {
    let text = |field| record.text_of(field).unwrap_or_default();
    let how = [text("outcome"), text("code")].into_iter().filter(|part| !part.is_empty());
    let how: Vec<_> = how.collect();
    let model = if text("upstream").is_empty() { text("model") } else { text("upstream") };
    format!("{}  {} {model}  {} USD", how.join(" "), text("operation"), text("cost_usd"))
}

fn refusal(record: &Record) -> String {
    let text = |field| record.text_of(field).unwrap_or_default();
    match text("code") {
        "budget_exceeded" => format!("budget {:?} cannot pay {} USD", text("budget"), text("estimate_usd")),
        code if text("reason").is_empty() => format!("{code} by rule {:?} {}", text("rule"), text("tool")),
        code => format!("{code}: {}", text("reason")),
    }
}

/// What a log tells of itself.
fn note(record: &Record) -> String {
    let named = ["segment", "pid", "first", "last", "file", "bytes", "calls", "refused"];
    let told = named.iter().filter(|name| !record.field(name).is_null());
    let told: Vec<_> = told.map(|name| format!("{name} {}", record.field(name))).collect();
    format!("{} in chain {}", told.join(", "), record.text_of("chain").unwrap_or_default())
}
