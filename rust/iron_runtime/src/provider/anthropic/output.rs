//! What form the answer has.

use super::schema;
use crate::Error;
use crate::call::ChatRequest;
use crate::json::Json;
use crate::provider::fields::Fields;
use crate::provider::lacks::Lacks;
use crate::provider::writer::Writer;

/// The request's `output_config`.
pub(super) struct OutputConfig<'a> {
    given: Fields<'a>,
    effort: Option<&'static str>,
    schema: Option<String>,
}

impl<'a> OutputConfig<'a> {
    /// `output_config` as it is given, with effort and schema where it names none.
    pub(super) fn new(
        request: &'a ChatRequest,
        effort: Option<&'static str>,
        lacks: &mut Lacks<'_>,
    ) -> Result<Self, Error> {
        let given = request.param("output_config").filter(|given| !given.is_null()).map(Json::as_str);
        let given = given.map_or_else(|| Some(Fields::default()), Fields::read);
        let given = given.ok_or_else(|| Error::config("output_config is not an object"))?;
        let schema = match request.param("response_format").filter(|format| !format.is_null()) {
            Some(format) => schema(format.as_str(), lacks)?,
            None => None,
        };
        Ok(Self { effort: effort.filter(|_| given.get("effort").is_none()), schema, given })
    }

    pub(super) fn write(&self, body: &mut Writer) {
        let mut given = self.given.except(&[]).peekable();
        if given.peek().is_none() && self.effort.is_none() && self.schema.is_none() {
            return;
        }
        body.key("output_config");
        body.object(|body| {
            for (name, value) in given {
                body.raw(name, value);
            }
            if let Some(effort) = self.effort {
                body.string("effort", effort);
            }
            if let Some(schema) = self.schema.as_ref().filter(|_| self.given.get("format").is_none()) {
                body.key("format");
                body.object(|body| {
                    body.string("type", "json_schema");
                    body.raw("schema", schema);
                });
            }
        });
    }
}

/// The schema that the answer is held to, if it is held to one.
fn schema(format: &str, lacks: &mut Lacks<'_>) -> Result<Option<String>, Error> {
    let format = Fields::read(format).ok_or_else(|| Error::config("response_format is not an object"))?;
    match format.text("type").as_deref() {
        Some("text") => Ok(None),
        Some("json_schema") => {
            let schema = format.object("json_schema").and_then(|named| named.get("schema"));
            let schema =
                schema.ok_or_else(|| Error::config("response_format.json_schema.schema is missing"))?;
            Ok(Some(schema::binding(schema, "response_format", lacks)))
        }
        _ => {
            lacks.found("response_format without a schema (\"json_schema\" is taken)")?;
            Ok(None)
        }
    }
}
