//! What is wrong with a setting, and at which key.
//!
//! Values are described, never quoted, but for numbers out of range and words that are none of a fixed few: any other
//! may be a key that somebody pasted into the wrong place.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::nearest::{choice, not_among};
use super::origin::Origin;
use crate::Error;

/// An error on its way up the tree.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Follows the key: begins with a space or a colon.
    message: String,
    /// The path to the key, innermost first.
    path: Vec<Segment>,
    origin: Option<Origin>,
}

/// One step of a path.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

impl Wrong {
    pub(super) fn new(message: String) -> Self {
        Self { message, path: Vec::new(), origin: None }
    }

    /// State the place, unless it is known more closely.
    pub(super) fn at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// State the key or index that the path so far stands under.
    pub(super) fn under(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        for (depth, segment) in self.path.iter().rev().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    f.write_str(if depth == 0 { "" } else { "." })?;
                    f.write_str(&as_toml(key))?;
                }
            }
        }
        let alone = self.message.trim_start_matches([':', ' ']);
        f.write_str(if self.path.is_empty() { alone } else { &self.message })
    }
}

/// A path as TOML writes it.
pub(crate) fn path<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    keys.into_iter().map(as_toml).collect::<Vec<_>>().join(".")
}

fn as_toml(key: &str) -> Cow<'_, str> {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { key.into() } else { format!("{key:?}").into() }
}

impl std::error::Error for Wrong {}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        Self::config(wrong.to_string())
    }
}

impl de::Error for Wrong {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(format!(": {message}"))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!(" is {}: give {}", kind(&found), plain(expected)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Float(number) => number.to_string(),
            other => kind(&other).to_owned(),
        };
        Self::new(format!(" is {found}: give {}", plain(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!(": {}", not_among("key", field, expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!(": {}", not_among("value", variant, expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!(" needs the key {}", choice(&[field])))
    }
}

/// What a value is, in the words of the documentation.
fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a number with a point",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        Unexpected::Unit => "null",
        Unexpected::Other("date") => "a date",
        _ => "of another kind",
    }
}

/// What serde expects, in the words of the documentation.
fn plain(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match &*expected {
        "u8" => format!("an integer from 0 to {}", u8::MAX),
        "u16" => format!("an integer from 0 to {}", u16::MAX),
        "u32" => format!("an integer from 0 to {}", u32::MAX),
        "u64" | "usize" => format!("an integer from 0 to {}", i64::MAX),
        "i32" | "i64" => "an integer".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" => "text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        _ => expected,
    }
}
