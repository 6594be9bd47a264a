//! Policies: ordered rules that say what happens to a finding.

mod action;
mod rules;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::rules::{Rule, default_rules};
use crate::Error;
use crate::config::PolicySettings;
use crate::detect::{Custom, Detectors, Wanted};
pub use crate::detect::{Detector, DetectorFault, Entity, Family, Fault, Finding, Known, Match};

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

/// Rules that have been checked and compiled.
#[derive(Clone, Debug)]
pub struct PolicySet(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    rules: Vec<Rule>,
    custom: Custom,
    detectors: &'static Detectors,
    /// What to look for in each direction.
    wanted: [Wanted; 4],
    /// Detectors of the user's own to ask in each direction.
    called: [Vec<Arc<str>>; 4],
    /// Keys the hashes of the action `hash`.
    hash_key: [u8; 32],
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
    pub decisions: Vec<Decision>,
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
        let wanted = Direction::ALL.map(|direction| rules::wanted(&rules, direction));
        let called = Direction::ALL.map(|direction| rules::called(&rules, direction));
        Ok(Self(Arc::new(Compiled { rules, custom, detectors, wanted, called, hash_key: rand::random() })))
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

    /// Whether any rule names a detector of the user's own.
    pub(crate) fn calls(&self) -> bool {
        self.0.called.iter().any(|names| !names.is_empty())
    }

    /// Judge a text by the built-in detectors.
    pub fn judge(&self, text: &str, direction: Direction) -> Judgement {
        self.judge_with(text, direction, Vec::new())
    }

    /// Judge a text by the built-in detectors and by what those of the user's own have found in it.
    pub(crate) fn judge_with(&self, text: &str, direction: Direction, called: Vec<Finding>) -> Judgement {
        let Compiled { detectors, custom, wanted, .. } = &*self.0;
        let mut findings = detectors.inspect(text, wanted[direction as usize], custom);
        if !called.is_empty() {
            findings.extend(called);
            findings.sort_by_key(|finding| (finding.span.start, finding.span.end));
        }
        let decisions: Vec<_> = findings.into_iter().map(|finding| self.decide(finding, direction)).collect();
        let text = action::apply(text, &decisions, &self.0.hash_key);
        Judgement { decisions, text }
    }

    fn decide(&self, finding: Finding, direction: Direction) -> Decision {
        let applies = |rule: &&Rule| rule.applies(&finding, direction);
        match self.0.rules.iter().find(applies) {
            Some(rule) => Decision { action: rule.action, rule: Some(rule.name.clone()), finding },
            None => Decision { action: Action::Allow, rule: None, finding },
        }
    }

    /// The first rule that changes or refuses what a model says.
    pub(crate) fn acts_on_output(&self) -> Option<&str> {
        let said = [Direction::Output, Direction::ToolArguments];
        let acts = |rule: &&Rule| rule.action >= Action::Mask && said.iter().any(|to| rule.goes(*to));
        self.0.rules.iter().find(acts).map(|rule| &*rule.name)
    }

    /// Each rule that another makes pointless, in a sentence.
    pub fn warnings(&self) -> Vec<String> {
        rules::shadowed(&self.0.rules)
    }
}

/// Where an action changes a text.
type Change = (Range<usize>, Action, Entity);
