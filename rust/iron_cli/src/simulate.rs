//! `iron simulate`: a provider on loopback until it is told to stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use iron_simulator::{Millis, Rule, Settings, Simulator, Stats};

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::terminal::{self, Output};
use crate::{rules, runtime};

/// Run a provider on loopback that speaks OpenAI's wire format, until Ctrl-C or SIGTERM.
///
/// The first line of standard output is its base URL. It echoes, unless rules say otherwise.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Seed of everything that is drawn.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Wait before each reply, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    pub(crate) latency_ms: f64,
    /// Rate of generation [default: all at once].
    #[arg(long, value_name = "RATE")]
    pub(crate) tokens_per_second: Option<f64>,
    /// A JSON list of rules: which requests get which reply or fault; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// The key to require; without it any key or none will do.
    #[arg(long, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    let rules =
        options.rules.as_deref().map(|path| rules::read(path).map(|rules| (path, rules))).transpose()?;
    runtime::block_on(serve(options, rules))
}

async fn serve(options: &Options, rules: Option<(&Path, Vec<Rule>)>) -> Result<u8, Failure> {
    let mut interrupt = Interrupt::new()?;
    let simulator = Simulator::start(settings(options)).await?;
    if let Some((path, rules)) = rules {
        // Apart from the settings, so that what is wrong is known to stand in the file.
        let wrong = |error| Failure::config(format!("{}: {error}", path.display()));
        simulator.set_rules(rules).map_err(wrong)?;
    }
    Output::new().text(&format!("{}\n", simulator.url()))?;
    terminal::note("simulating OpenAI on loopback; Ctrl-C stops it");
    interrupt.caught().await;
    for line in lines(&simulator.stats()) {
        terminal::note(&line);
    }
    simulator.shutdown().await;
    Ok(0)
}

fn settings(options: &Options) -> Settings {
    Settings {
        seed: options.seed,
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)),
        api_key: options.api_key.clone(),
        latency_ms: Millis::from(options.latency_ms),
        tokens_per_second: options.tokens_per_second,
        ..Settings::default()
    }
}

/// What the simulator did, for people.
fn lines(stats: &Stats) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} requests on {} connections, at most {} at once; {} served",
            stats.requests, stats.connections_opened, stats.max_in_progress, stats.served
        ),
        format!(
            "{} chat calls, {} of them streamed, {} cut; {} embedding calls",
            stats.chat_calls, stats.stream_calls, stats.streams_cut, stats.embedding_calls
        ),
        format!(
            "{} input tokens, {} of them cached; {} output tokens, {} of them reasoning",
            stats.input_tokens, stats.cached_tokens, stats.output_tokens, stats.reasoning_tokens
        ),
    ];
    if !stats.faults.is_empty() {
        let faults = stats.faults.iter().map(|(kind, count)| format!("{count} {kind}"));
        lines.push(format!("faults: {}", faults.collect::<Vec<_>>().join(", ")));
    }
    lines
}
