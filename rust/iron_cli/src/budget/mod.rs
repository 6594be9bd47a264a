//! `iron budget`: what the ledger file of this machine says, whether it can be so, and what is left by the dead.

mod prune;
mod release;
mod show;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use iron_protocol::NanoUsd;
use iron_runtime::Error;
use iron_runtime::budget::file::LedgerFile;
use iron_runtime::config::{Config, Sources};

use crate::failure::Failure;

/// Show, check and repair the budgets that processes of this machine share.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
    /// The ledger file [default: that of the configuration, else iron/ledger.db in the user's state directory].
    #[arg(long, value_name = "FILE", global = true)]
    ledger: Option<PathBuf>,
    /// The configuration to take `budget.ledger` from [default: the nearest iron.toml, else pyproject.toml].
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "ledger")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Options),
    Verify(verify::Options),
    Release(release::Options),
    Prune(prune::Options),
}

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    let path = ledger(options)?;
    let file = LedgerFile::open_existing(&path).map_err(Error::Ledger)?;
    match &options.command {
        Command::Show(options) => show::run(options, &path, file),
        Command::Verify(_) => verify::run(&path, file),
        Command::Release(options) => release::run(options, &path, file),
        Command::Prune(options) => prune::run(options, &path, file),
    }
}

fn ledger(options: &Options) -> Result<PathBuf, Failure> {
    if let Some(path) = &options.ledger {
        return Ok(path.clone());
    }
    let sources = Sources {
        file: options.config.clone(),
        discover: options.config.is_none(),
        environment: true,
        ..Sources::default()
    };
    let config = Config::load(&sources)?;
    let unknown =
        || Failure::config("neither XDG_STATE_HOME nor HOME says where the ledger is: give --ledger FILE");
    config.ledger().map(PathBuf::from).ok_or_else(unknown)
}

/// An amount as tables show it: to the micro-dollar, rounded up, as costs are.
fn dollars(nanos: i64) -> String {
    let micros = nanos.saturating_add(999).div_euclid(1_000);
    format!("{}.{:06}", micros / 1_000_000, micros.unsigned_abs() % 1_000_000)
}

fn usd(nanos: i64) -> NanoUsd {
    NanoUsd::from_nanos(nanos)
}

#[cfg(test)]
mod tests;
