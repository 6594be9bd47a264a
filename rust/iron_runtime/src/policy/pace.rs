//! Pace: how the texts of a stream wait for the policies that hold it.

use std::ops::Range;

use super::chain::Chain;
use super::rules::{About, Rule, wanted};
use super::{Action, Decision, Direction, Entity, action};
use crate::detect::{OwnWaits, Waits};

/// How a text that is still coming is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pace {
    /// At its end: no rule acts on it, and nothing waits.
    Behind,
    /// As it comes: what nothing can change any more is shown.
    Window,
    /// At its end, and it is shown then.
    Whole,
}

impl Chain {
    /// How texts that go there are judged, and what they wait for.
    pub(crate) fn pace(&self, direction: Direction) -> (Pace, Waits) {
        let acting = |rule: &&Rule| rule.acts() && rule.goes(direction);
        let mut waits = Waits::default();
        // Whether a text steers a model, its end tells; how long it is, it tells as it comes.
        let (mut whole, mut sized) = (false, false);
        for layer in &self.layers {
            let rules: Vec<&Rule> = layer.speaking().filter(acting).collect();
            let speaks = |of: &Entity| rules.iter().any(|rule| rule.covers(of));
            let custom = &layer.policy.0.custom;
            let own = OwnWaits {
                keywords: custom.lists().any(|name| speaks(&Entity::Keyword(name.clone()))),
                patterns: custom
                    .patterns()
                    .filter(|name| speaks(&Entity::Pattern((*name).clone())))
                    .cloned()
                    .collect(),
            };
            whole |= own.patterns.iter().any(|name| custom.needs_whole(name));
            sized |= rules.iter().any(|rule| matches!(rule.about, About::Size { .. }));
            waits.families = waits.families.or(wanted(&rules.iter().copied(), direction));
            waits.own.push(own);
        }
        whole |= waits.families.injection;
        let pace = match (whole, waits.is_empty()) {
            (true, _) => Pace::Whole,
            (false, true) if !sized => Pace::Behind,
            (false, _) => Pace::Window,
        };
        (pace, waits)
    }

    /// What rules that act make of a text that goes on, and how far that is settled; at least up to `from`.
    pub(super) fn glance(
        &self,
        text: &str,
        from: usize,
        direction: Direction,
        waits: &Waits,
    ) -> (Vec<Decision>, usize) {
        let Some(first) = self.layers.first() else { return (Vec::new(), text.len()) };
        let (found, settled) = first.policy.0.detectors.glance(text, from, waits, self.customs());
        let mut decisions = self.decided(found, direction, None, Vec::new());
        decisions.retain(|decision| decision.action >= Action::Mask);
        (decisions, settled)
    }
}

/// `span` of the text with the actions of the decisions that lie in it done; `None` where nothing changes.
pub(super) fn rewrite(text: &str, span: &Range<usize>, decisions: &[Decision]) -> Option<String> {
    let within = decisions.iter().filter(|decision| decision.finding.span.end > span.start).cloned();
    let shifted = within.filter_map(|mut decision| {
        let own = &mut decision.finding.span;
        *own = own.start.saturating_sub(span.start)..own.end.min(span.end).checked_sub(span.start)?;
        (own.start < own.end).then_some(decision)
    });
    // No rule on what a model says makes pseudonyms.
    action::apply(&text[span.clone()], &shifted.collect::<Vec<_>>(), None).unwrap_or_default()
}
