//! A tree of settings read as the types that they have.

use std::collections::btree_map;
use std::slice;

use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::nearest::choice;
use super::tree::{Node, Value};
use super::wrong::{Segment, Wrong};

/// Read a tree.
///
/// # Errors
/// The first setting that does not fit, with its key and its place.
pub(super) fn read<'de, T: Deserialize<'de>>(tree: &'de Node) -> Result<T, Wrong> {
    T::deserialize(Reader(tree)).map_err(|wrong| wrong.at(&tree.origin))
}

/// One value.
struct Reader<'de>(&'de Node);

/// A variable's text is read as the type that is asked for.
macro_rules! untyped {
    ($($method:ident $visit:ident $kind:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            let Value::Untyped(text) = &self.0.value else { return self.deserialize_any(visitor) };
            match text.trim().parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Wrong::new(concat!(" is not ", $kind).to_owned())),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.0.value {
            Value::Table(table) => visitor.visit_map(Entries { entries: table.iter(), next: None }),
            Value::List(items) => visitor.visit_seq(Items { items: items.iter(), at: 0 }),
            Value::Text(text) | Value::Untyped(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Unsigned(number) => visitor.visit_u64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Null => visitor.visit_unit(),
            Value::Date => Err(Wrong::invalid_type(Unexpected::Other("date"), &visitor)),
        }
    }

    untyped! {
        deserialize_bool visit_bool "true or false"
        deserialize_i8 visit_i64 "an integer"
        deserialize_i16 visit_i64 "an integer"
        deserialize_i32 visit_i64 "an integer"
        deserialize_i64 visit_i64 "an integer"
        deserialize_u8 visit_i64 "an integer"
        deserialize_u16 visit_i64 "an integer"
        deserialize_u32 visit_i64 "an integer"
        deserialize_u64 visit_i64 "an integer"
        deserialize_f32 visit_f64 "a number"
        deserialize_f64 visit_f64 "a number"
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.0.value {
            Value::Text(text) | Value::Untyped(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Table(table) if table.len() == 1 => {
                visitor.visit_enum(Variant(Entries { entries: table.iter(), next: None }))
            }
            other => Err(Wrong::new(format!(" is {}: give {}", other.kind(), choice(variants)))),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

/// The keys of a table.
struct Entries<'de> {
    entries: btree_map::Iter<'de, String, Node>,
    next: Option<(&'de String, &'de Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        self.next = self.entries.next();
        let Some((key, node)) = self.next else { return Ok(None) };
        let key: StrDeserializer<'_, Wrong> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|wrong| wrong.at(&node.origin))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let Some((key, node)) = self.next.take() else { return Err(Wrong::custom("a value without a key")) };
        let placed = |wrong: Wrong| wrong.at(&node.origin).under(Segment::Key(key.clone()));
        seed.deserialize(Reader(node)).map_err(placed)
    }
}

/// The items of a list.
struct Items<'de> {
    items: slice::Iter<'de, Node>,
    at: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let index = self.at;
        self.at += 1;
        let placed = |wrong: Wrong| wrong.at(&node.origin).under(Segment::Index(index));
        seed.deserialize(Reader(node)).map(Some).map_err(placed)
    }
}

/// A table of one key, which names a variant that holds the value.
struct Variant<'de>(Entries<'de>);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self), Wrong> {
        let variant = self.0.next_key_seed(seed)?;
        Ok((variant.ok_or_else(|| Wrong::custom("is empty"))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Wrong;

    fn unit_variant(mut self) -> Result<(), Wrong> {
        self.0.next_value()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, Wrong> {
        self.0.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.0.next_value_seed(Visited(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.0.next_value_seed(Visited(visitor))
    }
}

/// A visitor as a seed.
struct Visited<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Visited<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_any(self.0)
    }
}
