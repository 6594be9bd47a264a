//! Reach: which rules can never decide, and why.

use super::rules::{About, Rule, What};
use crate::detect::Entity;

/// Each rule that can never decide, and each part of one that never counts, in a sentence.
///
/// `models` are all names by which a model can be asked for; nothing is said of models where they are not known.
pub(super) fn warnings(rules: &[Rule], models: Option<&[String]>) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let above = rules[..index].iter().find(|above| above.includes(rule));
        warnings.extend(above.map(|above| shadow(rule, above)));
        warnings.extend(beyond(rule));
        for (setting, glob) in models.into_iter().flat_map(|models| rule.narrow.idle_models(models)) {
            let name = &rule.name;
            warnings.push(format!(
                "rule {name:?}: {glob:?} in {setting} is no model that has a price, and no alias of [models]"
            ));
        }
    }
    warnings
}

fn shadow(rule: &Rule, above: &Rule) -> String {
    let conflict = if above.action == rule.action {
        String::new()
    } else {
        format!(", which says {}", above.action.as_str())
    };
    let (name, action) = (&rule.name, rule.action.as_str());
    format!(
        "rule {name:?} ({action}) can never decide: {:?} above it takes all that it speaks of{conflict}",
        above.name
    )
}

/// What the rule looks for and no detector can be sure enough of.
fn beyond(rule: &Rule) -> Option<String> {
    let About::Findings { what, threshold } = &rule.about else { return None };
    let unreachable = |what: &What| match what {
        What::Entity(Entity::Known(known)) if known.highest_score() < *threshold => {
            Some(format!("{} ({})", known.as_str(), known.highest_score()))
        }
        _ => None,
    };
    let names: Vec<_> = what.iter().filter_map(unreachable).collect();
    (!names.is_empty()).then(|| {
        format!(
            "rule {:?}: its threshold of {threshold} is above the highest score there is for {}",
            rule.name,
            names.join(", ")
        )
    })
}

impl Rule {
    /// Whether whatever `other` speaks of, this speaks of too. Said only where it is certain.
    fn includes(&self, other: &Self) -> bool {
        let lower = |own: Option<u64>, other: Option<u64>| {
            other.is_none_or(|other| own.is_some_and(|own| own <= other))
        };
        let about = match (&self.about, &other.about) {
            (About::Findings { what, threshold }, About::Findings { what: others, threshold: least }) => {
                threshold <= least && others.iter().all(|other| what.iter().any(|own| own.includes(other)))
            }
            (About::Size { text, total }, About::Size { text: longer, total: more }) => {
                lower(*text, *longer) && lower(*total, *more)
            }
            (About::Calls, About::Calls) => true,
            _ => false,
        };
        let laxer = other.acts() && !self.acts();
        about && self.narrow.includes(&other.narrow, laxer) && other.directions().all(|to| self.goes(to))
    }
}
