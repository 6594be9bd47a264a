//! `iron policy`: what a policy finds in a text, and what it does about it.

use std::path::PathBuf;

use clap::ValueEnum;
use iron_runtime::Who;
use iron_runtime::config::{Config, Sources};
use iron_runtime::policy::{
    Action, Caller, Chain, Decision, Direction, Judgement, Passed, PolicySet, Totals,
};

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
    /// The agent that the call is from.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// A tag of the call; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// The model that is asked for: an alias, or provider/model [default: that of the configuration].
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The tool that the text goes to or comes from.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// The configuration [default: iron.toml, else pyproject.toml, in the working directory].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object: findings, decisions, warnings, and the text after them.
    #[arg(long)]
    json: bool,
    /// Tell of each finding which rules were passed over and why, and which rules can never decide.
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
    let config = Config::load(&sources)?;
    let recommended = config.policy().is_none();
    let policy = config.policy().cloned().map_or_else(PolicySet::recommended, Ok)?;
    let who = Who::new(options.agent.as_deref(), &options.tags)?;
    let model = config.model(options.model.as_deref().unwrap_or_default());
    let upstreams = if model.is_empty() { Vec::new() } else { config.upstreams(model)? };
    let caller = Caller::new(&who, model, upstreams.iter().map(|upstream| &**upstream));
    let chain = Chain::new([&policy], &caller);
    let refusal = chain.admit(&caller).err().map(|error| error.to_string());
    let verdict = Verdict::new(&text, &chain, &caller, options.direction.into(), options.tool.as_deref());
    let warnings = if options.explain { policy.warnings(Some(&config.models())) } else { Vec::new() };
    let mut output = Output::new();
    if options.json {
        output.text(&verdict.json(refusal.as_deref(), &warnings, recommended, options.explain))?;
        output.end_line()?;
    } else {
        if recommended {
            terminal::note("no [[policy.rules]] are configured: these are the recommended ones");
        }
        for warning in &warnings {
            terminal::note(warning);
        }
        output.text(
            &refusal
                .as_ref()
                .map_or_else(|| verdict.shown(options.explain), |refusal| format!("{refusal}\n")),
        )?;
    }
    Ok(if refusal.is_some() || verdict.blocked().is_some() { BLOCKED } else { 0 })
}

/// What a policy makes of a text, and why.
struct Verdict<'t> {
    text: &'t str,
    changed: Option<String>,
    decisions: Vec<(Decision, Vec<Passed>)>,
}

impl<'t> Verdict<'t> {
    fn new(
        text: &'t str,
        chain: &Chain,
        caller: &Caller<'_>,
        direction: Direction,
        tool: Option<&str>,
    ) -> Self {
        let Judgement { decisions, text: changed } = chain.judge(text, direction, tool);
        let measured = chain.measure(text.len(), direction, tool, &mut Totals::default());
        let explained = |decision: Decision| {
            let passed = chain.passed(caller, &decision, direction, tool);
            (decision, passed)
        };
        let decisions = measured.into_iter().chain(decisions.iter().cloned()).map(explained).collect();
        Self { text, changed, decisions }
    }

    fn blocked(&self) -> Option<&Decision> {
        self.decisions.iter().map(|(decision, _)| decision).find(|decision| decision.action == Action::Block)
    }

    fn shown(&self, explain: bool) -> String {
        let mut lines = Vec::new();
        for (decision, passed) in &self.decisions {
            lines.push(self.line(decision));
            for Passed { rule, action, why } in passed.iter().filter(|_| explain) {
                lines.push(format!(
                    "        not rule {rule:?} ({}): its {} leaves this out",
                    action.as_str(),
                    why.as_str()
                ));
            }
        }
        if lines.is_empty() {
            lines.push("nothing found".to_owned());
        }
        lines.push(String::new());
        lines.push(match (self.blocked(), &self.changed) {
            (Some(Decision { finding, rule, .. }), _) => {
                format!("blocked by rule {:?} for {}", rule.as_deref().unwrap_or_default(), finding.entity)
            }
            (None, Some(changed)) => changed.trim_end().to_owned(),
            (None, None) => "the text stays as it is".to_owned(),
        });
        lines.join("\n") + "\n"
    }

    fn line(&self, Decision { finding, action, rule }: &Decision) -> String {
        let (line, column) = place(self.text, finding.span.start);
        let place = format!("{line}:{column}");
        let rule = rule.as_deref().map_or("no rule".to_owned(), |rule| format!("rule {rule:?}"));
        format!(
            "{place:<7} {:<18} {:.2}  {:<12} {rule}  ({}; bytes {}..{})",
            finding.entity.to_string(),
            finding.score,
            action.as_str(),
            finding.reason,
            finding.span.start,
            finding.span.end,
        )
    }

    fn json(&self, refusal: Option<&str>, warnings: &[String], recommended: bool, explain: bool) -> String {
        let finding = |(Decision { finding, action, rule }, passed): &(Decision, Vec<Passed>)| {
            let passed = passed.iter().map(|Passed { rule, action, why }| {
                serde_json::json!({"rule": &**rule, "action": action.as_str(), "why": why.as_str()})
            });
            let mut told = serde_json::json!({
                "entity": finding.entity.to_string(),
                "start": finding.span.start,
                "end": finding.span.end,
                "score": f64::from((finding.score * 100.0).round()) / 100.0,
                "reason": finding.reason,
                "action": action.as_str(),
                "rule": rule.as_deref(),
            });
            if explain {
                told["passed_over"] = passed.collect();
            }
            told
        };
        let blocked = refusal.is_some() || self.blocked().is_some();
        serde_json::json!({
            "blocked": blocked,
            "refused": refusal,
            "recommended": recommended,
            "findings": self.decisions.iter().map(finding).collect::<Vec<_>>(),
            "text": if blocked { None } else { Some(self.changed.as_deref().unwrap_or(self.text)) },
            "warnings": warnings,
        })
        .to_string()
    }
}

/// Line and column of a byte, counted from one, columns in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use iron_runtime::config::{PolicySettings, RuleSettings};

    use super::*;

    #[test]
    fn a_place_is_a_line_and_a_column_in_characters() {
        assert_eq!(place("é\n√x@", 7), (2, 3));
    }

    #[test]
    fn what_is_shown_names_the_rule_and_not_what_was_blocked() {
        let policy = PolicySet::recommended().unwrap();
        let (who, text) = (Who::default(), "Deploy with AKIAQ3EGRZ2VMX7LTWHB.");
        let caller = Caller::new(&who, "", []);
        let chain = Chain::new([&policy], &caller);
        let shown = Verdict::new(text, &chain, &caller, Direction::Input, None).shown(true);
        assert!(shown.contains("blocked by rule \"secrets\" for API_KEY"), "{shown}");
        assert!(!shown.contains("AKIA"), "{shown}");
    }

    #[test]
    fn a_rule_that_is_passed_over_says_why() {
        let (who, text) = (Who::default(), "Card 4111 1111 1111 1111 to jane@example.org");
        let rule = |name: &str, what: &str, threshold| RuleSettings {
            name: Some(name.into()),
            threshold: Some(threshold),
            ..RuleSettings::new([what], Action::Block)
        };
        let of_agent = RuleSettings { agents: vec!["x".into()], ..rule("of x", "EMAIL_ADDRESS", 0.5) };
        let rules = vec![rule("surer", "pii", 0.99), of_agent];
        let policy = PolicySet::new(&PolicySettings { rules, ..PolicySettings::default() }).unwrap();
        let caller = Caller::new(&who, "", []);
        let chain = Chain::new([&policy], &caller);
        let shown = Verdict::new(text, &chain, &caller, Direction::Input, None).shown(true);
        let passed: Vec<_> = shown.lines().filter(|line| line.contains("not rule")).collect();
        assert_eq!(
            passed,
            [
                "        not rule \"surer\" (block): its threshold leaves this out",
                "        not rule \"surer\" (block): its threshold leaves this out",
                "        not rule \"of x\" (block): its agents leaves this out",
            ]
        );
    }
}
