//! Tools as requests describe them.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::Error;
use crate::json::Json;
use crate::schema::Schema;

/// Types of Anthropic's tools that the caller runs, up to their date; the provider runs its other ones.
const RUN_BY_CALLER: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];
/// Types of tools that the request describes.
const DESCRIBED: [&str; 2] = ["function", "custom"];

/// One tool of a request.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    /// Its name, and its type where that is one of the provider's own.
    pub(super) names: Vec<Arc<str>>,
    /// What its arguments have to fit.
    pub(super) schema: Option<Arc<Schema>>,
    /// Whether its arguments are free text, and not JSON.
    pub(super) free: bool,
    /// Whether the provider runs it, so that nobody sees a call of it before.
    pub(super) served: bool,
}

impl Tool {
    /// A tool of the provider's own that a field of the request switches on.
    pub(super) fn served(name: &str) -> Self {
        Self { names: vec![name.into()], schema: None, free: false, served: true }
    }

    /// What calls name it by.
    pub(super) fn name(&self) -> &Arc<str> {
        // One without a name is refused where it is read.
        &self.names[0]
    }
}

/// The tools of the list in the field `field`, and the list as it was read. Schemas are compiled if they are asked for.
///
/// # Errors
/// [`Error::Config`] that names the place, for what has no name or a schema that cannot be used.
pub(super) fn read(field: &str, list: &Json, schemas: bool) -> Result<(Vec<Tool>, Json), Error> {
    let Ok(Value::Array(list)) = serde_json::from_str(list.as_str()) else {
        return Err(Error::config(format!("{field} is no list of tools")));
    };
    let tool = |(index, tool)| one(&format!("{field}[{index}]"), tool, schemas);
    let tools = list.iter().enumerate().map(tool).collect::<Result<_, _>>()?;
    Ok((tools, Json::from_value(&list)?))
}

fn one(place: &str, tool: &Value, schemas: bool) -> Result<Tool, Error> {
    let Value::Object(tool) = tool else {
        return Err(Error::config(format!("{place} is no table: describe a tool by one")));
    };
    let kind = text(tool, "type");
    let within = DESCRIBED.into_iter().find_map(|key| Some((key, tool.get(key)?.as_object()?)));
    if let Some((key, _)) = within
        && kind.is_some_and(|kind| kind != key)
    {
        // The provider would read it as the one or as the other.
        return Err(Error::config(format!("{place} has {key:?}, and a type that is not {key:?}")));
    }
    let described = within.map_or(tool, |(_, within)| within);
    let own_kind = kind.filter(|kind| !DESCRIBED.contains(kind));
    let mut names: Vec<Arc<str>> =
        text(described, "name").into_iter().chain(own_kind).map(Arc::from).collect();
    if names.is_empty() {
        // Google's own tools are named by the only key that they have.
        names.extend(
            tool.keys().next().filter(|_| kind.is_none() && tool.len() == 1).map(|key| key.as_str().into()),
        );
    }
    if names.is_empty() {
        return Err(Error::config(format!("{place} has no name")));
    }
    let schema = described.get("parameters").or_else(|| described.get("input_schema"));
    let compiled = |schema: &Value| match Schema::compile(&schema.to_string()) {
        Ok(schema) => Ok(Arc::new(schema)),
        Err(why) => Err(Error::config(format!("{place}: what its arguments have to fit {why}"))),
    };
    let schema = schema.filter(|schema| schemas && !schema.is_null()).map(compiled).transpose()?;
    let served = match own_kind {
        Some(kind) => !RUN_BY_CALLER.iter().any(|prefix| kind.starts_with(prefix)),
        None => text(described, "name").is_none(),
    };
    Ok(Tool { names, schema, free: matches!(within, Some(("custom", _))), served })
}

fn text<'v>(fields: &'v Map<String, Value>, key: &str) -> Option<&'v str> {
    fields.get(key)?.as_str().filter(|text| !text.is_empty())
}
