//! The policies that hold one call.

use std::sync::Arc;

use super::history::{Asked, History};
use super::layer::{Layer, Passed, stricter};
use super::narrow::Caller;
use super::pseudonym::{Full, Vault};
use super::{Action, Decision, Direction, Finding, Judgement, PolicySet, action, rules};
use crate::call::Text;
use crate::detect::{Custom, Found, Wanted};
use crate::{Error, PolicyDenied};

/// Policies that hold a call together. Each decides for itself, and the strictest of them holds: another policy can only
/// tighten. A text is read once for all of them.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(super) layers: Box<[Layer]>,
    /// What any of them looks for in each direction.
    wanted: [Wanted; 4],
    /// The policies and which of their rules speak of the call, as numbers.
    held: Arc<[u64]>,
    /// Detectors of the user's own to ask in each direction; empty without any.
    called: Vec<Vec<Arc<str>>>,
    /// Whether any of them has a rule about sizes.
    pub(crate) measures: bool,
    /// Whether any of them has a rule about some tools alone.
    pub(crate) names_tools: bool,
    /// The first of their rules on the call that makes pseudonyms.
    pub(crate) pseudonymizes: Option<Arc<str>>,
}

impl Chain {
    /// The policies, innermost first, as they speak of a call.
    pub fn new<'p>(policies: impl IntoIterator<Item = &'p PolicySet>, caller: &Caller<'_>) -> Self {
        let layers: Box<[Layer]> =
            policies.into_iter().map(|policy| Layer::new(policy.clone(), caller)).collect();
        let mut wanted = [Wanted::default(); 4];
        for layer in &layers {
            for (all, own) in wanted.iter_mut().zip(layer.policy.0.wanted) {
                *all = all.or(own);
            }
        }
        let mut held = Vec::with_capacity(2 * layers.len());
        layers.iter().for_each(|layer| layer.tell_apart(&mut held));
        let names = called(&layers);
        let measures = layers.iter().any(|layer| layer.policy.0.measures);
        let names_tools = layers.iter().any(|layer| layer.policy.0.names_tools);
        let pseudonymizes = layers
            .iter()
            .flat_map(Layer::speaking)
            .find(|rule| rule.action == Action::Pseudonymize)
            .map(|rule| rule.name.clone());
        Self { layers, wanted, held: held.into(), called: names, measures, names_tools, pseudonymizes }
    }

    /// Whether the call may be made at all.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`] that names the rule, the model, and who asked for it.
    pub fn admit(&self, caller: &Caller<'_>) -> Result<(), Error> {
        let refusal = self.layers.iter().find_map(|layer| layer.refusal(caller));
        refusal.map_or(Ok(()), |(rule, upstream)| {
            Err(Error::PolicyDenied(Box::new(PolicyDenied {
                rule: rule.name.clone(),
                direction: Direction::Input,
                tool: None,
                reason: caller.refused(upstream),
                cause: None,
            })))
        })
    }

    /// Detectors of the user's own that rules on a direction name.
    pub(crate) fn called(&self, direction: Direction) -> &[Arc<str>] {
        self.called.get(direction as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether any rule names a detector of the user's own.
    pub(crate) fn calls(&self) -> bool {
        !self.called.is_empty()
    }

    /// Whether any rule asks one about what a model answers.
    pub(crate) fn asks_of_replies(&self) -> bool {
        [Direction::Output, Direction::ToolArguments].into_iter().any(|said| !self.called(said).is_empty())
    }

    /// Judge a text, and the tool that it goes to or comes from where it does. Pseudonyms are those of a scope of its own;
    /// where they are more than one holds, all are redacted.
    pub fn judge(&self, text: &str, direction: Direction, tool: Option<&str>) -> Judgement {
        let decisions = self.decide(text, direction, tool, Vec::new());
        let scope = self.pseudonymizes.as_ref().map(|_| Vault::default());
        let judged = done(text, decisions.clone(), scope.as_ref());
        judged
            .or_else(|Full| done(text, decisions.clone(), None))
            .unwrap_or(Judgement { decisions, text: None })
    }

    /// Judge a text by what detectors of the user's own have found in it, too. Pseudonyms are those of `scope`.
    ///
    /// # Errors
    /// [`Full`] if there are more of them than a scope holds.
    pub(crate) fn judge_with(
        &self,
        text: &str,
        direction: Direction,
        tool: Option<&str>,
        called: Vec<Finding>,
        scope: Option<&Vault>,
    ) -> Result<Judgement, Full> {
        done(text, self.decide(text, direction, tool, called), scope)
    }

    /// What is found in a text, in order of place, and what is done about each.
    fn decide(
        &self,
        text: &str,
        direction: Direction,
        tool: Option<&str>,
        called: Vec<Finding>,
    ) -> Arc<[Decision]> {
        let Some(first) = self.layers.first() else { return Arc::default() };
        let found = first.policy.0.detectors.inspect(text, self.wanted[direction as usize], self.customs());
        self.decided(found, direction, tool, called).into()
    }

    /// Every policy's own lists and patterns.
    pub(super) fn customs(&self) -> impl Iterator<Item = &Custom> + Clone {
        self.layers.iter().map(|layer| &layer.policy.0.custom)
    }

    /// What is done about each of what was found, in order of place.
    pub(super) fn decided(
        &self,
        Found { built_in, custom }: Found,
        direction: Direction,
        tool: Option<&str>,
        called: Vec<Finding>,
    ) -> Vec<Decision> {
        if built_in.is_empty() && custom.is_empty() && called.is_empty() {
            return Vec::new();
        }
        let is_ordered = custom.is_empty() && called.is_empty();
        let of_all = |finding| strictest(&self.layers, finding, direction, tool);
        // A policy's own lists and patterns are no other policy's.
        let of_one = |(nth, finding)| strictest(&self.layers[nth..=nth], finding, direction, tool);
        let decisions = built_in.into_iter().chain(called).map(of_all).chain(custom.into_iter().map(of_one));
        let mut decisions: Vec<_> = decisions.collect();
        if !is_ordered {
            decisions.sort_by_key(|Decision { finding, .. }| (finding.span.start, finding.span.end));
        }
        decisions
    }

    /// The same for a text that may have been judged before; `shared` is the same text, if it need not be copied to be kept.
    /// Decisions are kept, and what is made of them is made anew: placeholders of one scope get into no other.
    ///
    /// # Errors
    /// As [`Chain::judge_with`].
    pub(crate) fn judge_known(
        &self,
        history: &History,
        text: &str,
        shared: Option<&Text>,
        direction: Direction,
        tool: Option<&str>,
        scope: Option<&Vault>,
    ) -> Result<Judgement, Full> {
        let tool = tool.filter(|_| self.names_tools);
        let asked = Asked { text, held: &self.held, direction, tool };
        let kept = || shared.cloned().unwrap_or_else(|| text.into());
        let judge = || self.decide(text, direction, tool, Vec::new());
        done(text, history.recall(asked, kept, &self.held, judge), scope)
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> &Arc<[u64]> {
        &self.held
    }

    /// The rules that look for what was found but were passed over, each with the reason, down to the one that decides.
    pub fn passed(
        &self,
        caller: &Caller<'_>,
        decision: &Decision,
        direction: Direction,
        tool: Option<&str>,
    ) -> Vec<Passed> {
        self.layers.iter().flat_map(|layer| layer.passed(caller, decision, direction, tool)).collect()
    }
}

/// The text with what was decided about it done.
fn done(text: &str, decisions: Arc<[Decision]>, scope: Option<&Vault>) -> Result<Judgement, Full> {
    let text = action::apply(text, &decisions, scope)?;
    Ok(Judgement { decisions, text })
}

/// What the strictest of the policies does about a finding, the first of equals.
fn strictest(layers: &[Layer], finding: Finding, direction: Direction, tool: Option<&str>) -> Decision {
    let rules = layers.iter().filter_map(|layer| layer.decide(&finding, direction, tool));
    match rules.reduce(stricter) {
        Some(rule) => Decision { action: rule.action, rule: Some(rule.name.clone()), finding },
        None => Decision { action: Action::Allow, rule: None, finding },
    }
}

/// The detectors of the user's own that rules which speak of the call name, each once.
fn called(layers: &[Layer]) -> Vec<Vec<Arc<str>>> {
    if layers.iter().all(|layer| layer.policy.0.called.iter().all(Vec::is_empty)) {
        return Vec::new();
    }
    let of = |direction| {
        let mut names: Vec<_> =
            layers.iter().flat_map(|layer| rules::called(layer.speaking(), direction)).collect();
        names.sort();
        names.dedup();
        names
    };
    Direction::ALL.map(of).into()
}
