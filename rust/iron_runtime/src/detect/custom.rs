//! Keywords and patterns of the configuration.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use regex::{Regex, RegexBuilder};

use super::{Entity, Finding};
use crate::Error;

/// A pattern's automaton has at most so many bytes.
const AUTOMATON: usize = 1 << 20;

/// What the configuration looks for, compiled.
#[derive(Debug, Default)]
pub(crate) struct Custom {
    keywords: Option<Keywords>,
    patterns: Vec<(Arc<str>, Regex)>,
}

/// All lists in one automaton.
#[derive(Debug)]
struct Keywords {
    automaton: AhoCorasick,
    lists: Vec<Arc<str>>,
}

impl Custom {
    pub(crate) fn new<'s>(
        keywords: impl Iterator<Item = (&'s str, &'s [String])>,
        patterns: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> Result<Self, Error> {
        let (mut words, mut lists) = (Vec::new(), Vec::new());
        for (name, list) in keywords {
            let name: Arc<str> = name.into();
            if list.is_empty() || list.iter().any(String::is_empty) {
                return Err(Error::config(format!("policy.keywords.{name} has no words, or an empty one")));
            }
            for word in list {
                words.push(super::Normal::of(word).text.into_owned());
                lists.push(name.clone());
            }
        }
        let automaton = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(&words)
            .map_err(|error| Error::config(format!("policy.keywords: {error}")))?;
        let compile = |(name, pattern): (&str, &str)| {
            let built = RegexBuilder::new(pattern).size_limit(AUTOMATON).dfa_size_limit(AUTOMATON).build();
            let wrong = |error| Error::config(format!("policy.patterns.{name}: {error}"));
            let regex = built.map_err(wrong)?;
            if regex.is_match("") {
                return Err(Error::config(format!("policy.patterns.{name} matches the empty text")));
            }
            Ok((Arc::from(name), regex))
        };
        Ok(Self {
            keywords: (!words.is_empty()).then_some(Keywords { automaton, lists }),
            patterns: patterns.map(compile).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn find(&self, text: &str, findings: &mut Vec<Finding>) {
        let mut add = |entity, span, reason: &'static str| {
            findings.push(Finding { entity, span, score: 1.0, reason: reason.into() });
        };
        if let Some(Keywords { automaton, lists }) = &self.keywords {
            for found in automaton.find_iter(text) {
                let inside = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
                let bytes = text.as_bytes();
                let cut = inside(bytes[..found.start()].last()) && inside(bytes.get(found.start()))
                    || inside(bytes.get(found.end())) && inside(bytes[..found.end()].last());
                if let Some(list) = lists.get(found.pattern().as_usize()).filter(|_| !cut) {
                    add(Entity::Keyword(list.clone()), found.range(), "keyword");
                }
            }
        }
        for (name, regex) in &self.patterns {
            for found in regex.find_iter(text).filter(|found| !found.is_empty()) {
                add(Entity::Pattern(name.clone()), found.range(), "pattern");
            }
        }
    }
}
