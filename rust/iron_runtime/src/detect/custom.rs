//! Keywords and patterns of the configuration.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex::{Regex, RegexBuilder};

use super::ahead::Ahead;
use super::{Entity, Finding};
use crate::Error;

/// A pattern's automaton has at most so many bytes.
const AUTOMATON: usize = 1 << 20;

/// What the configuration looks for, compiled.
#[derive(Debug, Default)]
pub(crate) struct Custom {
    keywords: Option<Keywords>,
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    name: Arc<str>,
    regex: Regex,
    ahead: Ahead,
}

/// All lists in one automaton.
#[derive(Debug)]
struct Keywords {
    automaton: AhoCorasick,
    lists: Vec<Arc<str>>,
    /// In order, small: for finding those that a text ends with the beginning of.
    sorted: Vec<Box<str>>,
    longest: usize,
}

impl Keywords {
    /// Every word with its list: of a list's own that overlap the first and longest, whatever other lists have there.
    fn found(&self, text: &str) -> Vec<(&Arc<str>, Range<usize>)> {
        let bytes = text.as_bytes();
        let inside = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let whole = |span: &Range<usize>| {
            !(inside(bytes[..span.start].last()) && inside(bytes.get(span.start))
                || inside(bytes.get(span.end)) && inside(bytes[..span.end].last()))
        };
        let words = self.automaton.find_overlapping_iter(text);
        let listed =
            words.filter_map(|word| Some((self.lists.get(word.pattern().as_usize())?, word.range())));
        let mut found: Vec<_> = listed.filter(|(_, span)| whole(span)).collect();
        found.sort_by(|(list, span), (other, next)| {
            (list, span.start, Reverse(span.end)).cmp(&(other, next.start, Reverse(next.end)))
        });
        found.dedup_by(|(list, span), (before, last)| list == before && span.start < last.end);
        found
    }
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
            .build(&words)
            .map_err(|error| Error::config(format!("policy.keywords: {error}")))?;
        let compile = |(name, pattern): (&str, &str)| {
            let built = RegexBuilder::new(pattern).size_limit(AUTOMATON).dfa_size_limit(AUTOMATON).build();
            let wrong = |error| Error::config(format!("policy.patterns.{name}: {error}"));
            let regex = built.map_err(wrong)?;
            if regex.is_match("") {
                return Err(Error::config(format!("policy.patterns.{name} matches the empty text")));
            }
            let ahead = Ahead::new(pattern, AUTOMATON)
                .map_err(|error| Error::config(format!("policy.patterns.{name}: {error}")))?;
            Ok(Pattern { name: Arc::from(name), regex, ahead })
        };
        let mut sorted: Vec<Box<str>> = words.iter().map(|word| word.to_ascii_lowercase().into()).collect();
        sorted.sort_unstable();
        let longest = words.iter().map(String::len).max().unwrap_or(0);
        Ok(Self {
            keywords: (!words.is_empty()).then_some(Keywords { automaton, lists, sorted, longest }),
            patterns: patterns.map(compile).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn find(&self, text: &str, findings: &mut Vec<Finding>) {
        let mut add = |entity, span, reason: &'static str| {
            findings.push(Finding { entity, span, score: 1.0, reason: reason.into() });
        };
        for (list, span) in self.keywords.iter().flat_map(|keywords| keywords.found(text)) {
            add(Entity::Keyword(list.clone()), span, "keyword");
        }
        for Pattern { name, regex, .. } in &self.patterns {
            for found in regex.find_iter(text).filter(|found| !found.is_empty()) {
                add(Entity::Pattern(name.clone()), found.range(), "pattern");
            }
        }
    }

    /// The name of each word's list.
    pub(crate) fn lists(&self) -> impl Iterator<Item = &Arc<str>> {
        self.keywords.iter().flat_map(|keywords| &keywords.lists)
    }

    /// The name of each pattern.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Arc<str>> {
        self.patterns.iter().map(|pattern| &pattern.name)
    }

    /// Where the first keyword begins, from `from` on, that the end of the text may be the beginning of.
    pub(super) fn open_keyword(&self, text: &str, from: usize) -> Option<usize> {
        let Keywords { sorted, longest, .. } = self.keywords.as_ref()?;
        let from = from.max(text.len().saturating_sub(*longest));
        (from..text.len()).filter(|at| text.is_char_boundary(*at)).find(|at| {
            let tail = text[*at..].to_ascii_lowercase();
            let first = sorted.partition_point(|word| **word < *tail);
            sorted.get(first).is_some_and(|word| word.starts_with(&tail))
        })
    }

    /// The same for a match of the pattern `name`.
    pub(super) fn open_pattern(&self, name: &str, text: &str, from: usize) -> Option<usize> {
        self.pattern(name)?.ahead.open(text, from)
    }

    /// Whether no part of a text can tell where the pattern `name` matches.
    pub(crate) fn needs_whole(&self, name: &str) -> bool {
        self.pattern(name).is_some_and(|pattern| pattern.ahead.needs_whole())
    }

    fn pattern(&self, name: &str) -> Option<&Pattern> {
        self.patterns.iter().find(|pattern| *pattern.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lists: &[(&str, &[&str])], text: &str) -> Vec<String> {
        let lists: Vec<(&str, Vec<String>)> = lists
            .iter()
            .map(|(name, words)| (*name, words.iter().map(ToString::to_string).collect()))
            .collect();
        let lists = lists.iter().map(|(name, words)| (*name, words.as_slice()));
        let mut findings = Vec::new();
        Custom::new(lists, std::iter::empty()).unwrap().find(text, &mut findings);
        findings.iter().map(|found| format!("{}={}", found.entity, &text[found.span.clone()])).collect()
    }

    #[test]
    fn no_list_hides_the_words_of_another() {
        let (secret, public) = (("secret", &["falcon"][..]), ("public", &["project falcon", "Falcon"][..]));
        let each = ["keyword:public=project falcon", "keyword:secret=falcon"];
        assert_eq!(found(&[secret, public], "the project falcon is"), each);
        assert_eq!(found(&[public, secret], "the project falcon is"), each);
        assert_eq!(found(&[public, secret], "a falcon"), ["keyword:public=falcon", "keyword:secret=falcon"]);
    }

    #[test]
    fn a_longer_word_that_is_cut_does_not_hide_a_shorter_one() {
        let list = [("a", &["falcon", "falcon pro"][..])];
        assert_eq!(found(&list, "falcon project"), ["keyword:a=falcon"]);
        assert_eq!(found(&list, "falcon pro."), ["keyword:a=falcon pro"]);
        assert_eq!(found(&list, "falcon falcons falcon"), ["keyword:a=falcon", "keyword:a=falcon"]);
    }
}
