//! `iron audit verify`.

use iron_runtime::audit::{Digest, Verified, verify};

use super::{Log, unreadable};
use crate::failure::Failure;
use crate::terminal::{self, Output};

/// Check that the log is as it was written: no record altered, missing, moved, copied or inserted, and no end cut off.
///
/// Each problem is a line that names the file, the line in it, and the record. The exit code is 0 if all is well, 3 if
/// something is wrong, and 1 if the log cannot be read. Nothing is changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    log: Log,
    /// The hash of a record that has to be there, such as the head that an earlier verification printed.
    #[arg(long, value_name = "HASH")]
    head: Vec<Digest>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// Something is wrong with the log.
const WRONG: u8 = 3;

pub(super) fn run(options: &Options, audit: &super::Options) -> Result<u8, Failure> {
    let (path, key) = audit.find(&options.log)?;
    let verified = verify(&path, key.as_ref(), &options.head).map_err(|fault| unreadable(&fault))?;
    let mut output = Output::new();
    if options.json {
        let json = serde_json::to_string(&verified)
            .map_err(|error| Failure::Error { code: "internal", message: error.to_string() })?;
        output.text(&format!("{json}\n"))?;
    } else {
        output.text(&report(&verified))?;
        for note in &verified.notes {
            terminal::note(note);
        }
    }
    Ok(if verified.problem_count == 0 { 0 } else { WRONG })
}

fn report(verified: &Verified) -> String {
    let mut lines: Vec<String> = verified.problems.iter().map(ToString::to_string).collect();
    let untold = verified.problem_count - verified.problems.len() as u64;
    if untold > 0 {
        lines.push(format!("and {untold} more"));
    }
    for chain in &verified.chains {
        let sealed = if chain.sealed { ", sealed" } else { "" };
        lines.push(format!(
            "chain {}: {} records in {} files{sealed}, head {}",
            chain.chain, chain.records, chain.files, chain.head
        ));
    }
    lines.push(match verified.problem_count {
        0 => "sound".to_owned(),
        1 => "1 problem".to_owned(),
        many => format!("{many} problems"),
    });
    lines.join("\n") + "\n"
}
