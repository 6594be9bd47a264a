//! The built-in prices: a file a provider, in the form of `[prices]`.
//!
//! A file stays text until one of its models is asked for, and then that model's table alone is parsed: at first use a
//! thousand models cost what one does.

use memchr::memmem;

use crate::Error;
use crate::config::{PriceSettings, Prices};

macro_rules! files {
    ($($provider:literal),* $(,)?) => {
        &[$(($provider, include_str!(concat!("catalog/", $provider, ".toml")))),*]
    };
}

/// Providers by name, each with its file.
const FILES: &[(&str, &str)] = files![
    "anthropic",
    "azure",
    "baseten",
    "bedrock",
    "cerebras",
    "cohere",
    "dashscope",
    "deepseek",
    "fireworks",
    "google",
    "groq",
    "mistral",
    "moonshot",
    "nebius",
    "novita",
    "openai",
    "openrouter",
    "perplexity",
    "sambanova",
    "together",
    "xai",
    "zai",
];

/// How a model's table begins: `["name"]` at the start of a line.
const TABLE: &str = "\n[\"";

/// One model: its table's name, and its settings.
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    pub(super) settings: PriceSettings,
}

/// The model of that name or alias.
pub(super) fn find(provider: &str, model: &str) -> Result<Option<BuiltIn>, Error> {
    let Some((_, text)) = FILES.iter().find(|(name, _)| *name == provider) else { return Ok(None) };
    let quoted = format!("\"{model}\"");
    // Aliases are not all that stands in quotes, so what is found is checked.
    let may_be = |table: &&str| {
        name_of(table) == Some(model) || memmem::find(table.as_bytes(), quoted.as_bytes()).is_some()
    };
    for table in tables(text).filter(may_be) {
        let found = parse(provider, table)?;
        if found.name == model || found.settings.aliases.iter().any(|alias| alias == model) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Every model with its provider.
pub(super) fn all() -> impl Iterator<Item = Result<(&'static str, BuiltIn), Error>> {
    FILES
        .iter()
        .flat_map(|(provider, text)| tables(text).map(|table| Ok((*provider, parse(provider, table)?))))
}

/// Every name and alias, `provider/model`, without parsing what stands below it.
pub(super) fn names() -> impl Iterator<Item = String> {
    FILES.iter().flat_map(|(provider, text)| {
        let named = tables(text).flat_map(|table| {
            let aliases = table.lines().find_map(|line| line.strip_prefix("aliases = ["));
            name_of(table).into_iter().chain(aliases.unwrap_or_default().split('"').skip(1).step_by(2))
        });
        named.map(move |name| format!("{provider}/{name}"))
    })
}

/// The text of each model's table, from its name on.
fn tables(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(TABLE).skip(1)
}

fn name_of(table: &str) -> Option<&str> {
    table.split_once('"').map(|(name, _)| name)
}

fn parse(provider: &str, table: &'static str) -> Result<BuiltIn, Error> {
    let wrong = |why: &str| Error::Internal {
        message: format!(
            "the built-in prices of {provider:?}, {:?}: {why}",
            name_of(table).unwrap_or_default()
        ),
    };
    let name = name_of(table).ok_or_else(|| wrong("a table has no name"))?;
    let prices: Prices = toml::from_str(&format!("[\"{table}")).map_err(|error| wrong(error.message()))?;
    let settings = prices.into_values().next().ok_or_else(|| wrong("a table is empty"))?;
    Ok(BuiltIn { name, settings })
}
