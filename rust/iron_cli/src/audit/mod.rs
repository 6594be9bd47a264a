//! `iron audit`: what the audit log says, and whether it is as it was written.

mod filter;
mod show;
mod stats;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use iron_runtime::audit::{AuditFault, Key, Records};
use iron_runtime::config::{Config, Sources};

use crate::failure::Failure;

/// Check, read and sum up the audit log.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
    /// The configuration to take `audit.directory` and `audit.key_env` from [default: the nearest iron.toml, else
    /// pyproject.toml].
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::Options),
    Show(show::Options),
    Stats(stats::Options),
}

/// Which log.
#[derive(Debug, clap::Args)]
struct Log {
    /// The directory of the log, or one of its files [default: `audit.directory` of the configuration].
    path: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    match &options.command {
        Command::Verify(verify) => verify::run(verify, options),
        Command::Show(show) => show::run(show, options),
        Command::Stats(stats) => stats::run(stats, options),
    }
}

impl Options {
    /// What the log holds.
    fn records(&self, log: &Log) -> Result<Records, Failure> {
        let (path, _) = self.find(log)?;
        Records::open(&path).map_err(|fault| unreadable(&fault))
    }

    /// The log's place, and the key of its seal.
    fn find(&self, log: &Log) -> Result<(PathBuf, Option<Key>), Failure> {
        let sources = Sources {
            file: self.config.clone(),
            discover: self.config.is_none(),
            environment: true,
            ..Sources::default()
        };
        let config = Config::load(&sources);
        if let Some(path) = &log.path {
            // A log may lie where its configuration does not.
            let key = match (config, &self.config) {
                (Ok(config), _) => config.audit_key().cloned(),
                (Err(error), Some(_)) => return Err(error.into()),
                (Err(_), None) => None,
            };
            return Ok((path.clone(), key));
        }
        let config = config?;
        let none = || Failure::config("the configuration has no audit.directory: name the log");
        Ok((config.audit_directory().ok_or_else(none)?.to_owned(), config.audit_key().cloned()))
    }
}

fn unreadable(fault: &AuditFault) -> Failure {
    Failure::Error { code: "audit", message: fault.to_string() }
}

#[cfg(test)]
mod tests;
