//! One policy of a chain, as it speaks of a call.

use super::narrow::{Caller, Miss};
use super::rules::{About, Rule};
use super::{Action, Decision, Direction, Finding, PolicySet};

/// A policy, and which of its rules speak of the call.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) policy: PolicySet,
    /// For each upstream for which they differ: whether each rule speaks of the call. Nothing where all of them do.
    spoken: Vec<Box<[bool]>>,
}

/// A rule that was passed over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The rule.
    pub rule: std::sync::Arc<str>,
    /// What it would have done.
    pub action: Action,
    /// Why it does not speak of the finding.
    pub why: Miss,
}

impl Layer {
    pub(super) fn new(policy: PolicySet, caller: &Caller<'_>) -> Self {
        let mut spoken = Vec::new();
        if policy.0.is_narrowed {
            for upstream in caller.upstreams() {
                let speaks = |rule: &Rule| rule.narrow.misses_call(caller, upstream, rule.acts()).is_none();
                let own: Box<[bool]> = policy.0.rules.iter().map(speaks).collect();
                if !spoken.contains(&own) {
                    spoken.push(own);
                }
            }
        }
        Self { policy, spoken }
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.policy.0.rules
    }

    /// Write down the policy and which of its rules speak of the call: the same for calls that are held in the same way.
    pub(super) fn tell_apart(&self, held: &mut Vec<u64>) {
        held.extend([self.policy.0.id, self.spoken.len() as u64]);
        for rules in self.spoken.iter().flat_map(|way| way.chunks(64)) {
            held.push(rules.iter().fold(0, |bits, speaks| bits << 1 | u64::from(*speaks)));
        }
    }

    /// The rules that speak of the call, whatever upstream it goes to.
    pub(super) fn speaking(&self) -> impl Iterator<Item = &Rule> {
        let spoken = |nth: usize| self.spoken.is_empty() || self.spoken.iter().any(|way| way[nth]);
        self.rules().iter().enumerate().filter(move |(nth, _)| spoken(*nth)).map(|(_, rule)| rule)
    }

    /// The first rule for which `speaks` holds. Where a call may go to several upstreams, it is the strictest of the
    /// rules that are first for one: the call is held as if it went to the one that is held most.
    pub(super) fn first(&self, speaks: impl Fn(usize, &Rule) -> bool) -> Option<&Rule> {
        let rules = || self.rules().iter().enumerate();
        if self.spoken.is_empty() {
            return rules().find(|(nth, rule)| speaks(*nth, rule)).map(|(_, rule)| rule);
        }
        let first = |way: &[bool]| rules().find(|(nth, rule)| way[*nth] && speaks(*nth, rule));
        let ways = self.spoken.iter().filter_map(|way| first(way)).map(|(_, rule)| rule);
        ways.reduce(stricter)
    }

    /// What becomes of a finding.
    pub(super) fn decide(
        &self,
        finding: &Finding,
        direction: Direction,
        tool: Option<&str>,
    ) -> Option<&Rule> {
        self.first(|_, rule| rule.applies(finding, direction, tool))
    }

    /// The rule that refuses the call, and the upstream for which it does.
    pub(super) fn refusal<'c>(&self, caller: &'c Caller<'_>) -> Option<(&Rule, &'c str)> {
        caller.upstreams().find_map(|upstream| {
            let speaks = |rule: &&Rule| {
                matches!(rule.about, About::Calls)
                    && rule.narrow.misses_call(caller, upstream, rule.acts()).is_none()
            };
            let decides = self.rules().iter().find(speaks);
            decides.filter(|rule| rule.action == Action::Block).map(|rule| (rule, upstream))
        })
    }

    /// The rules that look for what was found but were passed over, down to the one that decides.
    pub(super) fn passed<'l>(
        &'l self,
        caller: &'l Caller<'_>,
        decision: &'l Decision,
        direction: Direction,
        tool: Option<&'l str>,
    ) -> impl Iterator<Item = Passed> + 'l {
        let above = self.rules().iter().take_while(|rule| decision.rule.as_ref() != Some(&rule.name));
        above.filter(|rule| rule.covers(&decision.finding.entity)).filter_map(move |rule| {
            let of_call = |upstream| rule.narrow.misses_call(caller, upstream, rule.acts());
            let why = caller.upstreams().find_map(of_call);
            let why = why.or_else(|| rule.misses(&decision.finding, direction, tool))?;
            Some(Passed { rule: rule.name.clone(), action: rule.action, why })
        })
    }
}

/// The stricter of two rules, the first of equals.
pub(super) fn stricter<'r>(rule: &'r Rule, next: &'r Rule) -> &'r Rule {
    if next.action > rule.action { next } else { rule }
}
