//! `iron prices import`: prices from a LiteLLM table, as `[prices]`.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::litellm::{self, Imported, quoted};
use crate::failure::Failure;
use crate::terminal::{self, Output};

/// Names shown of those that were skipped for one reason.
const SHOWN: usize = 3;

/// Turn a table of prices in LiteLLM's form into [prices] for iron.toml.
///
/// What is skipped is told on standard error, with the reason.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A JSON file such as `model_prices_and_context_window.json`; `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write to this file, which must not exist, and not to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only models of this provider.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<u8, Failure> {
    let (name, text) = crate::rules::text(&options.file, "prices")?;
    let mut imported = litellm::read(&text).map_err(|error| Failure::json(&name, &error))?;
    if let Some(provider) = &options.provider {
        imported.models.retain(|model, _| model.split('/').next() == Some(provider));
    }
    if imported.models.is_empty() {
        tell(&imported);
        return Err(Failure::config(format!("{name} has no price that could be taken")));
    }
    let toml = toml(&imported);
    match &options.output {
        Some(file) => write(file, &toml)?,
        None => Output::new().text(&toml)?,
    }
    tell(&imported);
    Ok(0)
}

fn write(file: &std::path::Path, toml: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let shown = file.display();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::config(format!("{shown} exists: name a file that does not"))
        }
        _ => Failure::config(format!("cannot write {shown}: {error}")),
    };
    let mut created = std::fs::File::create_new(file).map_err(failed)?;
    created.write_all(toml.as_bytes()).map_err(failed)
}

fn toml(imported: &Imported) -> String {
    let mut toml = String::new();
    for (nth, (name, table)) in imported.models.iter().enumerate() {
        let gap = if nth == 0 { "" } else { "\n" };
        // Writing to a text cannot fail.
        let _ = write!(toml, "{gap}[prices.{}]\n{table}", quoted(name));
    }
    toml
}

fn tell(imported: &Imported) {
    for (reason, names) in &imported.skipped {
        let more = if names.len() > SHOWN { ", ..." } else { "" };
        let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        terminal::warning(&format!("skipped {} ({shown}{more}): {reason}", names.len()));
    }
    terminal::note(&format!("{} models have prices", imported.models.len()));
}

#[cfg(test)]
mod tests {
    use iron_runtime::config::{Config, Sources};

    use super::*;

    #[test]
    fn what_is_written_is_a_configuration() {
        let text = r#"{"gemini/gemini-x": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 3e-07,
            "output_cost_per_token": 2.5e-06, "output_cost_per_reasoning_token": 2.5e-06,
            "input_cost_per_audio_token": 1e-06, "max_input_tokens": 1048576},
            "weird\"\u0001name": {"litellm_provider": "acme", "input_cost_per_token": 1e-6,
            "input_cost_per_token_above_200k_tokens": 2e-6, "output_cost_per_token_flex": 1e-7}}"#;
        let toml = toml(&litellm::read(text).unwrap());
        let file = std::env::temp_dir().join(format!("iron-import-{}.toml", std::process::id()));
        write(&file, &toml).unwrap();
        let config = Config::load(&Sources { file: Some(file.clone()), ..Sources::default() });
        assert!(matches!(write(&file, &toml), Err(Failure::Error { code: "config", .. })));
        std::fs::remove_file(&file).unwrap();
        let catalog = config.unwrap().prices().clone();
        let gemini = catalog.named("google/gemini-x").unwrap();
        assert!(gemini.configured);
        let rates = &gemini.price.standard;
        let input = rates[iron_runtime::pricing::Kind::AudioInput].amount();
        assert_eq!(input, "1.00".parse().unwrap());
        assert_eq!(catalog.named("acme/weird\"\u{1}name").unwrap().price.long_context.len(), 1);
    }
}
