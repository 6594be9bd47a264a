//! `iron init`: an `iron.toml` to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use crate::failure::Failure;
use crate::terminal::{self, Output};

const NAME: &str = "iron.toml";

/// Write an iron.toml to begin with.
///
/// Every setting stands in a comment, with its meaning and its default. A file that is there is left alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The file, or the directory of an iron.toml [default: the working directory].
    pub(crate) path: Option<PathBuf>,
    /// Overwrite a file that is there.
    #[arg(long)]
    pub(crate) force: bool,
}

pub(crate) fn run(options: Options) -> Result<u8, Failure> {
    let path = options.path.unwrap_or_else(|| NAME.into());
    let path = if path.is_dir() { path.join(NAME) } else { path };
    let mut how = OpenOptions::new();
    if options.force {
        how.write(true).create(true).truncate(true);
    } else {
        how.write(true).create_new(true);
    }
    let shown = path.display();
    let written =
        how.open(&path).and_then(|mut file| file.write_all(iron_runtime::config::template().as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::config(format!("{shown} is there already: add --force to overwrite it"))
        }
        _ => Failure::Error { code: "io", message: format!("cannot write {shown}: {error}") },
    })?;
    Output::new().text(&format!("{shown}\n"))?;
    terminal::note("every setting is in a comment: set what you need, then run `iron check`");
    Ok(0)
}
