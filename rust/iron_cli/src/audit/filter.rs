//! Which records are meant.

use std::time::Duration;

use iron_runtime::audit::{Line, time};
use iron_runtime::calendar_now;
use serde_json::Value;

use crate::failure::Failure;

/// Which records are meant; all of them, where nothing is said.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Records since then: `2026-11-24`, `2026-11-24T16:00` in UTC, or so long ago: `90m`, `24h`, `7d`.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<String>,
    /// Records of calls of this agent.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Records with this error code, such as `budget_exceeded`.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Records of this call.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// A record that is read.
#[derive(Debug)]
pub(super) struct Record {
    /// Its bytes.
    pub(super) text: String,
    fields: Value,
}

impl Record {
    /// A field of it that is a text.
    pub(super) fn text_of(&self, field: &str) -> Option<&str> {
        self.fields[field].as_str()
    }

    /// A field of it.
    pub(super) fn field(&self, field: &str) -> &Value {
        &self.fields[field]
    }
}

impl Filter {
    /// The record of a line, if it is meant.
    pub(super) fn take(&self, line: Line) -> Option<Record> {
        if self.since.as_ref().is_some_and(|since| line.envelope.at < *since) {
            return None;
        }
        let text = String::from_utf8(line.text).ok()?;
        let record = Record { fields: serde_json::from_str(&text).ok()?, text };
        let wanted = [("agent", &self.agent), ("code", &self.code), ("request_id", &self.request_id)];
        wanted
            .iter()
            .all(|(field, wanted)| wanted.is_none() || record.text_of(field) == wanted.as_deref())
            .then_some(record)
    }
}

/// Records of a log that are meant, in order of time.
pub(super) fn each(
    records: &mut iron_runtime::audit::Records,
    filter: &Filter,
    mut meant: impl FnMut(Record) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for line in records {
        if let Some(record) = filter.take(line.map_err(|fault| super::unreadable(&fault))?) {
            meant(record)?;
        }
    }
    Ok(())
}

/// A time as records have it, or the beginning of one.
pub(super) fn since(text: &str) -> Result<String, String> {
    let seconds = [("m", 60), ("h", 3_600), ("d", 86_400)]
        .into_iter()
        .find_map(|(unit, seconds)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(seconds));
    if let Some(seconds) = seconds {
        let long_ago = calendar_now().checked_sub(Duration::from_secs(seconds));
        return Ok(time(long_ago.unwrap_or(std::time::SystemTime::UNIX_EPOCH)));
    }
    // What is left out of a time is its beginning: as text it stands before.
    let form = b"dddd-dd-ddTdd:dd:dd.dddddd";
    let given = text.trim_end_matches('Z').as_bytes();
    let fits = given.iter().zip(form).all(|(given, form)| match form {
        b'd' => given.is_ascii_digit(),
        form => given == form,
    });
    if fits && (10..=form.len()).contains(&given.len()) {
        return Ok(text.trim_end_matches('Z').to_owned());
    }
    Err("give a day (2026-11-24), a time in UTC (2026-11-24T16:00) or how long ago (90m, 24h, 7d)".to_owned())
}
