//! Keys in vendors' formats.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::Finding;
use super::entity::Known;
use super::placeholder::{entropy, is_placeholder};
use super::view::View;

/// No key in `vendors.toml` is longer behind its prefix.
const LONGEST: usize = 320;
/// A program's automaton has at most so many bytes; each is bounded by the repetitions of its rule.
const AUTOMATON: usize = 4 << 20;
/// What may stand between a vendor's name and the key: the rest of a name, quotes, a sign of assignment.
const ASSIGNMENT: &str =
    r#"[A-Za-z0-9_.\[\]-]{0,40}["']?[ \t]{0,4}(?:=|:=|:|=>|,)[ \t]{0,4}["'`]?(?:Bearer |SSWS )?"#;

/// The rules of `vendors.toml`.
#[derive(Debug)]
pub(super) struct Vendors {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    name: &'static str,
    prefix: Vec<String>,
    near: Vec<String>,
    body: String,
    entropy: f32,
    /// Compiled when the first text needs it: most rules never are.
    compiled: OnceLock<Option<Regex>>,
}

#[derive(Deserialize)]
struct File {
    rule: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    prefix: Vec<String>,
    #[serde(default)]
    near: Vec<String>,
    body: String,
    #[serde(default = "usual_entropy")]
    entropy: f32,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for those who read the file; a test sees that it is there")
    )]
    source: String,
}

fn usual_entropy() -> f32 {
    3.0
}

impl Vendors {
    pub(super) fn new() -> Result<Self, String> {
        let file: File = toml::from_str(include_str!("vendors.toml")).map_err(|error| error.to_string())?;
        let rules = file.rule.into_iter().map(|written| Rule {
            // Read once for the whole process.
            name: written.name.leak(),
            prefix: written.prefix,
            near: written.near,
            body: written.body,
            entropy: written.entropy,
            compiled: OnceLock::new(),
        });
        Ok(Self { rules: rules.collect() })
    }

    /// Every prefix with its rule.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = (u16, &str)> {
        self.listed(|rule| &rule.prefix)
    }

    /// Every vendor's name with its rule.
    pub(super) fn names(&self) -> impl Iterator<Item = (u16, &str)> {
        self.listed(|rule| &rule.near)
    }

    fn listed(&self, list: impl Fn(&Rule) -> &Vec<String>) -> impl Iterator<Item = (u16, &str)> {
        (0..)
            .zip(&self.rules)
            .flat_map(move |(index, rule)| list(rule).iter().map(move |text| (index, text.as_str())))
    }

    /// Add every key.
    pub(super) fn find(&self, view: &View<'_>, findings: &mut Vec<Finding>) {
        for hit in &view.keys {
            let begins = !view.bytes[..hit.start].last().is_some_and(u8::is_ascii_alphanumeric);
            if let Some(rule) = self.rules.get(usize::from(hit.what)).filter(|_| begins) {
                rule.find(view.bytes, hit.start, hit.end, findings);
            }
        }
        for hit in &view.near {
            if let Some(rule) = self.rules.get(usize::from(hit.what)) {
                rule.find(view.bytes, hit.end, hit.end, findings);
            }
        }
    }
}

impl Rule {
    fn regex(&self) -> Option<&Regex> {
        let compile = || {
            let assigned = if self.near.is_empty() { "" } else { ASSIGNMENT };
            let pattern = format!(r"\A(?:{assigned})({})", self.body);
            RegexBuilder::new(&pattern).unicode(false).size_limit(AUTOMATON).build().ok()
        };
        self.compiled.get_or_init(compile).as_ref()
    }

    /// Add the key that begins at `start` if its body, or what leads to it, begins at `from`.
    fn find(&self, text: &[u8], start: usize, from: usize, findings: &mut Vec<Finding>) {
        let window = &text[from..text.len().min(from + LONGEST)];
        let Some(regex) = self.regex() else { return };
        // Finding the end alone is many times faster than finding where a group begins.
        let body = match regex.find(window) {
            Some(found) if self.near.is_empty() => Some(found),
            Some(_) => regex.captures(window).and_then(|found| found.get(1)),
            None => None,
        };
        let Some(body) = body else { return };
        let end = from + body.end();
        let goes_on = text.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if goes_on
            || entropy(body.as_bytes()) < self.entropy.min(most_entropy(body.len()))
            || is_placeholder(body.as_bytes())
        {
            return;
        }
        let start = if self.near.is_empty() { start } else { from + body.start() };
        findings.push(Finding::new(Known::ApiKey, start..end, 0.95, self.name));
    }
}

/// Short texts cannot have more: bits a character of so many different ones, less a tenth for chance.
#[expect(clippy::cast_precision_loss, reason = "a key has some hundred characters")]
fn most_entropy(len: usize) -> f32 {
    (len as f32).log2() * 0.75
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_rule_compiles_and_has_a_source() {
        let file: File = toml::from_str(include_str!("vendors.toml")).unwrap();
        let names: HashSet<_> = file.rule.iter().map(|rule| &rule.name).collect();
        assert_eq!(names.len(), file.rule.len(), "no name stands twice");
        assert!(names.len() >= 120, "{}", names.len());
        for rule in &file.rule {
            assert!(rule.source.starts_with("https://"), "{}", rule.name);
            assert_ne!(rule.prefix.is_empty(), rule.near.is_empty(), "{}: prefix or near", rule.name);
        }
        for rule in &Vendors::new().unwrap().rules {
            assert!(rule.regex().is_some(), "{}", rule.name);
        }
    }
}
