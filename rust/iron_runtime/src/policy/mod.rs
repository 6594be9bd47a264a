//! Policies: ordered rules that say what happens to a finding.

mod action;
mod chain;
mod history;
mod layer;
mod narrow;
mod pace;
mod pseudonym;
mod reach;
mod recommended;
mod rules;
mod size;
mod window;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::chain::Chain;
pub(crate) use self::history::History;
pub use self::layer::Passed;
pub use self::narrow::{Caller, Miss};
pub(crate) use self::pace::Pace;
pub(crate) use self::pseudonym::{Form, Full, Restorer, Vault, View};
use self::recommended::default_rules;
use self::rules::{About, Rule};
pub use self::size::Totals;
pub(crate) use self::window::{Shown, Window};
use crate::Error;
use crate::config::PolicySettings;
use crate::detect::{Custom, Detectors, Wanted};
pub use crate::detect::{Detector, DetectorFault, Entity, Family, Fault, Finding, Known, Match};
use crate::run::Who;

/// What a rule does to the text that it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Let it pass, and ask no later rule.
    Allow,
    /// Let it pass and tell of it.
    Log,
    /// Show the last four characters of it, with `*` for the rest.
    Mask,
    /// Put a placeholder in its place, and the text back where a reply has the placeholder.
    Pseudonymize,
    /// Put a keyed hash in its place, the same for the same text.
    Hash,
    /// Put its entity's name in its place.
    Redact,
    /// Refuse the whole text.
    Block,
}

impl Action {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Log => "log",
            Self::Mask => "mask",
            Self::Pseudonymize => "pseudonymize",
            Self::Hash => "hash",
            Self::Redact => "redact",
            Self::Block => "block",
        }
    }
}

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the caller to the model.
    Input,
    /// From the model to the caller.
    Output,
    /// From the model to a tool.
    ToolArguments,
    /// From a tool to the model.
    ToolResults,
}

impl Direction {
    /// Every direction.
    pub const ALL: [Self; 4] = [Self::Input, Self::Output, Self::ToolArguments, Self::ToolResults];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::ToolArguments => "tool_arguments",
            Self::ToolResults => "tool_results",
        }
    }
}

/// Numbers policies.
static IDS: AtomicU64 = AtomicU64::new(0);

/// Rules that have been checked and compiled.
#[derive(Clone, Debug)]
pub struct PolicySet(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    /// No other policy of the process has it, nor one that was: what was decided under it is told apart by it.
    id: u64,
    rules: Vec<Rule>,
    custom: Custom,
    detectors: &'static Detectors,
    /// What to look for in each direction.
    wanted: [Wanted; 4],
    /// Detectors of the user's own to ask in each direction.
    called: [Vec<Arc<str>>; 4],
    /// Whether a rule is not for every call.
    is_narrowed: bool,
    /// Whether a rule is not for every tool.
    names_tools: bool,
    /// Whether a rule is about sizes.
    measures: bool,
}

/// A finding, and the rule that decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What was found.
    pub finding: Finding,
    /// What is done.
    pub action: Action,
    /// The name of the rule that says so; `None` where no rule speaks of it.
    pub rule: Option<Arc<str>>,
}

/// A decision as it is told: what was found and what was done, never the text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("rule {rule:?} blocks {} that has {entity}", direction.as_str().replace('_', " "))]
pub struct Told {
    /// What was found.
    pub entity: Entity,
    /// Where the text went.
    pub direction: Direction,
    /// What was done.
    pub action: Action,
    /// The rule that decided.
    pub rule: Arc<str>,
    /// How sure the finding is, from 0 to 1.
    pub score: f32,
}

impl Decision {
    /// What is told of it; `None` where no rule speaks of the finding, or one lets it pass.
    pub(crate) fn told(&self, direction: Direction) -> Option<Told> {
        let rule = self.rule.clone().filter(|_| self.action != Action::Allow)?;
        let Finding { entity, score, .. } = &self.finding;
        Some(Told { entity: entity.clone(), direction, action: self.action, rule, score: *score })
    }
}

/// What a policy makes of one text.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Every finding with its decision, in order of place.
    pub decisions: Arc<[Decision]>,
    /// The text with every action done; `None` where it stays as it is.
    pub text: Option<String>,
}

impl Judgement {
    /// The decision that refuses the text, if one does.
    pub fn blocked(&self) -> Option<&Decision> {
        self.decisions.iter().find(|decision| decision.action == Action::Block)
    }
}

impl PolicySet {
    /// Check settings and compile them.
    ///
    /// # Errors
    /// [`Error::Config`] that names the rule, what is wrong, and what would be right.
    pub fn new(settings: &PolicySettings) -> Result<Self, Error> {
        let detectors = Detectors::built_in()?;
        let keywords = settings.keywords.iter().map(|(name, words)| (name.as_str(), words.as_slice()));
        let patterns = settings.patterns.iter().map(|(name, pattern)| (name.as_str(), pattern.as_str()));
        let custom = Custom::new(keywords, patterns)?;
        let rules = rules::lower(settings)?;
        Ok(Self(Arc::new(Compiled {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            wanted: Direction::ALL.map(|direction| rules::wanted(&rules.iter(), direction)),
            called: Direction::ALL.map(|direction| rules::called(&rules, direction)),
            is_narrowed: rules.iter().any(|rule| !rule.narrow.is_for_everybody()),
            names_tools: rules.iter().any(|rule| rule.narrow.names_tools()),
            measures: rules.iter().any(|rule| matches!(rule.about, About::Size { .. })),
            rules,
            custom,
            detectors,
        })))
    }

    /// The rules that hold where the configuration has none and a policy is asked for.
    ///
    /// # Errors
    /// [`Error::Internal`] if the built-in detectors cannot be made.
    pub fn recommended() -> Result<Self, Error> {
        Self::new(&PolicySettings { rules: default_rules(), ..PolicySettings::default() })
    }

    /// Detectors of the user's own that rules of a direction name.
    pub fn called(&self, direction: Direction) -> &[Arc<str>] {
        &self.0.called[direction as usize]
    }

    /// Judge a text of a call of which nothing is known.
    pub fn judge(&self, text: &str, direction: Direction) -> Judgement {
        let nobody = Who::default();
        Chain::new([self], &Caller::new(&nobody, "", [])).judge(text, direction, None)
    }

    /// Each rule, or part of one, that can never decide, in a sentence. `models` are all names by which a model can be
    /// asked for, where they are known.
    pub fn warnings(&self, models: Option<&[String]>) -> Vec<String> {
        reach::warnings(&self.0.rules, models)
    }
}

/// Where an action changes a text.
type Change = (Range<usize>, Action, Entity);
