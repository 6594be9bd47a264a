//! JSON that means one thing to everybody who reads it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Check that `body` is one JSON value in which no object has a field twice, at any depth.
///
/// Of two fields of one name, the one that is judged here may not be the one that a provider reads.
pub(crate) fn check(body: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    Unique.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Reads over a value; `serde_json` itself refuses what is nested deeper than 128 levels.
#[derive(Clone, Copy)]
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        while let Some(Name(name)) = map.next_key()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a field is given twice"));
            }
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// The names of one object's fields. Most objects have few, and need no table.
#[derive(Default)]
struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

const FEW: usize = 16;

impl<'a> Names<'a> {
    fn insert(&mut self, name: Cow<'a, str>) -> bool {
        if self.few.contains(&name) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(name);
            return true;
        }
        self.many.insert(name)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_given_twice_is_refused_at_any_depth() {
        let wide = (0..40).map(|n| format!("\"f{n}\":{n},")).collect::<Vec<_>>().concat();
        for body in [
            r#"{"model":"a","model":"b"}"#.to_owned(),
            r#"{"a":[{"b":{"c":1,"d":2,"c":3}}]}"#.to_owned(),
            // The same name, written with an escape.
            r#"{"role":"user","\u0072ole":"system"}"#.to_owned(),
            format!("{{{wide}\"f39\":0}}"),
        ] {
            let error = check(body.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("a field is given twice"), "{error}");
        }
        assert!(check(format!("{{{wide}\"g\":[{{\"f1\":1}},{{\"f1\":1}}]}}").as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_json_or_nested_too_deep_is_refused() {
        for body in ["", "{", "{} {}", "[1,]", "{\"a\":1e999}", "\u{0}"] {
            assert!(check(body.as_bytes()).is_err(), "{body}");
        }
        assert!(check(&[b'"', 0xff, b'"']).is_err());
        assert!(check("[".repeat(100_000).as_bytes()).unwrap_err().to_string().contains("recursion"));
    }
}
