//! `iron policy`: what a policy finds in a text, and what it does about it.

use std::path::PathBuf;

use clap::ValueEnum;
use iron_runtime::config::{Config, Sources};
use iron_runtime::policy::{Decision, Direction, Judgement, PolicySet};

use crate::failure::Failure;
use crate::prompt;
use crate::terminal::{self, Output};

/// Try out policies.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Test(TestOptions),
}

/// Show what a policy finds in a text, which rule decides, and the text after it.
///
/// The rules are those of the configuration; without any, recommended ones. Exits with 3 if a rule blocks the text.
#[derive(Debug, clap::Args)]
struct TestOptions {
    /// The text; `-`, or nothing and a pipe, reads it from standard input.
    text: Option<String>,
    /// Read the text from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    file: Option<PathBuf>,
    /// Where the text goes.
    #[arg(long, value_enum, default_value_t = To::Input)]
    direction: To,
    /// The configuration [default: iron.toml, else pyproject.toml, in the working directory].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object: findings, decisions, warnings, and the text after them.
    #[arg(long)]
    json: bool,
    /// Tell which rules can never decide.
    #[arg(long)]
    explain: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum To {
    Input,
    Output,
    ToolArguments,
    ToolResults,
}

impl From<To> for Direction {
    fn from(to: To) -> Self {
        match to {
            To::Input => Self::Input,
            To::Output => Self::Output,
            To::ToolArguments => Self::ToolArguments,
            To::ToolResults => Self::ToolResults,
        }
    }
}

/// The code of a text that a rule blocks.
const BLOCKED: u8 = 3;

pub(crate) fn run(options: Options) -> Result<u8, Failure> {
    let Command::Test(options) = options.command;
    let text = match options.file {
        Some(path) => std::fs::read_to_string(&path).map_err(|error| {
            Failure::config(format!("cannot read the text in {}: {error}", path.display()))
        })?,
        None => prompt::read("policy", "text", options.text)?,
    };
    let sources = Sources { file: options.config, discover: true, environment: true, ..Sources::default() };
    let configured = Config::load(&sources)?.policy().cloned();
    let recommended = configured.is_none();
    let policy = configured.map_or_else(PolicySet::recommended, Ok)?;
    let judgement = policy.judge(&text, options.direction.into());
    let warnings = if options.explain { policy.warnings() } else { Vec::new() };
    let mut output = Output::new();
    if options.json {
        output.text(&json(&text, &judgement, &warnings, recommended))?;
        output.end_line()?;
    } else {
        if recommended {
            terminal::note("no [[policy.rules]] are configured: these are the recommended ones");
        }
        for warning in &warnings {
            terminal::note(warning);
        }
        output.text(&shown(&text, &judgement))?;
    }
    Ok(if judgement.blocked().is_some() { BLOCKED } else { 0 })
}

fn shown(text: &str, judgement: &Judgement) -> String {
    let line = |Decision { finding, action, rule }: &Decision| {
        let (line, column) = place(text, finding.span.start);
        let place = format!("{line}:{column}");
        let rule = rule.as_deref().map_or("no rule".to_owned(), |rule| format!("rule {rule:?}"));
        format!(
            "{place:<7} {:<18} {:.2}  {:<7} {rule}  ({}; bytes {}..{})",
            finding.entity.to_string(),
            finding.score,
            action.as_str(),
            finding.reason,
            finding.span.start,
            finding.span.end,
        )
    };
    let mut lines: Vec<String> = judgement.decisions.iter().map(line).collect();
    if lines.is_empty() {
        lines.push("nothing found".to_owned());
    }
    lines.push(String::new());
    lines.push(match (judgement.blocked(), &judgement.text) {
        (Some(Decision { finding, rule, .. }), _) => {
            format!("blocked by rule {:?} for {}", rule.as_deref().unwrap_or_default(), finding.entity)
        }
        (None, Some(changed)) => changed.trim_end().to_owned(),
        (None, None) => "the text stays as it is".to_owned(),
    });
    lines.join("\n") + "\n"
}

/// Line and column of a byte, counted from one, columns in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn json(text: &str, judgement: &Judgement, warnings: &[String], recommended: bool) -> String {
    let findings: Vec<_> = judgement
        .decisions
        .iter()
        .map(|Decision { finding, action, rule }| {
            serde_json::json!({
                "entity": finding.entity.to_string(),
                "start": finding.span.start,
                "end": finding.span.end,
                "score": f64::from((finding.score * 100.0).round()) / 100.0,
                "reason": finding.reason,
                "action": action.as_str(),
                "rule": rule.as_deref(),
            })
        })
        .collect();
    let blocked = judgement.blocked();
    serde_json::json!({
        "blocked": blocked.is_some(),
        "recommended": recommended,
        "findings": findings,
        "text": if blocked.is_some() { None } else { Some(judgement.text.as_deref().unwrap_or(text)) },
        "warnings": warnings,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_line_and_a_column_in_characters() {
        assert_eq!(place("é\n√x@", 7), (2, 3));
    }

    #[test]
    fn what_is_shown_names_the_rule_and_not_what_was_blocked() {
        let policy = PolicySet::recommended().unwrap();
        let text = "Deploy with AKIAQ3EGRZ2VMX7LTWHB.";
        let shown = shown(text, &policy.judge(text, Direction::Input));
        assert!(shown.contains("blocked by rule \"secrets\" for API_KEY"), "{shown}");
        assert!(!shown.contains("AKIA"), "{shown}");
    }
}
