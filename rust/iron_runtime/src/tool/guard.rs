//! A guard: one table of rules on tools, for every agent or for those of a name.

use std::sync::Arc;

use crate::Error;
use crate::config::{AgentToolSettings, toml_path};
use crate::glob::Globs;

/// The rules of `[tools]` or of a `[tools.agents.NAME]`.
#[derive(Debug)]
pub(super) struct Guard {
    /// Whose calls it holds; everyone's without.
    agents: Option<Globs>,
    allow: Option<Named>,
    deny: Named,
    approval: Named,
    /// How often tools may be called.
    pub(super) limits: Vec<Limit>,
    /// How often a tool may be called with the same arguments.
    pub(super) repeats: Option<Limit>,
}

/// How often the tools of these names may be called in one run, together.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) rule: Arc<str>,
    pub(super) tools: Globs,
    pub(super) most: u32,
    /// Whether it is of tools that are named, and not of all.
    pub(super) named: bool,
}

/// A list, and what it is called where it decides.
#[derive(Debug)]
struct Named {
    rule: Arc<str>,
    tools: Globs,
}

impl Guard {
    /// Check the settings under the path `at`.
    ///
    /// # Errors
    /// [`Error::Config`] that names the key.
    pub(super) fn new(
        at: &[&str],
        agents: Option<Globs>,
        settings: &AgentToolSettings,
    ) -> Result<Self, Error> {
        let key = |keys: &[&str]| toml_path([at, keys].concat());
        let named = |name: &str, globs: &[String]| {
            let rule = key(&[name]);
            Ok::<_, Error>(Named { tools: Globs::new(|| rule.clone(), globs)?, rule: rule.into() })
        };
        let limit = |keys: &[&str], glob: &str, most: u32| {
            let rule = key(keys);
            if most == 0 {
                return Err(Error::config(format!("{rule} is 0: name the tool in deny instead")));
            }
            let tools = Globs::new(|| rule.clone(), &[glob.to_owned()])?;
            Ok(Limit { rule: rule.into(), tools, most, named: keys.len() > 1 })
        };
        let of_all = settings.per_run.map(|most| limit(&["per_run"], "*", most));
        let limits = settings.limits.iter().map(|(glob, most)| limit(&["limits", glob], glob, *most));
        Ok(Self {
            agents,
            allow: settings.allow.as_ref().map(|globs| named("allow", globs)).transpose()?,
            deny: named("deny", &settings.deny)?,
            approval: named("require_approval", &settings.require_approval)?,
            limits: limits.chain(of_all).collect::<Result<_, _>>()?,
            repeats: settings.max_repeats.map(|most| limit(&["max_repeats"], "*", most)).transpose()?,
        })
    }

    /// Whether it holds the calls of `agent`.
    pub(super) fn holds(&self, agent: Option<&str>) -> bool {
        self.agents.as_ref().is_none_or(|names| agent.is_some_and(|agent| names.matches(agent)))
    }

    /// The rule that refuses a tool, and why. Any of its names may be denied; the first is the one to be allowed.
    pub(super) fn refuses(&self, names: &[&str]) -> Option<(&Arc<str>, &'static str)> {
        if names.iter().any(|name| self.deny.tools.matches(name)) {
            return Some((&self.deny.rule, "it is denied"));
        }
        let allow = self.allow.as_ref()?;
        let allowed = names.first().is_some_and(|name| allow.tools.matches(name));
        (!allowed).then_some((&allow.rule, "it is not among the tools that are allowed"))
    }

    /// The rule that asks for approval of a tool.
    pub(super) fn asks(&self, names: &[&str]) -> Option<&Arc<str>> {
        names.iter().any(|name| self.approval.tools.matches(name)).then_some(&self.approval.rule)
    }

    /// The rule that counts calls of the tool by its name.
    pub(super) fn counts(&self, names: &[&str]) -> Option<&Arc<str>> {
        let counts = |limit: &&Limit| limit.named && names.iter().any(|name| limit.tools.matches(name));
        self.limits.iter().find(counts).map(|limit| &limit.rule)
    }

    /// Each pattern that is allowed and denied.
    pub(super) fn warnings(&self, allow: Option<&[String]>) -> Vec<String> {
        let allowing = self.allow.as_ref().filter(|_| !self.deny.tools.is_empty());
        let Some(rule) = allowing.map(|allow| &allow.rule) else { return Vec::new() };
        let denied = |glob: &&String| {
            Globs::new(|| rule.to_string(), std::slice::from_ref(*glob))
                .is_ok_and(|globs| self.deny.tools.include(&globs))
        };
        let pointless = allow.unwrap_or_default().iter().filter(denied);
        let deny = &self.deny.rule;
        pointless.map(|glob| format!("{rule} has {glob:?}, which {deny} takes back")).collect()
    }
}
