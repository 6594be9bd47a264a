//! Sizes: how many bytes texts have, against what rules let them have.

use super::chain::Chain;
use super::layer::stricter;
use super::rules::{About, Rule};
use super::{Decision, Direction, Entity, Finding};

/// What the texts of one call have come to so far, for each rule on sizes.
#[derive(Clone, Debug, Default)]
pub struct Totals(Vec<Total>);

#[derive(Clone, Copy, Debug, Default)]
struct Total {
    bytes: u64,
    /// Whether the text in hand is too long, or makes the sum too long.
    exceeded: bool,
}

impl Chain {
    /// Count a text of so many bytes; what is done about its size if a rule has something against it.
    pub fn measure(
        &self,
        bytes: usize,
        direction: Direction,
        tool: Option<&str>,
        totals: &mut Totals,
    ) -> Option<Decision> {
        if !self.measures {
            return None;
        }
        let mut strictest: Option<&Rule> = None;
        let mut base = 0;
        for layer in &self.layers {
            let rules = layer.rules();
            totals.0.resize(totals.0.len().max(base + rules.len()), Total::default());
            let own = &mut totals.0[base..base + rules.len()];
            for (total, rule) in own.iter_mut().zip(rules) {
                *total = total.with(bytes as u64, rule, rule.takes(direction, tool));
            }
            let first = layer.first(|nth, _| own[nth].exceeded);
            strictest = strictest.into_iter().chain(first).reduce(stricter);
            base += rules.len();
        }
        let rule = strictest?;
        let finding =
            Finding { entity: Entity::Size, span: 0..bytes, score: 1.0, reason: reason(rule).into() };
        Some(Decision { finding, action: rule.action, rule: Some(rule.name.clone()) })
    }
}

impl Total {
    fn with(self, bytes: u64, rule: &Rule, takes: bool) -> Self {
        let About::Size { text, total } = rule.about else { return self };
        if !takes {
            return Self { exceeded: false, ..self };
        }
        let sum = self.bytes.saturating_add(bytes);
        // The sum is told of once, by the text that makes it too long.
        let crosses = total.is_some_and(|most| self.bytes <= most && sum > most);
        Self { bytes: sum, exceeded: crosses || text.is_some_and(|most| bytes > most) }
    }
}

fn reason(rule: &Rule) -> String {
    let About::Size { text, total } = rule.about else { return String::new() };
    let bound = |name: &str, most: Option<u64>| most.map(|most| format!("{name} = {most}"));
    let bounds: Vec<_> =
        bound("max_bytes", text).into_iter().chain(bound("max_total_bytes", total)).collect();
    format!("longer than {}", bounds.join(" or "))
}
