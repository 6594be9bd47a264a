//! `iron schema`: the JSON Schema of `iron.toml`, for editors.

use crate::failure::Failure;
use crate::terminal::Output;

/// Print the JSON Schema of iron.toml.
///
/// Editors complete and check the file with it: its first line names the schema, as `#:schema ./iron.schema.json`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

pub(crate) fn run() -> Result<u8, Failure> {
    Output::new().text(&format!("{:#}\n", iron_runtime::config::schema().as_value()))?;
    Ok(0)
}
