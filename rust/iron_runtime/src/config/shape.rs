//! The shape of the settings: which keys stand where, as names of variables need it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::{schema, tree};

/// What may stand in one place.
pub(super) enum Shape {
    /// A table of these keys.
    Keys(BTreeMap<String, Shape>),
    /// A table of names that the user chooses.
    Names(Box<Shape>),
    /// Anything else.
    Value,
}

static SETTINGS: LazyLock<Shape> = LazyLock::new(|| Shape::new(schema::overlay().as_value()));

impl Shape {
    /// The shape of all settings.
    pub(super) fn settings() -> &'static Self {
        &SETTINGS
    }

    fn new(schema: &Value) -> Self {
        let choices = ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
        let tables = std::iter::once(schema).chain(choices);
        let mut shapes = tables.filter_map(|schema| {
            match (schema.get("properties"), schema.get("additionalProperties")) {
                (Some(Value::Object(keys)), _) => Some(Self::Keys(
                    keys.iter().map(|(key, schema)| (key.clone(), Self::new(schema))).collect(),
                )),
                (None, Some(names @ Value::Object(_))) => Some(Self::Names(Box::new(Self::new(names)))),
                _ => None,
            }
        });
        shapes.next().unwrap_or(Self::Value)
    }

    /// The path that `words`, the part of a variable's name from here on, stands for.
    ///
    /// A name that the user chose is the one in `tree` that reads alike in capitals, or else the words in lower case. Where
    /// words can be divided in several ways, a name in `tree` counts first, then the shortest name.
    pub(super) fn path(&self, words: &str, tree: Option<&tree::Node>) -> Option<Vec<String>> {
        match self {
            Self::Value => None,
            Self::Keys(keys) => keys.iter().find_map(|(key, shape)| {
                let rest = words.strip_prefix(&capitals(key))?;
                let below = tree.and_then(|tree| tree.get(key));
                shape.path_after(key.clone(), rest, below)
            }),
            Self::Names(shape) => {
                let known = tree.into_iter().flat_map(tree::Node::keys).find_map(|(name, below)| {
                    shape.path_after(name.clone(), words.strip_prefix(&capitals(name))?, Some(below))
                });
                known.or_else(|| {
                    divisions(words)
                        .find_map(|at| shape.path_after(words[..at].to_lowercase(), &words[at..], None))
                })
            }
        }
    }

    /// The path through `name`, which leads to this, where `rest` follows it.
    fn path_after(&self, name: String, rest: &str, tree: Option<&tree::Node>) -> Option<Vec<String>> {
        match (self, rest.strip_prefix('_')) {
            (Self::Value, None) if rest.is_empty() => Some(vec![name]),
            (_, Some(rest)) => {
                let mut path = self.path(rest, tree)?;
                path.insert(0, name);
                Some(path)
            }
            _ => None,
        }
    }

    /// The names, from here on, that `words` may have been meant as.
    pub(super) fn candidates(&self, words: &str) -> Vec<String> {
        match self {
            Self::Value => Vec::new(),
            Self::Keys(keys) => keys
                .iter()
                .flat_map(|(key, shape)| {
                    let key = capitals(key);
                    // As many words for the key, however they are spelt.
                    let rest = words.splitn(key.split('_').count() + 1, '_').last().unwrap_or_default();
                    shape.candidates_after(&key, rest)
                })
                .collect(),
            Self::Names(shape) => divisions(words)
                .flat_map(|at| shape.candidates_after(&words[..at], words[at..].trim_start_matches('_')))
                .collect(),
        }
    }

    fn candidates_after(&self, name: &str, rest: &str) -> Vec<String> {
        match self {
            Self::Value => vec![name.to_owned()],
            _ => self.candidates(rest).into_iter().map(|below| format!("{name}_{below}")).collect(),
        }
    }
}

/// A key as it stands in the name of a variable.
pub(super) fn capitals(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Where a first name may end: before each `_` but the first character, and at the end.
fn divisions(words: &str) -> impl Iterator<Item = usize> {
    let ends = words.match_indices('_').map(|(at, _)| at).chain(std::iter::once(words.len()));
    ends.filter(|at| *at > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path of every key, with a name of the user's where one is asked for.
    fn paths(shape: &Shape) -> Vec<Vec<String>> {
        let under = |name: &str, shape: &Shape| {
            let below = paths(shape).into_iter();
            below.map(|path| [vec![name.to_owned()], path].concat()).collect::<Vec<_>>()
        };
        match shape {
            Shape::Value => vec![Vec::new()],
            Shape::Keys(keys) => keys.iter().flat_map(|(key, shape)| under(key, shape)).collect(),
            Shape::Names(shape) => under("my_name", shape),
        }
    }

    #[test]
    fn every_key_has_a_variable_of_its_own() {
        let paths = paths(Shape::settings());
        assert!(paths.len() > 40, "{paths:?}");
        for path in paths {
            let words = path.iter().map(|key| capitals(key)).collect::<Vec<_>>().join("_");
            assert_eq!(Shape::settings().path(&words, None), Some(path));
        }
    }

    #[test]
    fn a_name_of_the_file_counts_before_the_shortest() {
        let tree = |text: &str| crate::config::parse::toml(std::path::Path::new("iron.toml"), text).unwrap();
        let path =
            |words: &str, text: &str| Shape::settings().path(words, Some(&tree(text))).unwrap().join(" ");
        let words = "PROVIDERS_A_HEADERS_B_HEADERS_C";
        assert_eq!(path(words, ""), "providers a headers b_headers_c");
        assert_eq!(path(words, "[providers.'A-headers.b']"), "providers A-headers.b headers c");
    }
}
