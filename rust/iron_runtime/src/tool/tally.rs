//! The tally: how often tools were called in one run.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::called::{Called, Fingerprint};
use super::guard::{Guard, Limit};
use crate::PolicyDenied;

/// So many different calls are remembered; one that came back after so many others is no loop.
const MOST_REMEMBERED: usize = 16_384;

/// Calls of tools in one run, or in one call outside of any.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_tool: HashMap<Arc<str>, u32>,
    by_call: HashMap<Fingerprint, u32>,
    /// The oldest first.
    order: VecDeque<Fingerprint>,
}

/// Calls that count. Dropped before it is kept, they don't.
#[derive(Debug)]
pub(crate) struct Claim {
    tally: Arc<Tally>,
    tools: Vec<Arc<str>>,
    calls: Vec<Fingerprint>,
    kept: bool,
}

impl Tally {
    /// Count `calls`, all or none.
    ///
    /// # Errors
    /// [`PolicyDenied`] if it is one too many for a rule.
    pub(super) fn claim(
        tally: &Arc<Self>,
        guards: &[&Guard],
        calls: &[Called],
    ) -> Result<Claim, PolicyDenied> {
        let looks = guards.iter().any(|guard| guard.repeats.is_some());
        let mut claim = Claim { tally: tally.clone(), tools: Vec::new(), calls: Vec::new(), kept: false };
        let prints: Vec<_> = calls.iter().filter(|_| looks).map(Called::fingerprint).collect();
        let refused = {
            let mut counts = tally.lock();
            for call in calls {
                *counts.by_tool.entry(call.name.clone()).or_default() += 1;
                claim.tools.push(call.name.clone());
            }
            for print in prints {
                counts.remember(print);
                claim.calls.push(print);
            }
            guards.iter().find_map(|guard| counts.exceeded(guard, calls, &claim.calls))
        };
        // The lock is free: dropping the claim takes it.
        match refused {
            Some(refused) => Err(refused),
            None => Ok(claim),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn remember(&mut self, print: Fingerprint) {
        let mut is_new = false;
        *self.by_call.entry(print).or_insert_with(|| {
            is_new = true;
            0
        }) += 1;
        if is_new {
            self.order.push_back(print);
        }
        if self.order.len() > MOST_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_call.remove(&oldest);
        }
    }

    /// Why the calls are too many, with them counted.
    fn exceeded(&self, guard: &Guard, calls: &[Called], prints: &[Fingerprint]) -> Option<PolicyDenied> {
        for limit in &guard.limits {
            let Some(call) = calls.iter().rev().find(|call| limit.tools.matches(&call.name)) else {
                continue;
            };
            let count = |(tool, count): (&Arc<str>, &u32)| if limit.tools.matches(tool) { *count } else { 0 };
            if self.by_tool.iter().map(count).sum::<u32>() > limit.most {
                return Some(refusal(
                    limit,
                    call,
                    &format!("a run may call {} {} times", what(limit), limit.most),
                ));
            }
        }
        let limit = guard.repeats.as_ref()?;
        let again = |print: &Fingerprint| self.by_call.get(print).is_some_and(|count| *count > limit.most);
        let (call, _) = calls.iter().zip(prints).find(|(_, print)| again(print))?;
        let why = format!(
            "a run may call it {} times with the same arguments: it goes round in circles",
            limit.most
        );
        Some(refusal(limit, call, &why))
    }
}

fn what(limit: &Limit) -> &'static str {
    if limit.named { "it, with what else the rule names," } else { "tools" }
}

fn refusal(limit: &Limit, call: &Called, why: &str) -> PolicyDenied {
    PolicyDenied::called(&limit.rule, &call.name, why)
}

impl Claim {
    /// They count from now on.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let mut counts = self.tally.lock();
        for tool in &self.tools {
            if let Some(count) = counts.by_tool.get_mut(tool) {
                *count -= 1;
            }
        }
        for call in &self.calls {
            // One that was forgotten meanwhile has no count to take back.
            if let Some(count) = counts.by_call.get_mut(call) {
                *count = count.saturating_sub(1);
            }
        }
    }
}
