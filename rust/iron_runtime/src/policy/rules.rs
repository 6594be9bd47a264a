//! Rules: settings lowered into what can be asked of a finding, of a text's size and of a call.

use std::sync::Arc;

use super::Direction::{Input, ToolArguments, ToolResults};
use super::narrow::{Miss, Narrow};
use super::{Action, Direction};
use crate::Error;
use crate::config::{PolicySettings, RuleSettings, unknown};
use crate::detect::{Entity, Family, Finding, Known, Wanted, is_label};

/// What a rule that names no threshold takes as found.
const THRESHOLD: f32 = 0.5;
/// What a rule on sizes names.
const SIZE: &str = "size";

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: Arc<str>,
    pub(super) action: Action,
    pub(super) about: About,
    pub(super) narrow: Narrow,
    directions: Vec<Direction>,
}

/// What a rule is about.
#[derive(Clone, Debug)]
pub(super) enum About {
    /// What is found in a text, with that score at least.
    Findings { what: Vec<What>, threshold: f32 },
    /// How many bytes a text may have, and those of a call together.
    Size { text: Option<u64>, total: Option<u64> },
    /// Which calls may be made.
    Calls,
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
    pub(super) fn includes(&self, other: &Self) -> bool {
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

    /// Where the texts go that it speaks of.
    pub(super) fn directions(&self) -> impl Iterator<Item = Direction> {
        self.directions.iter().copied()
    }

    /// Whether it does anything but let pass: then it speaks of what it cannot tell, and otherwise it does not.
    pub(super) fn acts(&self) -> bool {
        self.action >= Action::Mask
    }

    /// Whether it speaks of texts that go there, to or from that tool if they do.
    pub(super) fn takes(&self, direction: Direction, tool: Option<&str>) -> bool {
        self.goes(direction) && self.narrow.takes_tool(tool, self.acts())
    }

    /// What it looks for in texts.
    pub(super) fn what(&self) -> &[What] {
        match &self.about {
            About::Findings { what, .. } => what,
            About::Size { .. } | About::Calls => &[],
        }
    }

    pub(super) fn applies(&self, finding: &Finding, direction: Direction, tool: Option<&str>) -> bool {
        self.covers(&finding.entity) && self.misses(finding, direction, tool).is_none()
    }

    /// Whether it looks for that.
    pub(super) fn covers(&self, entity: &Entity) -> bool {
        self.what().iter().any(|what| what.covers(entity))
    }

    /// Why it does not speak of a finding that it looks for.
    pub(super) fn misses(&self, finding: &Finding, direction: Direction, tool: Option<&str>) -> Option<Miss> {
        let About::Findings { threshold, .. } = self.about else { return None };
        if !self.goes(direction) {
            Some(Miss::Direction)
        } else if !self.narrow.takes_tool(tool, self.acts()) {
            Some(Miss::Tool)
        } else if finding.score < threshold {
            Some(Miss::Threshold)
        } else {
            None
        }
    }
}

/// Settings as rules.
pub(super) fn lower(settings: &PolicySettings) -> Result<Vec<Rule>, Error> {
    settings.rules.iter().enumerate().map(|(index, rule)| one(settings, index, rule)).collect()
}

fn one(settings: &PolicySettings, index: usize, rule: &RuleSettings) -> Result<Rule, Error> {
    let place = format!("policy.rules[{index}]");
    let about = about(settings, &place, rule)?;
    let wrong = |what: &str| Err(Error::config(format!("{place}.{what}")));
    let lets_pass_or_refuses = matches!(rule.action, Action::Allow | Action::Log | Action::Block);
    match &about {
        About::Findings { .. } if rule.max_bytes.is_some() || rule.max_total_bytes.is_some() => {
            return wrong("what must be [\"size\"] where max_bytes or max_total_bytes is given");
        }
        About::Size { .. } if !lets_pass_or_refuses => {
            return wrong("action must be \"allow\", \"log\" or \"block\": a size cannot be rewritten");
        }
        About::Calls if !matches!(rule.action, Action::Allow | Action::Block) => {
            return wrong(
                "action must be \"allow\" or \"block\" where the rule has no what: it is about calls",
            );
        }
        About::Calls if !rule.direction.is_empty() || !rule.tools.is_empty() => {
            return wrong(
                "what is empty, so that the rule is about calls: direction and tools have no meaning",
            );
        }
        About::Size { .. } | About::Calls if rule.threshold.is_some() => {
            return wrong("threshold has no meaning where nothing is detected");
        }
        _ => {}
    }
    let pseudonymizes = rule.action == Action::Pseudonymize;
    let directions = match (&*rule.direction, rule.tools.is_empty()) {
        ([], true) if pseudonymizes => vec![Input, ToolResults],
        ([], true) => Direction::ALL.to_vec(),
        ([], false) if pseudonymizes => vec![ToolResults],
        ([], false) => vec![ToolArguments, ToolResults],
        (given, narrowed) => {
            if let Some(other) =
                given.iter().find(|to| !narrowed && !matches!(to, ToolArguments | ToolResults))
            {
                let other = other.as_str();
                return wrong(&format!(
                    "tools has no meaning for direction {other:?}: no tool is at that end"
                ));
            }
            given.to_vec()
        }
    };
    if let Some(back) = directions.iter().find(|to| pseudonymizes && !matches!(to, Input | ToolResults)) {
        let back = back.as_str();
        return wrong(&format!(
            "action \"pseudonymize\" has no meaning for direction {back:?}, where placeholders are restored: \
             leave direction out, or give \"input\" or \"tool_results\""
        ));
    }
    Ok(Rule {
        name: rule.name.as_deref().unwrap_or(&place).into(),
        action: rule.action,
        about,
        narrow: Narrow::new(&place, rule)?,
        directions,
    })
}

fn about(settings: &PolicySettings, place: &str, rule: &RuleSettings) -> Result<About, Error> {
    let named_anybody =
        [&rule.agents, &rule.tags, &rule.models, &rule.not_models].iter().any(|globs| !globs.is_empty());
    if rule.what.is_empty() && named_anybody {
        return Ok(About::Calls);
    }
    if rule.what.is_empty() {
        return Err(Error::config(format!(
            "{place}.what is empty: name an entity or a family, or \"*\"; or name agents, tags or models whose calls the rule is about"
        )));
    }
    if rule.what.iter().any(|what| what == SIZE) {
        if rule.what.len() > 1 || rule.max_bytes.is_none() && rule.max_total_bytes.is_none() {
            return Err(Error::config(format!(
                "{place}.what: \"size\" stands alone, with max_bytes or max_total_bytes beside it"
            )));
        }
        return Ok(About::Size { text: rule.max_bytes, total: rule.max_total_bytes });
    }
    let threshold = rule.threshold.unwrap_or(THRESHOLD);
    if !(0.0..=1.0).contains(&threshold) {
        return Err(Error::config(format!("{place}.threshold is {threshold}: it must be from 0 to 1")));
    }
    let named =
        |name: &String| named(settings, name).map_err(|why| Error::config(format!("{place}.what: {why}")));
    Ok(About::Findings { what: rule.what.iter().map(named).collect::<Result<_, _>>()?, threshold })
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
    let names =
        Known::ALL.iter().map(|known| known.as_str()).chain(Family::NAMED.map(Family::as_str)).chain([SIZE]);
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
pub(super) fn called<'r>(rules: impl IntoIterator<Item = &'r Rule>, direction: Direction) -> Vec<Arc<str>> {
    let mut names = Vec::<Arc<str>>::new();
    for what in rules.into_iter().filter(|rule| rule.goes(direction)).flat_map(Rule::what) {
        if let What::Detector(name) | What::Entity(Entity::Detector(name, _)) = what
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names
}

/// What to look for so that every rule of a direction can be asked.
pub(super) fn wanted<'r>(rules: &(impl Iterator<Item = &'r Rule> + Clone), direction: Direction) -> Wanted {
    let asked = |family: Family| {
        rules.clone().filter(|rule| rule.goes(direction)).flat_map(Rule::what).any(|what| match what {
            What::Everything => true,
            What::Family(own) => *own == family,
            What::Entity(entity) => entity.family() == family,
            What::Detector(_) => false,
        })
    };
    Wanted {
        pii: asked(Family::Pii),
        network: asked(Family::Network),
        secrets: asked(Family::Secret),
        injection: asked(Family::PromptInjection),
    }
}
