//! `iron budget prune`.

use std::path::Path;

use iron_runtime::Error;
use iron_runtime::budget::Calendar;
use iron_runtime::budget::file::LedgerFile;

use crate::failure::Failure;
use crate::terminal::Output;

/// Forget old windows, with their attempts in doubt and their losses, and give their room back to the disk.
///
/// All but the newest 400 windows of a budget are forgotten by themselves. A window that is not over, or of which a lease
/// is open, is kept.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many windows of each budget to keep, the newest.
    #[arg(long, value_name = "WINDOWS")]
    keep: u32,
}

pub(super) fn run(options: &Options, path: &Path, file: Option<LedgerFile>) -> Result<u8, Failure> {
    let Some(mut file) = file else {
        return Err(Failure::config(format!("no ledger yet at {}", path.display())));
    };
    let pruned = file.prune(options.keep, &Calendar::default()).map_err(Error::Ledger)?;
    Output::new().text(&format!(
        "windows forgotten: {}, with {} attempts in doubt and losses\n",
        pruned.windows, pruned.attempts
    ))?;
    Ok(0)
}
