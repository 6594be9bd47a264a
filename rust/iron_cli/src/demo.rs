//! The options of `iron demo`, which Python runs.

use iron_protocol::NanoUsd;

use crate::chat::amount;

/// Run a swarm of agents against simulated providers, on a budget that cannot pay for them all.
///
/// Nothing leaves this machine and no key is needed. The exit code is 1 if more was spent than the budget allows.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct DemoOptions {
    /// Agents that run at once.
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub agents: u32,
    /// What they may spend together, in US dollars [default: about two thirds of what they ask for].
    #[arg(long, value_name = "USD", value_parser = amount)]
    pub budget: Option<NanoUsd>,
    /// Seed of everything that is drawn.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
    /// Show no progress, only the summary.
    #[arg(long)]
    pub no_progress: bool,
}
