//! A chat completion request, checked.

use serde_json::{Map, Value};

use crate::dialect::Dialect;
use crate::openai::error::ApiError;
use crate::openai::fields::{Fields, invalid_type, invalid_value};
use crate::openai::prompt::Prompt;
use crate::tokens::count_tokens;

/// A chat completion request.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    pub(crate) dialect: Dialect,
    pub(crate) model: String,
    pub(crate) last_text: String,
    pub(crate) input_tokens: u64,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) choices: u64,
    /// `max_completion_tokens` or `max_tokens`.
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stop: Vec<String>,
    pub(crate) format: Format,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: ToolChoice,
    /// Thoughts are to be shown.
    pub(crate) thinking: bool,
}

/// The form that the reply must have.
#[derive(Debug, PartialEq)]
pub(crate) enum Format {
    Text,
    Json,
    Schema(Value),
}

/// A function that the model may call.
#[derive(Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) parameters: Value,
}

/// Whether a tool must be called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Free,
    /// The first tool.
    Required,
    Named(String),
}

/// Parse a request body.
pub(crate) fn parse_body(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(ApiError::invalid("The JSON body of your request must be an object.")),
        Err(error) => Err(ApiError::invalid(format!(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP \
             library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON: {error}.)"
        ))),
    }
}

/// The model that a request names.
pub(crate) fn model_of(fields: Fields<'_, '_>) -> Result<String, ApiError> {
    match fields.string("model")? {
        Some(model) if !model.is_empty() => Ok(model.to_owned()),
        _ => Err(ApiError::invalid("you must provide a model parameter")),
    }
}

impl ChatRequest {
    pub(crate) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let map = parse_body(body)?;
        let fields = Fields::new(&map, "");
        let model = model_of(fields)?;
        fields.required("messages")?;
        let prompt = Prompt::read(fields.array("messages")?.unwrap_or_default())?;
        check_numbers(fields)?;

        let stream = fields.boolean("stream")?;
        let include_usage = match fields.get("stream_options") {
            Some(_) if !stream => {
                return Err(ApiError::invalid(
                    "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                )
                .param("stream_options"));
            }
            Some(options) => Fields::of(options, "stream_options")?.boolean("include_usage")?,
            None => false,
        };
        let old = fields.integer("max_tokens", 1, u64::MAX)?;
        let new = fields.integer("max_completion_tokens", 1, u64::MAX)?;
        if old.is_some() && new.is_some() {
            return Err(ApiError::invalid(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            )
            .param("max_tokens"));
        }
        let (tools, tools_tokens) = read_tools(fields)?;
        let (format, format_tokens) = read_format(fields)?;
        Ok(Self {
            dialect: Dialect::OpenAi,
            model,
            last_text: prompt.last_text,
            input_tokens: prompt.tokens + tools_tokens + format_tokens,
            stream,
            include_usage,
            choices: fields.integer("n", 1, 128)?.unwrap_or(1),
            max_tokens: new.or(old),
            stop: read_stop(fields)?,
            format,
            tool_choice: read_tool_choice(fields, &tools)?,
            tools,
            thinking: false,
        })
    }
}

fn check_numbers(fields: Fields<'_, '_>) -> Result<(), ApiError> {
    fields.check_decimal("temperature", 0.0, 2.0)?;
    fields.check_decimal("top_p", 0.0, 1.0)?;
    fields.check_decimal("presence_penalty", -2.0, 2.0)?;
    fields.check_decimal("frequency_penalty", -2.0, 2.0)?;
    match fields.get("seed") {
        Some(seed) if !seed.is_i64() && !seed.is_u64() => Err(fields.wrong("seed", "an integer", seed)),
        _ => Ok(()),
    }
}

fn read_stop(fields: Fields<'_, '_>) -> Result<Vec<String>, ApiError> {
    let stops = match fields.get("stop") {
        None => return Ok(Vec::new()),
        Some(Value::String(stop)) => return Ok(vec![stop.clone()]),
        Some(Value::Array(stops)) if stops.len() <= 4 => stops,
        Some(other) => return Err(fields.wrong("stop", "a string or an array of at most 4 strings", other)),
    };
    stops
        .iter()
        .enumerate()
        .map(|(nth, stop)| match stop {
            Value::String(stop) => Ok(stop.clone()),
            other => Err(invalid_type(&format!("stop[{nth}]"), "a string", other)),
        })
        .collect()
}

/// The functions among the tools, and the tokens of all tools.
fn read_tools(fields: Fields<'_, '_>) -> Result<(Vec<Tool>, u64), ApiError> {
    let mut functions = Vec::new();
    let mut tokens = 0;
    for (nth, tool) in fields.array("tools")?.unwrap_or_default().iter().enumerate() {
        let place = format!("tools[{nth}]");
        let fields = Fields::of(tool, &place)?;
        let kind = fields.required_string("type")?;
        if !["function", "custom"].contains(&kind) {
            return Err(invalid_value(&fields.path("type"), kind, &["function", "custom"]));
        }
        let definition = fields.required(kind)?;
        let place = fields.path(kind);
        let fields = Fields::of(definition, &place)?;
        let name = fields.required_string("name")?;
        tokens += count_tokens(&definition.to_string());
        if kind == "function" {
            let parameters = fields.get("parameters").cloned().unwrap_or_default();
            functions.push(Tool { name: name.to_owned(), parameters });
        }
    }
    Ok((functions, tokens))
}

fn read_tool_choice(fields: Fields<'_, '_>, tools: &[Tool]) -> Result<ToolChoice, ApiError> {
    let Some(choice) = fields.get("tool_choice") else { return Ok(ToolChoice::Free) };
    let wrong = |message: String| Err(ApiError::invalid(message).param("tool_choice"));
    if fields.get("tools").is_none() && choice != "none" {
        return wrong(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
                .into(),
        );
    }
    match choice {
        Value::String(text) if text == "required" => Ok(ToolChoice::Required),
        Value::String(text) if text == "auto" || text == "none" => Ok(ToolChoice::Free),
        Value::String(text) => Err(invalid_value("tool_choice", text, &["none", "auto", "required"])),
        Value::Object(map) => {
            let fields = Fields::new(map, "tool_choice");
            if fields.required_string("type")? != "function" {
                return Ok(ToolChoice::Free);
            }
            let name =
                Fields::of(fields.required("function")?, "tool_choice.function")?.required_string("name")?;
            if tools.iter().any(|tool| tool.name == name) {
                return Ok(ToolChoice::Named(name.to_owned()));
            }
            wrong(format!("Tool choice 'function' not found in 'tools' parameter: '{name}'."))
        }
        other => Err(fields.wrong("tool_choice", "one of a string or an object", other)),
    }
}

/// The reply's form, and the tokens of its schema, which OpenAI bills as input.
fn read_format(fields: Fields<'_, '_>) -> Result<(Format, u64), ApiError> {
    let Some(format) = fields.get("response_format") else { return Ok((Format::Text, 0)) };
    let fields = Fields::of(format, "response_format")?;
    match fields.required_string("type")? {
        "text" => Ok((Format::Text, 0)),
        "json_object" => Ok((Format::Json, 0)),
        "json_schema" => {
            let fields = Fields::of(fields.required("json_schema")?, "response_format.json_schema")?;
            fields.required_string("name")?;
            let schema = fields.required("schema")?.clone();
            let tokens = count_tokens(&schema.to_string());
            Ok((Format::Schema(schema), tokens))
        }
        other => Err(invalid_value("response_format.type", other, &["text", "json_object", "json_schema"])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: Value) -> Result<ChatRequest, ApiError> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        if let (Value::Object(body), Value::Object(change)) = (&mut body, change) {
            body.extend(change);
        }
        ChatRequest::read(body.to_string().as_bytes())
    }

    #[test]
    fn what_is_wrong_is_named() {
        let tool = json!([{"type": "function", "function": {"name": "f"}}]);
        for (change, param, code) in [
            (json!({"messages": null}), Some("messages"), Some("missing_required_parameter")),
            (json!({"messages": "hi"}), Some("messages"), Some("invalid_type")),
            (json!({"model": null}), None, None),
            (json!({"model": 5}), Some("model"), Some("invalid_type")),
            (json!({"temperature": "hot"}), Some("temperature"), Some("invalid_type")),
            (json!({"temperature": 2.5}), Some("temperature"), Some("decimal_above_max_value")),
            (json!({"top_p": -1}), Some("top_p"), Some("decimal_below_min_value")),
            (json!({"n": 0}), Some("n"), Some("integer_below_min_value")),
            (json!({"n": 129}), Some("n"), Some("integer_above_max_value")),
            (json!({"n": 1.5}), Some("n"), Some("invalid_type")),
            (json!({"max_tokens": -1}), Some("max_tokens"), Some("integer_below_min_value")),
            (json!({"max_tokens": 1, "max_completion_tokens": 1}), Some("max_tokens"), None),
            (json!({"seed": "x"}), Some("seed"), Some("invalid_type")),
            (json!({"stream": "yes"}), Some("stream"), Some("invalid_type")),
            (json!({"stream_options": {}}), Some("stream_options"), None),
            (json!({"stop": [1]}), Some("stop[0]"), Some("invalid_type")),
            (json!({"stop": ["1", "2", "3", "4", "5"]}), Some("stop"), Some("invalid_type")),
            (json!({"tools": [{"type": "x"}]}), Some("tools[0].type"), Some("invalid_value")),
            (
                json!({"tools": [{"type": "function"}]}),
                Some("tools[0].function"),
                Some("missing_required_parameter"),
            ),
            (json!({"tool_choice": "required"}), Some("tool_choice"), None),
            (json!({"tools": tool, "tool_choice": "maybe"}), Some("tool_choice"), Some("invalid_value")),
            (
                json!({"tools": tool, "tool_choice": {"type": "function", "function": {"name": "g"}}}),
                Some("tool_choice"),
                None,
            ),
            (
                json!({"response_format": {"type": "xml"}}),
                Some("response_format.type"),
                Some("invalid_value"),
            ),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}),
                Some("response_format.json_schema.schema"),
                Some("missing_required_parameter"),
            ),
        ] {
            let error = read(change.clone()).unwrap_err();
            assert_eq!(
                (error.status, error.param.as_deref(), error.code.as_deref()),
                (400, param, code),
                "{change}"
            );
        }
    }

    #[test]
    fn bodies_that_are_not_objects_are_refused() {
        for body in ["", "{", "[]", "null", "\u{feff}{}"] {
            assert_eq!(ChatRequest::read(body.as_bytes()).unwrap_err().status, 400, "{body:?}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(ChatRequest::read(deep.as_bytes()).unwrap_err().status, 400);
    }

    #[test]
    fn tools_and_schemas_count_as_input() {
        let plain = read(json!({})).unwrap().input_tokens;
        let definition = json!({"name": "f", "parameters": {"type": "object"}});
        let tools = read(json!({"tools": [{"type": "function", "function": definition}]})).unwrap();
        assert_eq!(tools.input_tokens, plain + count_tokens(&definition.to_string()));
        let schema = json!({"type": "object"});
        let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
        let formatted = read(json!({"response_format": format})).unwrap();
        assert_eq!(formatted.input_tokens, plain + count_tokens(&schema.to_string()));
    }
}
