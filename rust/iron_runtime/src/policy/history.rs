//! History: what was judged once, under the same rules, is not read again.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::{Decision, Direction};
use crate::call::Text;

/// What an entry takes beside its text: keys, counts and places in tables, rounded up.
const ENTRY_BYTES: usize = 256;
/// A text of a conversation has about so many bytes; more or fewer cost a table that grows or stays empty.
const TEXT_BYTES: usize = 2_048;

/// What has been judged lately, by the text itself and not by a hash of it: no text can be taken for another.
pub(crate) struct History(Cache<Key, Arc<[Decision]>, Bytes>);

/// A text, and all that its judgement depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Asked<'a> {
    pub(crate) text: &'a str,
    /// The policies, and which of their rules speak of the call.
    pub(crate) held: &'a [u64],
    pub(crate) direction: Direction,
    /// The tool, where a rule asks for it.
    pub(crate) tool: Option<&'a str>,
}

struct Key {
    text: Text,
    held: Arc<[u64]>,
    direction: Direction,
    tool: Option<Box<str>>,
}

#[derive(Clone)]
struct Bytes;

impl History {
    /// Room for entries of so many bytes together.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Cache::with_weighter(bytes / TEXT_BYTES, bytes as u64, Bytes))
    }

    /// What was decided about a text, or is now by `judge`.
    pub(crate) fn recall(
        &self,
        asked: Asked<'_>,
        text: impl FnOnce() -> Text,
        held: &Arc<[u64]>,
        judge: impl FnOnce() -> Arc<[Decision]>,
    ) -> Arc<[Decision]> {
        if let Some(decisions) = self.0.get(&asked) {
            return decisions;
        }
        let decisions = judge();
        let (direction, tool) = (asked.direction, asked.tool.map(Box::from));
        self.0.insert(Key { text: text(), held: held.clone(), direction, tool }, decisions.clone());
        decisions
    }

    #[cfg(test)]
    fn bytes(&self) -> u64 {
        self.0.weight()
    }
}

impl Key {
    fn asked(&self) -> Asked<'_> {
        Asked { text: &self.text, held: &self.held, direction: self.direction, tool: self.tool.as_deref() }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.asked().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.asked() == other.asked()
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.asked()
    }
}

impl Weighter<Key, Arc<[Decision]>> for Bytes {
    fn weight(&self, key: &Key, decisions: &Arc<[Decision]>) -> u64 {
        (ENTRY_BYTES + key.text.len() + size_of_val(&**decisions)) as u64
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The texts are nobody else's business.
        f.debug_struct("History").field("entries", &self.0.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::config::{PolicySettings, RuleSettings};
    use crate::policy::{Action, Caller, Chain, PolicySet};
    use crate::run::Who;

    const MAIL: &str = "to jane@example.org";

    fn policy(rules: Vec<RuleSettings>) -> PolicySet {
        PolicySet::new(&PolicySettings { rules, ..PolicySettings::default() }).unwrap()
    }

    /// What is made of a text, and whether it was judged anew.
    fn judged(
        history: &History,
        policy: &PolicySet,
        agent: Option<&str>,
        direction: Direction,
        tool: Option<&str>,
    ) -> (Option<Action>, bool) {
        let who = Who::new::<&str>(agent, &[]).unwrap();
        let chain = Chain::new([policy], &Caller::new(&who, "m", []));
        let anew = Cell::new(false);
        let tool = tool.filter(|_| chain.names_tools);
        let asked = Asked { text: MAIL, held: chain.held(), direction, tool };
        let decisions = history.recall(
            asked,
            || MAIL.into(),
            chain.held(),
            || {
                anew.set(true);
                chain.judge(MAIL, direction, tool).decisions
            },
        );
        (decisions.first().map(|decision| decision.action), anew.get())
    }

    #[test]
    fn a_text_is_judged_anew_under_other_rules_for_another_agent_and_elsewhere() {
        let history = History::new(1 << 20);
        let of = |agents: &[&str], tools: &[&str], action| RuleSettings {
            agents: agents.iter().map(ToString::to_string).collect(),
            tools: tools.iter().map(ToString::to_string).collect(),
            ..RuleSettings::new(["pii"], action)
        };
        let all = policy(vec![of(&[], &[], Action::Redact)]);
        let (input, results) = (Direction::Input, Direction::ToolResults);
        assert_eq!(judged(&history, &all, None, input, None), (Some(Action::Redact), true));
        assert_eq!(judged(&history, &all, None, input, None), (Some(Action::Redact), false));
        assert_eq!(
            judged(&history, &all, Some("a"), input, None),
            (Some(Action::Redact), false),
            "no rule asks who"
        );
        assert_eq!(judged(&history, &all, None, results, None), (Some(Action::Redact), true));
        assert_eq!(judged(&history, &all, None, results, Some("x")), (Some(Action::Redact), false));
        let changed = policy(vec![of(&[], &[], Action::Block)]);
        assert_eq!(judged(&history, &changed, None, input, None), (Some(Action::Block), true));

        let some = policy(vec![of(&["a"], &[], Action::Block), of(&[], &["x"], Action::Mask)]);
        assert_eq!(judged(&history, &some, Some("a"), results, Some("x")), (Some(Action::Block), true));
        assert_eq!(judged(&history, &some, Some("b"), results, Some("x")), (Some(Action::Mask), true));
        assert_eq!(judged(&history, &some, Some("b"), results, Some("y")), (Some(Action::Allow), true));
        assert_eq!(judged(&history, &some, Some("c"), results, Some("y")), (Some(Action::Allow), false));
    }

    #[test]
    fn it_keeps_to_its_bound_and_lets_go_of_what_is_asked_least() {
        let bound = 64 << 10;
        let history = History::new(bound);
        let held: Arc<[u64]> = Arc::new([1]);
        let anew = Cell::new(0);
        let ask = |text: String| {
            let asked = Asked { text: &text, held: &held, direction: Direction::Input, tool: None };
            history.recall(
                asked,
                || text.as_str().into(),
                &held,
                || {
                    anew.set(anew.get() + 1);
                    Arc::default()
                },
            );
        };
        for nth in 0..1_000 {
            ask(format!("{nth:0500}"));
            ask("the system prompt, in every call".into());
        }
        assert!(history.bytes() <= bound as u64, "{}", history.bytes());
        assert_eq!(anew.get(), 1_001, "what is asked again and again is kept");
        ask("0".repeat(bound + 1));
        ask("0".repeat(bound + 1));
        assert_eq!(anew.get(), 1_003, "what does not fit is judged each time");
    }

    #[test]
    fn threads_that_share_it_get_what_each_would_have_got_alone() {
        let history = History::new(16 << 10);
        let policies: Vec<_> = [Action::Mask, Action::Hash, Action::Redact]
            .map(|action| policy(vec![RuleSettings::new(["pii"], action)]))
            .into();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for nth in 0..300 {
                        let policy = &policies[nth % policies.len()];
                        let alone = policy.judge(MAIL, Direction::Input).decisions[0].action;
                        assert_eq!(judged(&history, policy, None, Direction::Input, None).0, Some(alone));
                    }
                });
            }
        });
    }
}
