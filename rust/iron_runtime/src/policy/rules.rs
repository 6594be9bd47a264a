//! Rules: settings lowered into what can be asked of a finding, and rules that can never be asked.

use std::sync::Arc;

use super::Direction::{Input, Output, ToolArguments, ToolResults};
use super::{Action, Direction};
use crate::Error;
use crate::config::{PolicySettings, RuleSettings, unknown};
use crate::detect::{Entity, Family, Finding, Known, Wanted, is_label};

/// What a rule that names no threshold takes as found.
const THRESHOLD: f32 = 0.5;

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: Arc<str>,
    pub(super) action: Action,
    what: Vec<What>,
    directions: Vec<Direction>,
    threshold: f32,
}

/// What a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Everything,
    Family(Family),
    Entity(Entity),
    /// Whatever the detector of that name finds.
    Detector(Arc<str>),
}

impl What {
    fn covers(&self, entity: &Entity) -> bool {
        match self {
            Self::Everything => true,
            Self::Family(family) => entity.family() == *family,
            Self::Entity(own) => own == entity,
            Self::Detector(own) => matches!(entity, Entity::Detector(name, _) if name == own),
        }
    }

    /// Whether whatever `other` speaks of, this speaks of too.
    fn includes(&self, other: &Self) -> bool {
        match other {
            Self::Entity(entity) => self.covers(entity),
            other => *self == Self::Everything || self == other,
        }
    }
}

impl Rule {
    /// Whether it speaks of texts that go there.
    pub(super) fn goes(&self, direction: Direction) -> bool {
        self.directions.contains(&direction)
    }

    pub(super) fn applies(&self, finding: &Finding, direction: Direction) -> bool {
        finding.score >= self.threshold
            && self.goes(direction)
            && self.what.iter().any(|what| what.covers(&finding.entity))
    }
}

/// The rules that hold where the configuration has none: keys and numbers that must not leave, and open attacks.
pub(crate) fn default_rules() -> Vec<RuleSettings> {
    let rule = |name: &str, what: &[&str], directions: &[Direction], action, threshold| RuleSettings {
        name: Some(name.to_owned()),
        what: what.iter().map(|what| (*what).to_owned()).collect(),
        direction: directions.to_vec(),
        action,
        threshold: Some(threshold),
    };
    vec![
        rule("secrets", &["API_KEY", "PRIVATE_KEY", "JWT", "CONNECTION_STRING"], &[], Action::Block, 0.9),
        rule("injection", &["prompt_injection"], &[Input, ToolResults], Action::Block, 0.9),
        rule(
            "accounts",
            &["CREDIT_CARD", "IBAN_CODE", "US_SSN"],
            &[Input, ToolArguments],
            Action::Redact,
            0.6,
        ),
        rule(
            "accounts told",
            &["CREDIT_CARD", "IBAN_CODE", "US_SSN"],
            &[Output, ToolResults],
            Action::Log,
            0.6,
        ),
        rule("everything else", &["*"], &[], Action::Log, 0.5),
    ]
}

/// Settings as rules.
pub(super) fn lower(settings: &PolicySettings) -> Result<Vec<Rule>, Error> {
    settings.rules.iter().enumerate().map(|(index, rule)| one(settings, index, rule)).collect()
}

fn one(settings: &PolicySettings, index: usize, rule: &RuleSettings) -> Result<Rule, Error> {
    let place = || format!("policy.rules[{index}]");
    let threshold = rule.threshold.unwrap_or(THRESHOLD);
    if !(0.0..=1.0).contains(&threshold) {
        return Err(Error::config(format!("{}.threshold is {threshold}: it must be from 0 to 1", place())));
    }
    if rule.what.is_empty() {
        return Err(Error::config(format!(
            "{}.what is empty: name an entity or a family, or \"*\"",
            place()
        )));
    }
    let what = rule
        .what
        .iter()
        .map(|name| named(settings, name).map_err(|why| Error::config(format!("{}.what: {why}", place()))));
    Ok(Rule {
        name: rule.name.clone().unwrap_or_else(place).into(),
        action: rule.action,
        what: what.collect::<Result<_, _>>()?,
        directions: if rule.direction.is_empty() { Direction::ALL.to_vec() } else { rule.direction.clone() },
        threshold,
    })
}

fn named(settings: &PolicySettings, name: &str) -> Result<What, String> {
    if name == "*" {
        return Ok(What::Everything);
    }
    if let Some(list) = name.strip_prefix("keyword:") {
        let known = settings.keywords.contains_key(list);
        let keyword = || What::Entity(Entity::Keyword(list.into()));
        return known.then(keyword).ok_or_else(|| format!("there is no list policy.keywords.{list}"));
    }
    if let Some(name) = name.strip_prefix("detector:") {
        return detector(name);
    }
    if let Some(pattern) = name.strip_prefix("pattern:") {
        let known = settings.patterns.contains_key(pattern);
        let entity = || What::Entity(Entity::Pattern(pattern.into()));
        return known.then(entity).ok_or_else(|| format!("there is no pattern policy.patterns.{pattern}"));
    }
    if let Some(family) = Family::NAMED.into_iter().find(|family| family.as_str() == name) {
        return Ok(What::Family(family));
    }
    let entity = Known::ALL.iter().find(|known| known.as_str() == name);
    let names = Known::ALL.iter().map(|known| known.as_str()).chain(Family::NAMED.map(Family::as_str));
    entity.map(|known| What::Entity(Entity::Known(*known))).ok_or_else(|| unknown("entity", name, names))
}

/// `NAME` of a detector of the user's own, or `NAME/LABEL`. Whether there is one only the client knows.
fn detector(name: &str) -> Result<What, String> {
    let (name, label) = name.split_once('/').map_or((name, None), |(name, label)| (name, Some(label)));
    if !is_label(name) || label.is_some_and(|label| !is_label(label)) {
        let right = "give detector:NAME or detector:NAME/LABEL, of letters, digits, \"_\", \"-\" and \".\"";
        return Err(format!("no detector can have that name; {right}"));
    }
    Ok(match label {
        None => What::Detector(name.into()),
        Some(label) => What::Entity(Entity::Detector(name.into(), Some(label.into()))),
    })
}

/// The detectors of the user's own that rules of a direction name, each once.
pub(super) fn called(rules: &[Rule], direction: Direction) -> Vec<Arc<str>> {
    let mut names = Vec::<Arc<str>>::new();
    for what in rules.iter().filter(|rule| rule.goes(direction)).flat_map(|rule| &rule.what) {
        if let What::Detector(name) | What::Entity(Entity::Detector(name, _)) = what
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names
}

/// What to look for so that every rule of a direction can be asked.
pub(super) fn wanted(rules: &[Rule], direction: Direction) -> Wanted {
    let asked = |family: Family| {
        rules.iter().filter(|rule| rule.directions.contains(&direction)).flat_map(|rule| &rule.what).any(
            |what| match what {
                What::Everything => true,
                What::Family(own) => *own == family,
                What::Entity(entity) => entity.family() == family,
                What::Detector(_) => false,
            },
        )
    };
    Wanted {
        pii: asked(Family::Pii),
        network: asked(Family::Network),
        secrets: asked(Family::Secret),
        injection: asked(Family::PromptInjection),
    }
}

/// Each rule that can never decide, because one above it decides whatever it would.
pub(super) fn shadowed(rules: &[Rule]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let above = rules[..index].iter().find(|above| {
            above.threshold <= rule.threshold
                && rule.directions.iter().all(|direction| above.directions.contains(direction))
                && rule.what.iter().all(|what| above.what.iter().any(|own| own.includes(what)))
        });
        if let Some(above) = above {
            let (name, action) = (&rule.name, rule.action.as_str());
            let conflict = if above.action == rule.action {
                String::new()
            } else {
                format!(", which says {}", above.action.as_str())
            };
            warnings.push(format!(
                "rule {name:?} ({action}) can never decide: {:?} above it takes all that it speaks of{conflict}",
                above.name
            ));
        }
    }
    warnings
}
