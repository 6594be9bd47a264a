//! The file that settings are read from.

use std::path::{Path, PathBuf};

use super::parse;
use super::tree::Node;
use crate::Error;

const OURS: &str = "iron.toml";
const PYPROJECT: &str = "pyproject.toml";

/// A file that was found, and what stands in it.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) tree: Node,
}

/// Read a file that was named.
///
/// # Errors
/// It cannot be read, is not TOML, or is a `pyproject.toml` without `[tool.iron]`.
pub(super) fn named(path: PathBuf) -> Result<Found, Error> {
    let text = text(&path)?;
    let tree = if path.file_name().is_some_and(|name| name == PYPROJECT) {
        let missing = || Error::config(format!("{} has no [tool.iron] table", path.display()));
        table_of_pyproject(&path, &text)?.ok_or_else(missing)?
    } else {
        parse::toml(&path, &text)?
    };
    Ok(Found { path, tree })
}

/// Look for `iron.toml`, then for `[tool.iron]` in `pyproject.toml`: in the working directory, and, inside a repository,
/// in each directory above it up to the repository's root. The nearest is the only one that is read.
///
/// # Errors
/// As [`named`].
pub(super) fn nearest() -> Result<Option<Found>, Error> {
    for directory in directories() {
        let ours = directory.join(OURS);
        if ours.is_file() {
            return named(ours).map(Some);
        }
        let path = directory.join(PYPROJECT);
        if path.is_file() {
            let text = text(&path)?;
            // Most are not for us, and need not be parsed to see that.
            if text.contains("iron")
                && let Some(tree) = table_of_pyproject(&path, &text)?
            {
                return Ok(Some(Found { path, tree }));
            }
        }
    }
    Ok(None)
}

/// The working directory and those above it, the repository's root last; outside of a repository the working directory
/// alone, since the directories above may belong to anybody.
fn directories() -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let depth = here.ancestors().position(|directory| directory.join(".git").exists()).unwrap_or(0);
    (0..=depth).map(|up| PathBuf::from("../".repeat(up))).collect()
}

fn text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::config(format!("cannot read the configuration file {}: {error}", path.display()))
    })
}

fn table_of_pyproject(path: &Path, text: &str) -> Result<Option<Node>, Error> {
    let mut tree = parse::toml(path, text)?;
    Ok(tree.take("tool").and_then(|mut tool| tool.take("iron")))
}
