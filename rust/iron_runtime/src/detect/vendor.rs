//! Keys in vendors' formats.

use serde::Deserialize;

use super::Finding;
use super::assignment::value_start;
use super::body::{Body, Runs};
use super::entity::Known;
use super::placeholder::{entropy, is_placeholder};
use super::view::View;

/// No key in `vendors.toml` is longer behind its prefix: streams wait for no more.
#[cfg(test)]
const LONGEST: usize = 320;
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
    body: Body,
    entropy: f32,
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
        let lowered = |written: Written| {
            let body = Body::new(&written.body).map_err(|error| format!("{}: {error}", written.name))?;
            let Written { name, prefix, near, entropy, .. } = written;
            // Read once for the whole process.
            Ok(Rule { name: name.leak(), prefix, near, body, entropy })
        };
        file.rule.into_iter().map(lowered).collect::<Result<_, String>>().map(|rules| Self { rules })
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
        let mut runs = Runs::default();
        for hit in &view.keys {
            let begins = !view.bytes[..hit.start].last().is_some_and(u8::is_ascii_alphanumeric);
            if let Some(rule) = self.rules.get(usize::from(hit.what)).filter(|_| begins) {
                rule.find(view.bytes, hit.start, hit.end, &mut runs, findings);
            }
        }
        for hit in &view.near {
            if let Some(rule) = self.rules.get(usize::from(hit.what)) {
                rule.find(view.bytes, hit.end, hit.end, &mut runs, findings);
            }
        }
    }
}

impl Rule {
    /// Add the key that begins at `start` if its body, or what leads to it, begins at `from`.
    fn find(&self, text: &[u8], start: usize, from: usize, runs: &mut Runs, findings: &mut Vec<Finding>) {
        let at = if self.near.is_empty() { Some(from) } else { assigned(text, from) };
        let Some(at) = at else { return };
        let Some(len) = self.body.len_at(text, at, runs) else { return };
        let end = at + len;
        let body = &text[at..end];
        let goes_on = text.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if goes_on || entropy(body) < self.entropy.min(most_entropy(len)) || is_placeholder(body) {
            return;
        }
        let start = if self.near.is_empty() { start } else { at };
        findings.push(Finding::new(Known::ApiKey, start..end, 0.95, self.name));
    }
}

/// Where the key begins that is assigned to the name of a vendor.
fn assigned(text: &[u8], name_end: usize) -> Option<usize> {
    let (start, _) = value_start(text, name_end)?;
    let scheme = [&b"Bearer "[..], b"bearer ", b"SSWS ", b"Token ", b"token "];
    Some(
        start
            + scheme.iter().find(|scheme| text[start..].starts_with(scheme)).map_or(0, |scheme| scheme.len()),
    )
}

/// Short texts cannot have more: bits a character of so many different ones, less a tenth for chance.
#[expect(clippy::cast_precision_loss, reason = "a key has some hundred characters")]
fn most_entropy(len: usize) -> f32 {
    (len as f32).log2() * 0.75
}

/// A key in each format, with each of its prefixes or beside each of its names.
#[cfg(test)]
pub(crate) fn keys(mut draw: impl FnMut(usize) -> usize) -> Vec<String> {
    let vendors = Vendors::new().unwrap_or_else(|error| panic!("{error}"));
    let mut keys = Vec::new();
    for Rule { prefix, near, body, .. } in &vendors.rules {
        for text in prefix.iter().chain(near) {
            let sign = if near.is_empty() { "" } else { "_key = " };
            let bodies = body.texts(&mut draw).into_iter();
            keys.extend(bodies.map(|body| format!("{text}{sign}{body}")));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_rule_is_read_and_has_a_source() {
        let file: File = toml::from_str(include_str!("vendors.toml")).unwrap();
        let names: HashSet<_> = file.rule.iter().map(|rule| &rule.name).collect();
        assert_eq!(names.len(), file.rule.len(), "no name stands twice");
        assert!(names.len() >= 120, "{}", names.len());
        for rule in &file.rule {
            assert!(rule.source.starts_with("https://"), "{}", rule.name);
            assert_ne!(rule.prefix.is_empty(), rule.near.is_empty(), "{}: prefix or near", rule.name);
        }
        for rule in &Vendors::new().unwrap().rules {
            assert!(rule.body.longest() <= LONGEST, "{}", rule.name);
        }
    }
}
