//! Narrowing: whose calls, which models and which tools a rule is about.

use crate::Error;
use crate::config::RuleSettings;
use crate::glob::Globs;
use crate::run::Who;

/// Who makes a call, and which model it is for.
#[derive(Clone, Debug)]
pub struct Caller<'c> {
    who: &'c Who,
    model: &'c str,
    upstreams: Vec<&'c str>,
}

impl<'c> Caller<'c> {
    /// `model` is what was asked for, an alias or `provider/model`, and each of `upstreams` a `provider/model` that may
    /// answer; without one, `model` is.
    pub fn new(who: &'c Who, model: &'c str, upstreams: impl IntoIterator<Item = &'c str>) -> Self {
        let mut upstreams: Vec<_> = upstreams.into_iter().collect();
        upstreams.dedup();
        if upstreams.is_empty() {
            upstreams.push(model);
        }
        Self { who, model, upstreams }
    }

    pub(super) fn upstreams(&self) -> impl Iterator<Item = &'c str> {
        self.upstreams.iter().copied()
    }

    /// Why a rule refuses the call.
    pub(super) fn refused(&self, upstream: &str) -> String {
        let agent = self
            .who
            .agent
            .as_deref()
            .map_or("a call without an agent".to_owned(), |agent| format!("agent {agent:?}"));
        let alias =
            if upstream == self.model { String::new() } else { format!(", an upstream of {:?}", self.model) };
        format!("{agent} may not use {upstream:?}{alias}; ask for a model that the policy lets it use")
    }
}

/// Why a rule does not speak of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Its `direction` names others.
    Direction,
    /// Its `agents` name others.
    Agent,
    /// Its `tags` name others.
    Tag,
    /// Its `models` and `not_models` leave this one out.
    Model,
    /// Its `tools` name others.
    Tool,
    /// The score is below its threshold.
    Threshold,
}

/// What narrows a rule. An empty list does not.
#[derive(Clone, Debug, Default)]
pub(super) struct Narrow {
    agents: Globs,
    tags: Globs,
    models: Globs,
    not_models: Globs,
    tools: Globs,
}

impl Narrow {
    pub(super) fn new(place: &str, rule: &RuleSettings) -> Result<Self, Error> {
        let globs = |name: &str, globs: &[String]| Globs::new(|| format!("{place}.{name}"), globs);
        Ok(Self {
            agents: globs("agents", &rule.agents)?,
            tags: globs("tags", &rule.tags)?,
            models: globs("models", &rule.models)?,
            not_models: globs("not_models", &rule.not_models)?,
            tools: globs("tools", &rule.tools)?,
        })
    }

    /// Whether it speaks of every call.
    pub(super) fn is_for_everybody(&self) -> bool {
        [&self.agents, &self.tags, &self.models, &self.not_models].into_iter().all(Globs::is_empty)
    }

    /// Whether it speaks of a tool's texts alone.
    pub(super) fn names_tools(&self) -> bool {
        !self.tools.is_empty()
    }

    /// Why it does not speak of a call, as far as the call goes to that upstream.
    ///
    /// The name that was asked for counts beside the upstream's, so that an alias can be named. It is not to be lent
    /// another's name either: where the rule would become laxer by it, the alias must be written out. What makes a rule
    /// laxer depends on whether it is `careful`, one that acts, or one that lets pass.
    pub(super) fn misses_call(&self, caller: &Caller<'_>, upstream: &str, careful: bool) -> Option<Miss> {
        let Who { agent, tags } = caller.who;
        let named = |globs: &Globs, strict: bool| {
            globs.matches(upstream)
                || if strict { globs.matches(caller.model) } else { globs.spell(caller.model) }
        };
        if !self.agents.is_empty() && !agent.as_ref().is_some_and(|agent| self.agents.matches(agent)) {
            Some(Miss::Agent)
        } else if !self.tags.is_empty() && !tags.iter().any(|tag| self.tags.matches(tag)) {
            Some(Miss::Tag)
        } else if !self.models.is_empty() && !named(&self.models, careful)
            || named(&self.not_models, !careful)
        {
            Some(Miss::Model)
        } else {
            None
        }
    }

    /// Whether it speaks of a tool; of one that is not known, if that is the `careful` answer.
    pub(super) fn takes_tool(&self, tool: Option<&str>, careful: bool) -> bool {
        self.tools.is_empty() || tool.map_or(careful, |tool| self.tools.matches(tool))
    }

    /// Whether whatever `other` speaks of, this speaks of too. Said only where it is certain: of an alias and of a tool
    /// that is not known, a rule that lets pass speaks less than one that acts, which makes this one the `laxer`.
    pub(super) fn includes(&self, other: &Self, laxer: bool) -> bool {
        let wider = |own: &Globs, other: &Globs| own.is_empty() || !other.is_empty() && own.include(other);
        let aliases = laxer && !(self.models.is_empty() || other.models.have_slashes());
        wider(&self.agents, &other.agents)
            && wider(&self.tags, &other.tags)
            && wider(&self.models, &other.models)
            && !aliases
            && other.not_models.include(&self.not_models)
            && (!laxer || self.not_models.have_slashes())
            && wider(&self.tools, &other.tools)
            && !(laxer && self.names_tools())
    }

    /// Globs for models that match none of `names`, each with its setting.
    pub(super) fn idle_models<'a>(
        &'a self,
        names: &'a [String],
    ) -> impl Iterator<Item = (&'static str, String)> + 'a {
        let lists = [("models", &self.models), ("not_models", &self.not_models)];
        lists.into_iter().flat_map(|(setting, globs)| globs.idle(names).map(move |glob| (setting, glob)))
    }
}

impl Miss {
    /// The name of the setting that leaves it out.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direction => "direction",
            Self::Agent => "agents",
            Self::Tag => "tags",
            Self::Model => "models",
            Self::Tool => "tools",
            Self::Threshold => "threshold",
        }
    }
}
