//! Profiles: settings for one environment, laid over the others where the profile is chosen.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::IgnoredAny;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::origin::Origin;
use super::tree::{Node, Table, Value};
use super::wrong::{Segment, Wrong};
use super::{Settings, nearest, read};

/// The key under which profiles stand.
const KEY: &str = "profiles";

/// `[profiles.NAME]`, taken out of a document before its settings are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Profiles;

impl<'de> Deserialize<'de> for Profiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Serialize for Profiles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_map(Some(0))?.end()
    }
}

impl JsonSchema for Profiles {
    fn schema_name() -> Cow<'static, str> {
        "Profiles".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // What a profile is, the schema as a whole says: it is made from that of the other settings.
        schemars::json_schema!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/Profile" } })
    }
}

/// Which profile is asked for.
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) origin: Origin,
}

/// A file or a mapping: its settings, and its profiles.
pub(super) struct Document {
    settings: Node,
    profiles: Table,
}

impl Document {
    /// Take a document apart, and read each of its profiles, those too that are not asked for.
    ///
    /// # Errors
    /// What `profiles` holds is not a table of tables of settings.
    pub(super) fn new(mut settings: Node) -> Result<Self, Wrong> {
        let profiles = match settings.take(KEY) {
            None => Table::new(),
            Some(Node { value: Value::Table(profiles), .. }) => profiles,
            Some(other) => return Err(not_a_table(&other).under(Segment::Key(KEY.to_owned()))),
        };
        let document = Self { settings, profiles };
        for (name, overlay) in &document.profiles {
            let inside =
                |wrong: Wrong| wrong.under(Segment::Key(name.clone())).under(Segment::Key(KEY.to_owned()));
            let Value::Table(keys) = &overlay.value else { return Err(inside(not_a_table(overlay))) };
            if let Some(nested) = keys.get(KEY) {
                let message = " stands in a profile: a profile holds settings, not profiles".to_owned();
                return Err(inside(
                    Wrong::new(message).at(&nested.origin).under(Segment::Key(KEY.to_owned())),
                ));
            }
            let mut tree = document.settings.clone();
            tree.overlay(overlay.clone()).and_then(|()| read::read::<Settings>(&tree).map(drop))?;
        }
        Ok(document)
    }

    pub(super) fn profiles(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// Lay the settings, and above them those of the profile that is asked for, over a tree.
    pub(super) fn lay_over(mut self, tree: &mut Node, choice: Option<&Choice>) -> Result<(), Wrong> {
        tree.overlay(self.settings)?;
        match choice.and_then(|choice| self.profiles.remove(&choice.name)) {
            Some(overlay) => tree.overlay(overlay),
            None => Ok(()),
        }
    }
}

/// Refuse a profile that no document has: it was asked for because the others' settings will not do.
pub(super) fn check<'a>(choice: &Choice, documents: impl Iterator<Item = &'a Document>) -> Result<(), Wrong> {
    let known: Vec<&str> = documents.flat_map(Document::profiles).collect();
    if known.contains(&&*choice.name) {
        return Ok(());
    }
    let message = if known.is_empty() {
        format!("unknown profile `{}`: the configuration has none", nearest::shown(&choice.name))
    } else {
        nearest::not_among("profile", &choice.name, &known)
    };
    Err(Wrong::new(message).at(&choice.origin))
}

fn not_a_table(node: &Node) -> Wrong {
    Wrong::new(format!(" is {}: give a table", node.value.kind())).at(&node.origin)
}
