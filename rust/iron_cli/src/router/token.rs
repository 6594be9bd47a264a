//! `iron router token`: a new token, and what the configuration keeps of it.

use iron_runtime::config::new_token;

use crate::failure::Failure;
use crate::terminal::{self, Output};

/// Make a token.
///
/// Standard output has the token, which is shown this once, and the lines for iron.toml, which hold its SHA-256 alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What the token is called, in messages and as the name of its budget.
    #[arg(value_name = "NAME")]
    name: String,
}

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    let (token, digest) = new_token();
    let name = serde_json::Value::from(options.name.as_str());
    let mut output = Output::new();
    output.text(&format!("{token}\n\n[[router.tokens]]\nname = {name}\nsha256 = \"{digest}\"\n"))?;
    terminal::note(
        "the first line is the token: give it to clients as their API key, and keep it nowhere else",
    );
    Ok(0)
}
