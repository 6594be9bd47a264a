//! The form of an output, as `response_format` tells it.

use std::sync::Arc;

use serde_json::Value;

use crate::json::Json;
use crate::schema::{Schema, Violation};
use crate::{ChatRequest, Error};

/// Ten times what the longest replies come to.
pub(crate) const MOST_TEXT_BYTES: usize = 4 << 20;

/// What a text has to be.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// Any JSON.
    Json,
    /// JSON that fits a schema.
    Schema(Arc<Schema>),
}

impl Form {
    /// The field in which a request tells it.
    pub(crate) fn field(request: &ChatRequest) -> Option<&Json> {
        request.param("response_format").filter(|format| !format.is_null())
    }

    /// What the field asks for; `None` if that is nothing which can be told from the text.
    ///
    /// # Errors
    /// [`Error::Config`] for a schema that cannot be used.
    pub(crate) fn read(field: &Json) -> Result<Option<Self>, Error> {
        let format: Value = serde_json::from_str(field.as_str())
            .map_err(|error| Error::config(format!("response_format is not valid JSON: {error}")))?;
        // OpenAI's place of the schema, and that of vendors which have it beside the type.
        let (place, schema) = match (format["type"].as_str(), format.pointer("/json_schema/schema")) {
            (Some("json_schema"), Some(schema)) => ("response_format.json_schema.schema", schema),
            (Some("json_schema" | "json_object"), _) => ("response_format.schema", &format["schema"]),
            _ => return Ok(None),
        };
        if schema.is_null() {
            return Ok(Some(Self::Json));
        }
        let schema = Schema::compile(&schema.to_string());
        let schema = schema.map_err(|why| Error::config(format!("{place} {why}")))?;
        Ok(Some(Self::Schema(Arc::new(schema))))
    }

    /// Where `text` is something else; nowhere, if it is empty.
    pub(crate) fn violations(&self, text: &str) -> Vec<Violation> {
        let whole = |message: String| vec![Violation::whole(message)];
        if text.len() > MOST_TEXT_BYTES {
            return whole(format!("is longer than {MOST_TEXT_BYTES} bytes"));
        }
        if text.trim().is_empty() {
            return whole("says nothing".to_owned());
        }
        match (serde_json::from_str(text), self) {
            (Ok(value), Self::Schema(schema)) => schema.violations(&value),
            (Ok(_), Self::Json) => Vec::new(),
            // It tells a place by line and column, and nothing of the text.
            (Err(error), _) => whole(format!("is not valid JSON: {error}")),
        }
    }
}
