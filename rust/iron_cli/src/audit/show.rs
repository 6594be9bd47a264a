//! `iron audit show`.

use std::collections::VecDeque;
use std::time::Duration;

use iron_runtime::audit::Records;

use super::Log;
use super::filter::{Filter, Record, each};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::runtime;
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
    /// Go on with what is written from now on, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    /// The records as they stand in the log, one a line.
    #[arg(long)]
    json: bool,
}

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn run(options: &Options, audit: &super::Options) -> Result<u8, Failure> {
    let mut records = audit.records(&options.log)?;
    if options.follow {
        return runtime::block_on(follow(options, &mut records));
    }
    options.show(&mut records, options.tail)?;
    Ok(0)
}

/// Show what there is, and then what comes: the code that a shell shows for a program that was interrupted.
async fn follow(options: &Options, records: &mut Records) -> Result<u8, Failure> {
    let mut interrupt = Interrupt::new()?;
    options.show(records, options.tail)?;
    loop {
        tokio::select! {
            code = interrupt.caught() => return Ok(code),
            () = tokio::time::sleep(LOOK) => {}
        }
        records.resume().map_err(|fault| super::unreadable(&fault))?;
        options.show(records, None)?;
    }
}

impl Options {
    /// Show the records that there are, or the last so many of them.
    fn show(&self, records: &mut Records, tail: Option<usize>) -> Result<(), Failure> {
        let mut output = Output::new();
        let mut show = |record: &Record| {
            let line = if self.json { record.text.clone() } else { line(record) };
            output.text(&format!("{line}\n")).map_err(Failure::from)
        };
        let Some(tail) = tail else { return each(records, &self.filter, |record| show(&record)) };
        let mut last = VecDeque::new();
        each(records, &self.filter, |record| {
            last.push_back(record);
            if last.len() > tail {
                last.pop_front();
            }
            Ok(())
        })?;
        last.iter().try_for_each(show)
    }
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
