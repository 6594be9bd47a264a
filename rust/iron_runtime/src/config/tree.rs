//! Settings before they have types: a tree in which each value knows where it was written.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::origin::Origin;
use super::wrong::{Segment, Wrong};

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// Values by key.
pub(super) type Table = BTreeMap<String, Node>;

/// What can be written in a file, a variable or a mapping.
#[derive(Clone)]
pub(super) enum Value {
    Table(Table),
    List(Vec<Node>),
    Text(String),
    /// The text of a variable: a number where a number is expected, and so on.
    Untyped(String),
    Integer(i64),
    /// An integer beyond `i64`.
    Unsigned(u64),
    Float(f64),
    Bool(bool),
    Date,
    /// Inside a list; elsewhere it is as if it were not written.
    Null,
}

impl Value {
    /// What it is, in the words of an error.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::List(_) => "a list",
            Self::Text(_) | Self::Untyped(_) => "text",
            Self::Integer(_) | Self::Unsigned(_) => "an integer",
            Self::Float(_) => "a number with a point",
            Self::Bool(_) => "true or false",
            Self::Date => "a date",
            Self::Null => "null",
        }
    }
}

impl Node {
    pub(super) fn table(origin: Origin) -> Self {
        Self { origin, value: Value::Table(Table::new()) }
    }

    /// The value under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(table) => table.get(key),
            _ => None,
        }
    }

    /// The keys of a table, and what stands under them.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&String, &Self)> {
        match &self.value {
            Value::Table(table) => Some(table.iter()),
            _ => None,
        }
        .into_iter()
        .flatten()
    }

    /// Take out the value under a key.
    pub(super) fn take(&mut self, key: &str) -> Option<Self> {
        match &mut self.value {
            Value::Table(table) => table.remove(key),
            _ => None,
        }
    }

    /// Put a value under a path, with the tables that lead to it.
    pub(super) fn set(&mut self, path: &[String], node: Self) {
        match (path, &mut self.value) {
            ([], _) => *self = node,
            ([key, rest @ ..], Value::Table(table)) => {
                let below = table.entry(key.clone());
                below.or_insert_with(|| Self::table(node.origin.clone())).set(rest, node);
            }
            // A value that is no table has nothing under it.
            _ => {}
        }
    }

    /// Lay another tree over this one, key by key.
    ///
    /// # Errors
    /// One of them has a table where the other has none: whichever it is, part of it would be lost.
    pub(super) fn overlay(&mut self, above: Self) -> Result<(), Wrong> {
        match (&mut self.value, above.value) {
            (Value::Table(below), Value::Table(above)) => {
                for (key, node) in above {
                    match below.entry(key) {
                        Entry::Vacant(free) => {
                            free.insert(node);
                        }
                        Entry::Occupied(mut taken) => {
                            let key = Segment::Key(taken.key().clone());
                            taken.get_mut().overlay(node).map_err(|wrong| wrong.under(key))?;
                        }
                    }
                }
                Ok(())
            }
            (Value::Table(_), value) => Err(clash(&above.origin, &value, &self.origin)),
            (value, Value::Table(_)) => Err(clash(&self.origin, value, &above.origin)),
            (below, value) => {
                *below = value;
                self.origin = above.origin;
                Ok(())
            }
        }
    }

    /// The place of the key that a message is about, which it names in full: `section.key`.
    ///
    /// That is the key it begins with. Where that key was not written, it is another that the message names, or else
    /// the section that the key would stand in.
    pub(super) fn place_of_key_in(&self, message: &str) -> Option<&Origin> {
        let first = self.follow(message);
        if let Some(Found { origin, whole: true, .. }) = first {
            return Some(origin);
        }
        let words =
            message.match_indices(char::is_whitespace).map(|(at, space)| &message[at + space.len()..]);
        let others = words.filter_map(|word| self.follow(word)).filter(|found| found.depth > 1);
        // Of equally deep ones the first.
        let found =
            others.chain(first).reduce(|best, next| if next.depth > best.depth { next } else { best });
        found.map(|found| found.origin)
    }

    /// Follow the dotted path that a text begins with, as far as it leads.
    fn follow(&self, text: &str) -> Option<Found<'_>> {
        let Value::Table(keys) = &self.value else { return None };
        let named = keys.iter().filter_map(|(key, node)| Some((key.len(), node, after_key(text, key)?)));
        // Of `a` and `a.b`, both of them keys, the longer.
        let (_, node, rest) = named.max_by_key(|(length, ..)| *length)?;
        let Some(rest) = rest.strip_prefix('.').filter(|rest| rest.starts_with(part_of_key)) else {
            return Some(Found { depth: 1, origin: &node.origin, whole: true });
        };
        let found = node.follow(rest);
        Some(found.map_or(Found { depth: 1, origin: &node.origin, whole: false }, Found::below))
    }
}

/// Where a path led.
struct Found<'a> {
    depth: usize,
    origin: &'a Origin,
    /// All of the path was there.
    whole: bool,
}

impl Found<'_> {
    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

fn clash(leaf_at: &Origin, leaf: &Value, table_at: &Origin) -> Wrong {
    Wrong::new(format!(" is {}: give a table, as {table_at} does", leaf.kind())).at(leaf_at)
}

/// What follows `key`, bare or quoted, at the start of a text.
fn after_key<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let bare = || text.strip_prefix(key).filter(|rest| !rest.starts_with(part_of_key));
    text.strip_prefix(&format!("{key:?}")).or_else(bare)
}

fn part_of_key(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '"')
}
