//! Tools: their definitions, the choice among them, calls and results.

use super::{block, schema};
use crate::Error;
use crate::call::{ChatRequest, Content, Message};
use crate::json::Json;
use crate::provider::fields::{Fields, text};
use crate::provider::lacks::Lacks;
use crate::provider::writer::Writer;

/// The schema of a function that takes nothing.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// Where Anthropic says that calls are made one at a time.
const ALONE: &str = "disable_parallel_tool_use";

/// Write the definitions. Functions are reshaped; Anthropic's own tools pass as they are.
pub(super) fn write(body: &mut Writer, json: &str, lacks: &mut Lacks<'_>) -> Result<(), Error> {
    let tools = Fields::read_list(json).ok_or_else(|| Error::config("tools: not a list of tools"))?;
    body.key("tools");
    body.open_list();
    for (nth, tool) in tools.iter().enumerate() {
        body.comma();
        body.open();
        match tool.object("function") {
            Some(function) => {
                let name = function.get("name");
                let name =
                    name.ok_or_else(|| Error::config(format!("tools[{nth}].function.name is missing")))?;
                body.raw("name", name);
                let strict = function.get("strict") == Some("true");
                input_schema(body, function.get("parameters").unwrap_or(NO_PARAMETERS), strict, nth, lacks);
                for (name, value) in function.except(&["name", "parameters"]) {
                    // A flag that is not set says nothing.
                    if !(name == "strict" && matches!(value, "false" | "null")) {
                        body.raw(name, value);
                    }
                }
                for (name, value) in tool.except(&["type", "function"]) {
                    body.raw(name, value);
                }
            }
            None => {
                for (name, value) in tool.except(&[]) {
                    body.raw(name, value);
                }
            }
        }
        body.close();
    }
    body.close_list();
    Ok(())
}

/// The schema of a function's parameters, which Anthropic takes only if it says that they are an object.
fn input_schema(body: &mut Writer, parameters: &str, strict: bool, nth: usize, lacks: &mut Lacks<'_>) {
    let untyped = Fields::read(parameters).filter(|fields| fields.get("type").is_none());
    body.key("input_schema");
    match untyped {
        Some(fields) => body.object(|body| {
            body.string("type", "object");
            for (name, value) in fields.except(&["type"]) {
                body.raw(name, value);
            }
        }),
        None if strict => body.json(&schema::binding(parameters, &format!("tools[{nth}]"), lacks)),
        None => body.json(parameters),
    }
}

/// Whether the model has to call a tool.
pub(super) fn is_forced(request: &ChatRequest) -> bool {
    let choice = request.param("tool_choice").and_then(|choice| choice_of(choice.as_str()).ok());
    let kind = choice.and_then(|choice| Some(Fields::read(&choice)?.text("type")?.into_owned()));
    matches!(kind.as_deref(), Some("any" | "tool"))
}

/// Write `tool_choice`, in which Anthropic also says whether calls may be made side by side.
pub(super) fn write_choice(body: &mut Writer, request: &ChatRequest) -> Result<(), Error> {
    let given = request.param("tool_choice").filter(|choice| !choice.is_null());
    let alone =
        request.param("parallel_tool_calls").is_some_and(|parallel| parallel.as_str().trim() == "false");
    let choice = match given {
        Some(choice) => choice_of(choice.as_str())?,
        None if alone && request.param("tools").is_some() => r#"{"type":"auto"}"#.to_owned(),
        None => return Ok(()),
    };
    body.raw("tool_choice", &choice);
    let choice = Fields::read(&choice).unwrap_or_default();
    if alone && choice.text("type").as_deref() != Some("none") && choice.get(ALONE).is_none() {
        body.amend(ALONE, "true");
    }
    Ok(())
}

fn choice_of(json: &str) -> Result<String, Error> {
    let of = |kind: &str| Ok(format!(r#"{{"type":"{kind}"}}"#));
    match text(json).as_deref() {
        Some(kind @ ("auto" | "none")) => return of(kind),
        Some("required") => return of("any"),
        Some(other) => {
            return Err(Error::config(format!(
                "tool_choice {other:?}: write \"auto\", \"none\" or \"required\""
            )));
        }
        None => {}
    }
    let wrong = || {
        Error::config(
            "tool_choice: write a name of a choice, or {\"type\": \"function\", \"function\": {\"name\": ...}}",
        )
    };
    let choice = Fields::read(json).ok_or_else(wrong)?;
    match choice.object("function") {
        Some(function) => {
            let name = function.get("name").ok_or_else(wrong)?;
            Ok(format!(r#"{{"type":"tool","name":{name}}}"#))
        }
        None if matches!(choice.text("type").as_deref(), Some("allowed_tools" | "custom")) => {
            Err(Error::config(
                "tool_choice: this provider cannot be held to some of the tools; give it only those",
            ))
        }
        // A choice of Anthropic's own.
        None => Ok(json.trim().to_owned()),
    }
}

/// The calls of the assistant's message `nth` as the next blocks.
pub(super) fn write_calls(body: &mut Writer, calls: &Json, nth: usize) -> Result<(), Error> {
    let wrong = |why: &str| Error::config(format!("messages[{nth}].tool_calls{why}"));
    let calls = Fields::read_list(calls.as_str()).ok_or_else(|| wrong(": not a list of calls"))?;
    for (place, call) in calls.iter().enumerate() {
        let at = |why: &str| wrong(&format!("[{place}].{why}"));
        let function = call.object("function").ok_or_else(|| at("function is missing"))?;
        let arguments = function.text("arguments").unwrap_or_default();
        let input = if arguments.trim().is_empty() { "{}" } else { arguments.trim() };
        if Fields::read(input).is_none() {
            return Err(at("function.arguments is not a JSON object, which this provider needs"));
        }
        body.comma();
        body.open();
        body.string("type", "tool_use");
        body.raw("id", call.get("id").ok_or_else(|| at("id is missing"))?);
        body.raw("name", function.get("name").ok_or_else(|| at("function.name is missing"))?);
        body.raw("input", input);
        for (name, value) in call.except(&["type", "id", "function", "index"]) {
            body.raw(name, value);
        }
        body.close();
    }
    Ok(())
}

/// A tool's result as the next block.
pub(super) fn write_result(
    body: &mut Writer,
    message: &Message,
    nth: usize,
    lacks: &mut Lacks<'_>,
) -> Result<(), Error> {
    let id = message.extra.iter().find(|(name, _)| name == "tool_call_id").map(|(_, id)| id);
    let id = id.ok_or_else(|| Error::config(format!("messages[{nth}].tool_call_id is missing")))?;
    body.comma();
    body.open();
    body.string("type", "tool_result");
    body.raw("tool_use_id", id.as_str());
    match &message.content {
        Content::None => {}
        Content::Text(text) => body.string("content", text),
        Content::Parts(parts) => {
            body.key("content");
            body.open_list();
            block::write_parts(body, parts, nth, false, lacks)?;
            body.close_list();
        }
    }
    for (name, value) in &message.extra {
        // The name is that of the call, which the id finds.
        if !matches!(&**name, "tool_call_id" | "name") && !value.is_null() {
            body.raw(name, value.as_str());
        }
    }
    body.close();
    Ok(())
}
