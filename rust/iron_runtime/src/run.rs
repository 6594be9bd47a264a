//! A run: one run of an agent, and who it says that its calls are from.

use std::sync::Arc;

use crate::Error;
use crate::policy::Vault;
use crate::tool::Tally;

/// No name is longer, so that every record of it fits a line.
const LONGEST_NAME_BYTES: usize = 256;

/// Who a call is from, as rules, records and events name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The agent's name.
    pub agent: Option<Arc<str>>,
    /// What else the caller says of itself, in the order given, each once.
    pub tags: Vec<Arc<str>>,
}

/// One run of an agent. Clones share what lives as long as the run; a run within another shares nothing with it.
#[derive(Clone, Debug)]
pub struct Run(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    who: Arc<Who>,
    /// How often its calls have called tools.
    tools: Arc<Tally>,
    /// What placeholders stand for in its calls.
    pseudonyms: Vault,
}

impl Who {
    /// Check names.
    ///
    /// # Errors
    /// [`Error::Config`] if one is empty, has control characters, or is longer than 256 bytes.
    pub fn new<T: AsRef<str>>(agent: Option<&str>, tags: &[T]) -> Result<Self, Error> {
        let agent = agent.map(|agent| name("agent", agent)).transpose()?;
        let mut checked = Vec::<Arc<str>>::with_capacity(tags.len());
        for (index, tag) in tags.iter().enumerate() {
            let tag = name(&format!("tags[{index}]"), tag.as_ref())?;
            if !checked.contains(&tag) {
                checked.push(tag);
            }
        }
        Ok(Self { agent, tags: checked })
    }

    /// `self` within `outer`: its own agent, else the outer one; the tags of both.
    #[must_use]
    pub fn within(&self, outer: &Self) -> Self {
        let mut tags = outer.tags.clone();
        tags.extend(self.tags.iter().filter(|tag| !outer.tags.contains(tag)).cloned());
        Self { agent: self.agent.clone().or_else(|| outer.agent.clone()), tags }
    }

    /// Nobody: neither an agent nor a tag.
    pub fn is_nobody(&self) -> bool {
        self.agent.is_none() && self.tags.is_empty()
    }
}

impl Run {
    /// A run of its own.
    pub fn new(who: Who) -> Self {
        Self(Arc::new(Shared { who: Arc::new(who), tools: Arc::default(), pseudonyms: Vault::default() }))
    }

    /// Who its calls are from.
    pub fn who(&self) -> &Arc<Who> {
        &self.0.who
    }

    /// What counts calls of tools.
    pub(crate) fn tools(&self) -> &Arc<Tally> {
        &self.0.tools
    }

    /// What placeholders stand for in its calls.
    pub(crate) fn pseudonyms(&self) -> &Vault {
        &self.0.pseudonyms
    }

    /// Who a call is from that a client makes within a run.
    pub(crate) fn caller(run: Option<&Self>, client: &Arc<Who>) -> Arc<Who> {
        match run {
            None => client.clone(),
            Some(run) if client.is_nobody() => run.who().clone(),
            Some(run) => Arc::new(run.who().within(client)),
        }
    }
}

fn name(place: &str, name: &str) -> Result<Arc<str>, Error> {
    let wrong = |what: &str| Error::config(format!("{place} {what}: give a short name such as \"research\""));
    match name {
        "" => Err(wrong("is empty")),
        long if long.len() > LONGEST_NAME_BYTES => Err(wrong("is longer than 256 bytes")),
        odd if odd.chars().any(char::is_control) => Err(wrong("has a control character")),
        name => Ok(name.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(agent: Option<&str>, tags: &[&str]) -> Who {
        Who::new(agent, tags).unwrap()
    }

    #[test]
    fn an_inner_agent_stands_for_the_outer_and_tags_add_up() {
        let outer = who(Some("planner"), &["eu", "beta"]);
        assert_eq!(
            who(Some("searcher"), &["beta", "web"]).within(&outer),
            who(Some("searcher"), &["eu", "beta", "web"])
        );
        assert_eq!(who(None, &[]).within(&outer), outer);
    }

    #[test]
    fn names_are_checked_and_told_where_they_are() {
        let long = "x".repeat(257);
        for (agent, tags, told) in [
            (Some(""), vec![], "agent is empty"),
            (None, vec!["eu", "a\nb"], "tags[1] has a control character"),
            (None, vec![long.as_str()], "tags[0] is longer"),
        ] {
            let error = Who::new(agent, &tags).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        assert_eq!(who(None, &["eu", "eu"]).tags.len(), 1);
    }

    #[test]
    fn a_call_is_from_its_run_and_its_client() {
        let client = Arc::new(who(Some("service"), &["eu"]));
        assert_eq!(Run::caller(None, &client), client);
        let run = Run::new(who(Some("searcher"), &[]));
        assert_eq!(*Run::caller(Some(&run), &client), who(Some("searcher"), &["eu"]));
        assert_eq!(Run::caller(Some(&run), &Arc::default()), *run.who());
    }
}
