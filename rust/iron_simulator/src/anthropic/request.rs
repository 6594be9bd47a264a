//! A message request, checked.

use serde_json::{Map, Value};

use super::error::{missing, wrong};
use super::prompt::Prompt;
use crate::dialect::Dialect;
use crate::openai::error::ApiError;
use crate::openai::request::{ChatRequest, Format, Tool, ToolChoice};
use crate::tokens::count_tokens;

/// The least that thinking is given. <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>
const LEAST_THINKING: u64 = 1_024;

/// Read the body of `POST /v1/messages`.
pub(crate) fn read(body: &[u8]) -> Result<ChatRequest, ApiError> {
    let fields = object(body)?;
    let mut request = prompt(&fields)?;
    let max_tokens = fields.get("max_tokens").ok_or_else(|| missing("max_tokens"))?;
    let max_tokens = max_tokens.as_u64().filter(|tokens| *tokens > 0);
    let max_tokens = max_tokens.ok_or_else(|| wrong("max_tokens", "greater than or equal to 1"))?;
    request.max_tokens = Some(max_tokens);
    request.stream = match fields.get("stream") {
        None => false,
        Some(stream) => stream.as_bool().ok_or_else(|| wrong("stream", "a valid boolean"))?,
    };
    request.thinking = thinking(&fields, max_tokens)?;
    for name in ["temperature", "top_p"] {
        let given = fields.get(name);
        if given.is_some_and(|given| !given.as_f64().is_some_and(|number| (0.0..=1.0).contains(&number))) {
            return Err(wrong(name, "a number from 0 to 1"));
        }
    }
    Ok(request)
}

/// Read the body of `POST /v1/messages/count_tokens`: how many there are.
pub(crate) fn count(body: &[u8]) -> Result<u64, ApiError> {
    prompt(&object(body)?).map(|request| request.input_tokens)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ApiError::invalid("Input should be a valid dictionary")),
        Err(error) => Err(ApiError::invalid(format!("The request body is not valid JSON: {error}"))),
    }
}

/// What is asked of the model, without what bounds its reply.
fn prompt(fields: &Map<String, Value>) -> Result<ChatRequest, ApiError> {
    let model = fields.get("model").ok_or_else(|| missing("model"))?;
    let model =
        model.as_str().filter(|model| !model.is_empty()).ok_or_else(|| wrong("model", "a valid string"))?;
    let messages = fields.get("messages").ok_or_else(|| missing("messages"))?;
    let messages = messages.as_array().ok_or_else(|| wrong("messages", "a valid list"))?;
    let prompt = Prompt::read(fields.get("system"), messages)?;
    let (tools, tools_tokens) = tools(fields)?;
    let (format, format_tokens) = format(fields)?;
    Ok(ChatRequest {
        dialect: Dialect::Anthropic,
        model: model.to_owned(),
        last_text: prompt.last_text,
        input_tokens: prompt.tokens + tools_tokens + format_tokens,
        stream: false,
        include_usage: true,
        choices: 1,
        max_tokens: None,
        stop: stops(fields)?,
        format,
        tool_choice: tool_choice(fields, &tools)?,
        tools,
        thinking: false,
    })
}

fn stops(fields: &Map<String, Value>) -> Result<Vec<String>, ApiError> {
    let Some(stops) = fields.get("stop_sequences") else { return Ok(Vec::new()) };
    let texts =
        stops.as_array().map(|stops| stops.iter().map(|stop| stop.as_str().map(str::to_owned)).collect());
    texts.flatten().ok_or_else(|| wrong("stop_sequences", "a list of strings"))
}

/// The tools that the client runs, and the tokens of all tools.
fn tools(fields: &Map<String, Value>) -> Result<(Vec<Tool>, u64), ApiError> {
    let Some(given) = fields.get("tools") else { return Ok((Vec::new(), 0)) };
    let given = given.as_array().ok_or_else(|| wrong("tools", "a valid list"))?;
    let mut tools = Vec::new();
    let mut tokens = 0;
    for (nth, tool) in given.iter().enumerate() {
        tokens += count_tokens(&tool.to_string());
        let name =
            tool.get("name").and_then(Value::as_str).ok_or_else(|| missing(&format!("tools.{nth}.name")))?;
        // Tools of a type of their own run at the provider.
        if matches!(tool.get("type").and_then(Value::as_str), None | Some("custom")) {
            let schema =
                tool.get("input_schema").ok_or_else(|| missing(&format!("tools.{nth}.input_schema")))?;
            if schema.get("type").and_then(Value::as_str) != Some("object") {
                return Err(wrong(&format!("tools.{nth}.input_schema.type"), "'object'"));
            }
            tools.push(Tool { name: name.to_owned(), parameters: schema.clone() });
        }
    }
    Ok((tools, tokens))
}

fn tool_choice(fields: &Map<String, Value>, tools: &[Tool]) -> Result<ToolChoice, ApiError> {
    let Some(choice) = fields.get("tool_choice") else { return Ok(ToolChoice::Free) };
    if !fields.contains_key("tools") {
        return Err(ApiError::invalid("tool_choice: may only be specified while providing tools"));
    }
    match choice.get("type").and_then(Value::as_str) {
        Some("auto" | "none") => Ok(ToolChoice::Free),
        Some("any") => Ok(ToolChoice::Required),
        Some("tool") => {
            let name =
                choice.get("name").and_then(Value::as_str).ok_or_else(|| missing("tool_choice.name"))?;
            let known = tools.iter().any(|tool| tool.name == name);
            let unknown = || ApiError::invalid(format!("Tool '{name}' not found in provided tools"));
            known.then(|| ToolChoice::Named(name.to_owned())).ok_or_else(unknown)
        }
        _ => Err(wrong("tool_choice.type", "'auto', 'any', 'tool' or 'none'")),
    }
}

/// The reply's form, and the tokens of its schema.
fn format(fields: &Map<String, Value>) -> Result<(Format, u64), ApiError> {
    let Some(format) = fields.get("output_config").and_then(|config| config.get("format")) else {
        return Ok((Format::Text, 0));
    };
    if format.get("type").and_then(Value::as_str) != Some("json_schema") {
        return Err(wrong("output_config.format.type", "'json_schema'"));
    }
    let schema = format.get("schema").ok_or_else(|| missing("output_config.format.schema"))?;
    Ok((Format::Schema(schema.clone()), count_tokens(&schema.to_string())))
}

/// Whether thoughts are asked for.
fn thinking(fields: &Map<String, Value>, max_tokens: u64) -> Result<bool, ApiError> {
    let Some(thinking) = fields.get("thinking") else { return Ok(false) };
    match thinking.get("type").and_then(Value::as_str) {
        Some("disabled") => Ok(false),
        Some("adaptive") => Ok(true),
        Some("enabled") => {
            let budget = thinking.get("budget_tokens").and_then(Value::as_u64);
            let budget = budget.ok_or_else(|| missing("thinking.enabled.budget_tokens"))?;
            if budget < LEAST_THINKING {
                return Err(wrong("thinking.enabled.budget_tokens", "greater than or equal to 1024"));
            }
            if budget >= max_tokens {
                return Err(ApiError::invalid("`max_tokens` must be greater than `thinking.budget_tokens`"));
            }
            Ok(true)
        }
        _ => Err(wrong("thinking.type", "'enabled', 'adaptive' or 'disabled'")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_with(change: Value) -> Result<ChatRequest, ApiError> {
        let mut body =
            json!({"model": "m", "max_tokens": 2_000, "messages": [{"role": "user", "content": "hi"}]});
        if let (Value::Object(body), Value::Object(change)) = (&mut body, change) {
            body.extend(change);
        }
        read(body.to_string().as_bytes())
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (change, expected) in [
            (json!({"model": ""}), "model: Input should be a valid string"),
            (json!({"max_tokens": 0}), "max_tokens: Input should be greater than or equal to 1"),
            (json!({"messages": "x"}), "messages: Input should be a valid list"),
            (json!({"stream": "yes"}), "stream: Input should be a valid boolean"),
            (json!({"temperature": 1.5}), "temperature: Input should be a number from 0 to 1"),
            (json!({"stop_sequences": "x"}), "stop_sequences: Input should be a list of strings"),
            (json!({"tools": [{"name": "f"}]}), "tools.0.input_schema: Field required"),
            (json!({"tools": [{"input_schema": {}}]}), "tools.0.name: Field required"),
            (
                json!({"tool_choice": {"type": "any"}}),
                "tool_choice: may only be specified while providing tools",
            ),
            (
                json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "tool", "name": "g"}}),
                "Tool 'g' not found in provided tools",
            ),
            (
                json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}}),
                "`max_tokens` must be greater than `thinking.budget_tokens`",
            ),
            (
                json!({"output_config": {"format": {"type": "xml"}}}),
                "output_config.format.type: Input should be 'json_schema'",
            ),
        ] {
            assert_eq!(read_with(change).unwrap_err().message, expected);
        }
        assert_eq!(read(b"{").unwrap_err().status, 400);
    }

    #[test]
    fn counting_needs_no_bound_on_the_reply() {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "12345678"}]});
        assert_eq!(count(body.to_string().as_bytes()).unwrap(), 2 + 3 + 3);
    }
}
