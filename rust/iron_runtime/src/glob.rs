//! Globs: patterns for names of agents, models and tools.

use wildmatch::WildMatch;

use crate::Error;

/// A list of globs: `*` stands for any text, `/` included, and `?` for any character. The case of letters does not
/// matter, so that a rule is not evaded by writing a name in another one: providers that ignore case exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Globs(Box<[WildMatch]>);

impl Globs {
    /// The globs of a setting.
    ///
    /// # Errors
    /// [`Error::Config`] that names `key` for a glob that matches nothing but the empty text.
    pub(crate) fn new(key: impl Fn() -> String, globs: &[String]) -> Result<Self, Error> {
        if let Some(index) = globs.iter().position(String::is_empty) {
            return Err(Error::config(format!(
                "{}[{index}] is empty: write a name, or \"*\" for all",
                key()
            )));
        }
        Ok(Self(globs.iter().map(|glob| WildMatch::new_case_insensitive(glob)).collect()))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them matches the whole name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|glob| glob.matches(name))
    }

    /// Whether one of them is the name, written out.
    pub(crate) fn spell(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|glob| !glob.pattern_chars().iter().any(|c| "*?".contains(*c)) && glob.matches(name))
    }

    /// Whether every one has a slash, so that none matches an alias.
    pub(crate) fn have_slashes(&self) -> bool {
        self.0.iter().all(|glob| glob.pattern_chars().contains(&'/'))
    }

    /// Those that match none of the names.
    pub(crate) fn idle<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = String> + 'a {
        self.0.iter().filter(|glob| !names.iter().any(|name| glob.matches(name))).map(WildMatch::pattern)
    }

    /// Whether it is certain that they match every name that one of `others` matches.
    pub(crate) fn include(&self, others: &Self) -> bool {
        others.0.iter().all(|other| self.0.iter().any(|own| includes(own, other)))
    }
}

/// A star takes whatever another glob has in its place, as text; a question mark would take a star for one character.
fn includes(glob: &WildMatch, other: &WildMatch) -> bool {
    glob == other || !glob.pattern_chars().contains(&'?') && glob.matches(&other.pattern())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(globs: &[&str]) -> Globs {
        Globs::new(|| "key".to_owned(), &globs.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn one_that_matches_is_enough_and_case_does_not_matter() {
        let models = globs(&["openai/*", "*/claude-?"]);
        for (name, matches) in [
            ("openai/gpt-5", true),
            ("OpenAI/GPT-5", true),
            ("router/anthropic/claude-5", true),
            ("anthropic/claude-50", false),
            ("my-openai/gpt-5", false),
            ("openai", false),
        ] {
            assert_eq!(models.matches(name), matches, "{name}");
        }
        assert!(!globs(&[]).matches(""));
    }

    #[test]
    fn a_name_is_spelled_without_wildcards() {
        let aliases = globs(&["fast", "mini*"]);
        assert!(aliases.spell("Fast") && aliases.matches("mini-2"));
        assert!(!aliases.spell("mini-2") && !aliases.spell("mini*"));
        let names = ["fast".to_owned(), "slow".to_owned()];
        assert_eq!(aliases.idle(&names).collect::<Vec<_>>(), ["mini*"]);
    }

    #[test]
    fn what_a_list_includes() {
        for (list, other, included) in [
            (&["openai/*"][..], &["openai/gpt-*", "OpenAI/x?"][..], true),
            (&["*"], &["a?", "b*"], true),
            (&["a*"], &["a*", "b"], false),
            (&["a?"], &["a*"], false),
            (&["a?"], &["a?"], true),
            (&["a", "b"], &["B"], true),
            (&[], &["a"], false),
        ] {
            assert_eq!(globs(list).include(&globs(other)), included, "{list:?} {other:?}");
        }
    }

    #[test]
    fn an_empty_one_is_refused() {
        let error = Globs::new(|| "tools.deny".to_owned(), &["a".into(), String::new()]).unwrap_err();
        assert_eq!(error.to_string(), "tools.deny[1] is empty: write a name, or \"*\" for all");
    }
}
