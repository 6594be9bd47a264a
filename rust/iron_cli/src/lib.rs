//! The `iron` command: its parser, and the commands that need no Python.
//!
//! The wheel's `iron` and the native binary both come through [`run`]. The demo's agents are Python coroutines, so
//! its options are handed back to whoever can run them.

mod audit;
mod budget;
mod chat;
mod check;
mod demo;
mod failure;
mod init;
mod interrupt;
mod policy;
mod prices;
mod prompt;
mod router;
mod rules;
mod runtime;
mod schema;
mod simulate;
mod summary;
mod terminal;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

pub use demo::DemoOptions;
use failure::Failure;

/// Govern the LLM calls of agents: budgets, limits, retries.
#[derive(Debug, Parser)]
#[command(name = "iron", bin_name = "iron", version, no_binary_name = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Audit(audit::Options),
    Budget(budget::Options),
    Chat(chat::Options),
    Check(check::Options),
    Demo(DemoOptions),
    Init(init::Options),
    Policy(policy::Options),
    Prices(prices::Options),
    Router(router::Options),
    Schema(schema::Options),
    Simulate(simulate::Options),
}

/// What a command line came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; the process ends with this code.
    Exit(u8),
    /// The demo is asked for, with these options.
    Demo(DemoOptions),
}

/// Carry out a command line, given without the program's name.
///
/// It blocks until the command is done. Streams and signals are the process's own: SIGINT and SIGTERM are handled
/// from the moment that a command waits for something.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Outcome {
    let done = match Cli::try_parse_from(args) {
        Ok(Cli { command: Command::Demo(options) }) => return Outcome::Demo(options),
        Ok(Cli { command: Command::Audit(options) }) => audit::run(&options),
        Ok(Cli { command: Command::Budget(options) }) => budget::run(&options),
        Ok(Cli { command: Command::Chat(options) }) => chat::run(options),
        Ok(Cli { command: Command::Check(options) }) => check::run(options),
        Ok(Cli { command: Command::Init(options) }) => init::run(options),
        Ok(Cli { command: Command::Policy(options) }) => policy::run(options),
        Ok(Cli { command: Command::Prices(options) }) => prices::run(&options),
        Ok(Cli { command: Command::Router(options) }) => router::run(options),
        Ok(Cli { command: Command::Schema(schema::Options {}) }) => schema::run(),
        Ok(Cli { command: Command::Simulate(options) }) => simulate::run(&options),
        Err(wrong) => Err(Failure::Usage(wrong)),
    };
    Outcome::Exit(done.unwrap_or_else(Failure::report))
}

/// As [`run`], where there is no Python to run the demo.
pub fn run_without_python(args: impl IntoIterator<Item = OsString>) -> u8 {
    match run(args) {
        Outcome::Exit(code) => code,
        Outcome::Demo(_) => Failure::config(
            "the demo's agents are Python coroutines, which this binary cannot run: \
             `pip install iron-sdk` brings an `iron` that can",
        )
        .report(),
    }
}

/// A command line that parses and still asks for nothing that can be done.
fn usage(command: &str, message: &str) -> Failure {
    let mut cli = Cli::command();
    let wrong = match cli.find_subcommand_mut(command) {
        Some(found) => found
            .clone()
            .bin_name(format!("iron {command}"))
            .error(ErrorKind::MissingRequiredArgument, message),
        None => cli.error(ErrorKind::MissingRequiredArgument, message),
    };
    Failure::Usage(wrong)
}

#[cfg(test)]
mod tests;
