//! The fields of one JSON object, as they stand in the body of a request.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use iron_runtime::{Json, Text};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What is wrong with a request, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The way to the field, such as `messages[2].content`; empty for the body itself.
    pub(crate) place: String,
    /// What is wrong with it, and what would be right; never what was given.
    pub(crate) what: String,
}

impl Wrong {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { place: String::new(), what: what.into() }
    }

    /// The same, within the field `name`.
    pub(crate) fn at(mut self, name: &str) -> Self {
        let dot = if self.place.is_empty() || self.place.starts_with('[') { "" } else { "." };
        self.place = format!("{name}{dot}{}", self.place);
        self
    }

    /// The same, within the item `index` of a list.
    pub(crate) fn at_index(self, index: usize) -> Self {
        self.at(&format!("[{index}]"))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, what } = self;
        if place.is_empty() { write!(f, "the body {what}") } else { write!(f, "{place} {what}") }
    }
}

/// The fields of an object in the order given.
pub(crate) struct Fields<'b>(pub(crate) Vec<(Cow<'b, str>, Raw<'b>)>);

/// One value of the body, unread.
#[derive(Clone, Copy)]
pub(crate) struct Raw<'b> {
    value: &'b RawValue,
}

impl<'b> Fields<'b> {
    /// The fields of a body.
    pub(crate) fn of_body(body: &'b Bytes) -> Result<Self, Wrong> {
        serde_json::from_slice(body).map_err(|_| Wrong::new("is not a JSON object"))
    }

    pub(crate) fn get(&self, name: &str) -> Option<Raw<'b>> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    /// The fields that are not in `known`, for passing on.
    pub(crate) fn others(&self, body: &Bytes, known: &[&str]) -> Vec<(Text, Json)> {
        let others = self.0.iter().filter(|(name, _)| !known.contains(&&**name));
        others.map(|(name, value)| (Text::from(&**name), value.json(body))).collect()
    }
}

impl<'b> Raw<'b> {
    fn text(self) -> &'b str {
        self.value.get()
    }

    pub(crate) fn is_null(self) -> bool {
        self.text() == "null"
    }

    pub(crate) fn is_list(self) -> bool {
        self.text().starts_with('[')
    }

    /// The value as it was written, without a copy.
    pub(crate) fn json(self, body: &Bytes) -> Json {
        Json::from_valid_text(shared(body, self.text()))
    }

    /// A string; a part of the body where it has no escapes.
    pub(crate) fn string(self, body: &Bytes) -> Result<Text, Wrong> {
        let text = serde_json::from_str::<Borrowed<'b>>(self.text());
        match text.map_err(|_| Wrong::new("is not a string"))?.0 {
            Cow::Borrowed(text) => Ok(shared(body, text)),
            Cow::Owned(text) => Ok(text.into()),
        }
    }

    /// A name or another string that is not kept.
    pub(crate) fn name(self) -> Result<Cow<'b, str>, Wrong> {
        let name = serde_json::from_str::<Borrowed<'b>>(self.text());
        name.map(|name| name.0).map_err(|_| Wrong::new("is not a string"))
    }

    /// A count above zero.
    pub(crate) fn count(self) -> Result<u32, Wrong> {
        match serde_json::from_str(self.text()) {
            Ok(0) | Err(_) => Err(Wrong::new("is not a whole number from 1 to 4294967295")),
            Ok(count) => Ok(count),
        }
    }

    pub(crate) fn flag(self) -> Result<bool, Wrong> {
        serde_json::from_str(self.text()).map_err(|_| Wrong::new("is neither true nor false"))
    }

    pub(crate) fn list(self) -> Result<Vec<Raw<'b>>, Wrong> {
        let items = serde_json::from_str::<Vec<&'b RawValue>>(self.text());
        let items = items.map_err(|_| Wrong::new("is not a list"))?;
        Ok(items.into_iter().map(|value| Raw { value }).collect())
    }

    pub(crate) fn fields(self) -> Result<Fields<'b>, Wrong> {
        serde_json::from_str(self.text()).map_err(|_| Wrong::new("is not an object"))
    }
}

/// Valid UTF-8 cut from the body: checked again, as the type asks, for less than a copy costs.
fn shared(body: &Bytes, text: &str) -> Text {
    Text::try_from(body.slice_ref(text.as_bytes())).unwrap_or_else(|_| Text::from(text))
}

#[derive(Deserialize)]
struct Borrowed<'b>(#[serde(borrow)] Cow<'b, str>);

impl<'de: 'b, 'b> Deserialize<'de> for Fields<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((Borrowed(name), value)) = map.next_entry::<Borrowed<'de>, &'de RawValue>()? {
                    fields.push((name, Raw { value }));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_escapes_is_a_part_of_the_body() {
        let body = Bytes::from_static("{\"a\": \"é\", \"b\": \"x\\ny\", \"c\": [1, {}]}".as_bytes());
        let fields = Fields::of_body(&body).unwrap();
        let at = |text: &Text| body.as_ptr_range().contains(&text.as_ptr());
        let plain = fields.get("a").unwrap().string(&body).unwrap();
        assert!(plain == "é" && at(&plain));
        let escaped = fields.get("b").unwrap().string(&body).unwrap();
        assert!(escaped == "x\ny" && !at(&escaped));
        assert_eq!(fields.get("c").unwrap().json(&body).as_str(), "[1, {}]");
        assert_eq!(fields.others(&body, &["a", "c"]).len(), 1);
    }

    #[test]
    fn a_place_is_written_as_in_python() {
        let wrong = Wrong::new("is wrong").at("url").at("image_url").at_index(2).at("content").at_index(0);
        assert_eq!(wrong.at("messages").to_string(), "messages[0].content[2].image_url.url is wrong");
        assert_eq!(Wrong::new("is wrong").to_string(), "the body is wrong");
    }
}
