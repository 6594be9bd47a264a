//! `iron chat`: one prompt, its reply as it comes, and what it cost.

use std::path::PathBuf;
use std::time::Duration;

use iron_protocol::NanoUsd;
use iron_runtime::budget::{Budget, Ledger};
use iron_runtime::config::{Config, Sources};
use iron_runtime::{CallContext, ChatRequest, Client, Message, Reply, Role};
use iron_simulator::{Millis, Settings, Simulator};

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::summary::{Summary, dollars};
use crate::terminal::{self, Output};
use crate::{prompt, runtime};

/// Small, current and cheap: what somebody who names no model would want to pay for.
pub(crate) const DEFAULT_MODEL: &str = "openai/gpt-6-luna";

/// Fast enough to wait for, slow enough to see a stream.
const SIMULATED_LATENCY_MS: f64 = 40.0;
const SIMULATED_TOKENS_PER_SECOND: f64 = 200.0;

/// How long the end of a command is held up by a ledger file that is busy.
const LONGEST_RETURN: Duration = Duration::from_secs(1);

/// Ask a model: the reply goes to standard output as it comes, what it cost to standard error.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to ask; `-`, or nothing and a pipe, reads it from standard input.
    pub(crate) prompt: Option<String>,
    /// `provider/model`, or an alias from the configuration [default: the configured one, else openai/gpt-6-luna].
    #[arg(short, long)]
    pub(crate) model: Option<String>,
    /// Instructions that stand before the prompt.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// The most output tokens, reasoning included.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: Option<u32>,
    /// The most that the call may cost, in US dollars.
    #[arg(long, value_name = "USD", value_parser = amount)]
    pub(crate) budget: Option<NanoUsd>,
    /// The configuration [default: `IRON_CONFIG`, else the nearest iron.toml or pyproject.toml].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The profile of the configuration [default: `IRON_PROFILE`].
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Wait for the whole reply.
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Print one JSON object: text, usage, cost, and the provider's own body. Implies --no-stream.
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask a simulator on loopback, which echoes. Reads no configuration; needs no key and no network.
    #[arg(long, conflicts_with_all = ["config", "profile"])]
    pub(crate) simulate: bool,
}

pub(crate) fn run(mut options: Options) -> Result<u8, Failure> {
    let prompt = prompt::read("chat", "prompt", options.prompt.take())?;
    let ledger = Ledger::new();
    let done = runtime::block_on(ask(options, prompt, ledger.clone()));
    // Others have what it leaves in a ledger file at once, not only once they find that it has ended.
    ledger.return_leases(LONGEST_RETURN);
    done
}

async fn ask(options: Options, prompt: String, ledger: Ledger) -> Result<u8, Failure> {
    let mut interrupt = Interrupt::new()?;
    // Held to the end: dropping it stops it.
    let simulator = if options.simulate { Some(simulator().await?) } else { None };
    let config = Config::load(&sources(&options, simulator.as_ref()))?;
    let model = options.model.clone().or_else(|| config.default_model().map(str::to_owned));
    let model = model.unwrap_or_else(|| DEFAULT_MODEL.to_owned());
    if let Some(missing) = config.missing_key(&model)? {
        return Err(Failure::config(format!(
            "{missing}; or add --simulate: a simulator on loopback answers without key or network"
        )));
    }

    // Without a cap too, to tell what a cancelled call has cost.
    let budget = Budget::new(&ledger, "--budget", options.budget.unwrap_or(NanoUsd::MAX));
    let client = Client::new(config, &ledger)?;
    let context = CallContext { budgets: vec![budget.clone()], ..CallContext::new() };
    let mut output = Output::new();
    let streamed = !(options.no_stream || options.json);
    let reply = tokio::select! {
        biased;
        code = interrupt.caught() => Err(Failure::Interrupted(code)),
        reply = Box::pin(converse(&client, request(&options, model, prompt), context, streamed, &mut output)) => reply,
    };
    match reply {
        Ok(reply) => show(&Summary::new(&reply), &options, streamed, &mut output)?,
        Err(failure) => {
            // A reply that broke off ends its line, if there is still somebody to read it.
            drop(output.end_line());
            if let Failure::Interrupted(_) = failure {
                terminal::note(&format!("cancelled: {} settled", dollars(budget.snapshot().spent())));
            }
            return Err(failure);
        }
    }
    Ok(0)
}

async fn converse(
    client: &Client,
    request: ChatRequest,
    context: CallContext,
    streamed: bool,
    output: &mut Output,
) -> Result<Reply, Failure> {
    if !streamed {
        return Ok(client.chat(request, context).await?);
    }
    let mut stream = client.stream(request, context).await?;
    while let Some(batch) = stream.next_batch().await {
        let text: String = batch?.iter().filter(|chunk| chunk.index == 0).map(|chunk| &*chunk.text).collect();
        output.text(&text)?;
    }
    Ok(stream.reply().await?)
}

fn show(
    summary: &Summary<'_>,
    options: &Options,
    streamed: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    if options.json {
        return Ok(output.text(&format!("{}\n", summary.json()))?);
    }
    if !streamed {
        output.text(summary.text())?;
    }
    // A refusal is no part of a stream's text.
    output.text(summary.refusal())?;
    output.end_line()?;
    for warning in summary.warnings() {
        terminal::warning(&warning);
    }
    terminal::note(&summary.line());
    Ok(())
}

fn request(options: &Options, model: String, prompt: String) -> ChatRequest {
    let system =
        options.system.as_ref().map(|text| Message { role: Role::System, ..Message::user(text.as_str()) });
    let messages = system.into_iter().chain([Message::user(prompt)]).collect();
    ChatRequest { max_tokens: options.max_tokens, ..ChatRequest::new(model, messages) }
}

fn sources(options: &Options, simulator: Option<&Simulator>) -> Sources {
    match simulator {
        // Nothing else is read, so that no route leads off this machine and no real key is used.
        Some(simulator) => Sources {
            overrides: Some(
                serde_json::json!({"providers": {"openai": {"base_url": simulator.url(), "api_key": "simulated"}}})
                    .to_string(),
            ),
            ..Sources::default()
        },
        None => Sources {
            file: options.config.clone(),
            profile: options.profile.clone(),
            discover: true,
            environment: true,
            ..Sources::default()
        },
    }
}

async fn simulator() -> Result<Simulator, Failure> {
    let settings = Settings {
        latency_ms: Millis::from(SIMULATED_LATENCY_MS),
        tokens_per_second: Some(SIMULATED_TOKENS_PER_SECOND),
        ..Settings::default()
    };
    Ok(Simulator::start(settings).await?)
}

/// A limit in US dollars, as options give it.
pub(crate) fn amount(text: &str) -> Result<NanoUsd, String> {
    match text.parse::<NanoUsd>() {
        Ok(amount) if amount < NanoUsd::ZERO => Err("a limit is zero or more US dollars".to_owned()),
        Ok(amount) => Ok(amount),
        Err(error) => Err(error.to_string()),
    }
}
