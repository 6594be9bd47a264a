//! TOML and JSON as trees of settings.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::origin::{Lines, Origin};
use super::tree::{Node, Table, Value};
use super::wrong::{Segment, Wrong};

/// Parse the text of a file.
///
/// # Errors
/// It is not TOML.
pub(super) fn toml(path: &Path, text: &str) -> Result<Node, Wrong> {
    let lines = Lines::new(path, text);
    let table = DeTable::parse(text).map_err(|error| {
        let place = lines.place(error.span().map_or(0, |span| span.start));
        Wrong::new(error.message().trim_end().to_owned()).at(&place)
    })?;
    Ok(Node { origin: lines.place(0), value: Value::Table(toml_table(&lines, table.into_inner())?) })
}

fn toml_table(lines: &Lines<'_>, table: DeTable<'_>) -> Result<Table, Wrong> {
    table
        .into_iter()
        .map(|(key, value)| {
            let origin = lines.place(key.span().start);
            let key = key.into_inner().into_owned();
            let node = toml_node(lines, origin, value.into_inner());
            Ok((key.clone(), node.map_err(|wrong| wrong.under(Segment::Key(key)))?))
        })
        .collect()
}

fn toml_node(lines: &Lines<'_>, origin: Origin, value: DeValue<'_>) -> Result<Node, Wrong> {
    let value = match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            let (digits, radix) = (number.as_str(), number.radix());
            i64::from_str_radix(digits, radix)
                .map(Value::Integer)
                .or_else(|_| u64::from_str_radix(digits, radix).map(Value::Unsigned))
                .map_err(|_| Wrong::new(" is an integer that is too large".to_owned()).at(&origin))?
        }
        DeValue::Float(number) => Value::Float(
            number.as_str().parse().map_err(|_| Wrong::new(" is not a number".to_owned()).at(&origin))?,
        ),
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => {
            let item = |(index, item): (usize, Spanned<DeValue<'_>>)| {
                let place = lines.place(item.span().start);
                toml_node(lines, place, item.into_inner()).map_err(|wrong| wrong.under(Segment::Index(index)))
            };
            Value::List(items.into_iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => Value::Table(toml_table(lines, table)?),
    };
    Ok(Node { origin, value })
}

/// Parse the JSON of a mapping. TOML has no null: a key that is null is a key that is not given.
///
/// # Errors
/// It is not JSON.
pub(super) fn json(origin: &Origin, text: &str) -> Result<Node, Wrong> {
    // What serde_json says may quote the text, which may hold a key.
    let not_json = |_| Wrong::new("is not a JSON object".to_owned()).at(origin);
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(not_json)?;
    Ok(Node { origin: origin.clone(), value: Value::Table(json_table(origin, fields)) })
}

fn json_table(origin: &Origin, fields: serde_json::Map<String, serde_json::Value>) -> Table {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    given.map(|(key, value)| (key, json_node(origin, value))).collect()
}

fn json_node(origin: &Origin, value: serde_json::Value) -> Node {
    let value = match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Integer(number),
            (None, Some(number)) => Value::Unsigned(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(items) => {
            Value::List(items.into_iter().map(|item| json_node(origin, item)).collect())
        }
        serde_json::Value::Object(fields) => Value::Table(json_table(origin, fields)),
    };
    Node { origin: origin.clone(), value }
}
