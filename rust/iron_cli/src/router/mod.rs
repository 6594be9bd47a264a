//! `iron router`: the governed call for programs that speak to a provider by HTTP.

mod token;

use std::path::PathBuf;
use std::time::Duration;

use iron_protocol::NanoUsd;
use iron_router::Router;
use iron_runtime::Client;
use iron_runtime::budget::Ledger;
use iron_runtime::config::{Config, Sources};
use iron_simulator::{Settings, Simulator};

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::runtime;
use crate::terminal::{self, Output};

/// How long the end of the command is held up by a ledger file that is busy.
const LONGEST_RETURN: Duration = Duration::from_secs(1);

/// Serve OpenAI's wire format on this machine, and govern every call, until Ctrl-C or SIGTERM.
///
/// The first line of standard output is the base URL for clients. Where it listens, who may ask, and everything else is
/// the configuration's.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration [default: `IRON_CONFIG`, else the nearest iron.toml or pyproject.toml].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The profile of the configuration [default: `IRON_PROFILE`].
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Where to listen, instead of `router.listen`; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// What all calls together may cost, in US dollars, instead of `budget.limit_usd`.
    #[arg(long, value_name = "USD")]
    budget: Option<NanoUsd>,
    /// Ask a simulator on loopback, which echoes: needs no key and no network.
    #[arg(long)]
    simulate: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Token(token::Options),
}

pub(crate) fn run(options: Options) -> Result<u8, Failure> {
    if let Some(Command::Token(options)) = options.command {
        return token::run(&options);
    }
    let ledger = Ledger::new();
    let done = runtime::block_on(serve(options, ledger.clone()));
    // Others have what it leaves in a ledger file at once, not only once they find that it has ended.
    ledger.return_leases(LONGEST_RETURN);
    done
}

async fn serve(options: Options, ledger: Ledger) -> Result<u8, Failure> {
    let mut interrupt = Interrupt::new()?;
    // Held to the end: dropping it stops it.
    let simulator = if options.simulate { Some(Simulator::start(Settings::default()).await?) } else { None };
    let config = Config::load(&sources(options, simulator.as_ref()))?;
    let settings = config.router().clone();
    let router = Router::start(&settings, Client::new(config, &ledger)?, &ledger).await?;
    Output::new().text(&format!("{}\n", router.url()))?;
    let who = match settings.tokens.len() {
        0 => "for every program of this machine".to_owned(),
        1 => "for one token".to_owned(),
        count => format!("for {count} tokens"),
    };
    terminal::note(&format!("governing calls on {}, {who}; Ctrl-C stops it", router.address()));
    interrupt.caught().await;
    terminal::note("stopping: requests under way go on to their end; Ctrl-C again cuts them");
    tokio::select! {
        ended = router.shutdown() => {
            if !ended {
                terminal::warning("some requests had not ended after router.drain_ms, and were cut");
            }
            Ok(0)
        }
        code = interrupt.caught() => Err(Failure::Interrupted(code)),
    }
}

fn sources(options: Options, simulator: Option<&Simulator>) -> Sources {
    let simulated = simulator.map(|simulator| {
        serde_json::json!({"providers": {"openai": {"base_url": simulator.url(), "api_key": "simulated"}}})
            .to_string()
    });
    let listen = options.listen.map(|listen| serde_json::json!({"router": {"listen": listen}}));
    let budget = options.budget.map(|limit| serde_json::json!({"budget": {"limit_usd": limit}}));
    let arguments = [("--listen", listen), ("--budget", budget)];
    let arguments =
        arguments.into_iter().filter_map(|(name, json)| Some((name.to_owned(), json?.to_string())));
    Sources {
        file: options.config,
        discover: true,
        environment: true,
        profile: options.profile,
        overrides: simulated,
        arguments: arguments.collect(),
    }
}
