//! `iron prices`: what models cost, and prices from elsewhere.

mod compare;
mod import;
mod list;
mod litellm;
mod table;

use clap::Subcommand;

use crate::failure::Failure;

/// List what models cost.
///
/// Prices are US dollars per million tokens: the built-in ones, and above them those of the configuration.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: list::Filter,
}

#[derive(Debug, Subcommand)]
enum Command {
    Search(list::Search),
    Compare(compare::Options),
    Import(import::Options),
}

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    match &options.command {
        None => list::run(&options.list, &[]),
        Some(Command::Search(search)) => list::run(&search.list, &search.words),
        Some(Command::Compare(options)) => compare::run(options),
        Some(Command::Import(options)) => import::run(options),
    }
}
