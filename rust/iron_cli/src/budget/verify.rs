//! `iron budget verify`.

use std::path::Path;

use iron_runtime::Error;
use iron_runtime::budget::file::LedgerFile;

use crate::failure::Failure;
use crate::terminal::Output;

/// Check the ledger file: that it is whole, that its accounts add up, and that journals agree with them.
///
/// The exit code is 0 if all is well, 1 if something is wrong; each line then names one thing. Nothing is changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

pub(super) fn run(path: &Path, file: Option<LedgerFile>) -> Result<u8, Failure> {
    let mut output = Output::new();
    let Some(mut file) = file else {
        output.text(&format!("no ledger yet at {}\n", path.display()))?;
        return Ok(0);
    };
    let found = file.verify().map_err(Error::Ledger)?;
    if found.is_empty() {
        output.text(&format!("{} is sound\n", path.display()))?;
        return Ok(0);
    }
    for problem in &found {
        output.text(&format!("{problem}\n"))?;
    }
    Ok(1)
}
