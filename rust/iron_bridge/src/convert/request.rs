//! Messages and inputs as the core takes them.

use iron_runtime::{Content, Message, Role, Text};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::intake::utf8;
use super::json::plain;
use super::part::content;
use super::{Fault, Intake};

const MESSAGES: &str = "text, or a list of messages such as {\"role\": \"user\", \"content\": \"...\"}";
const INPUT: &str = "text, or a list of texts";

/// The messages of a chat; text alone is what the user says.
pub(crate) fn messages(intake: &mut Intake, value: &Bound<'_, PyAny>) -> Result<Vec<Message>, Fault> {
    conversation(intake, value).map_err(|fault| fault.at("messages"))
}

fn conversation(intake: &mut Intake, value: &Bound<'_, PyAny>) -> Result<Vec<Message>, Fault> {
    if let Ok(text) = value.cast::<PyString>() {
        let text = intake.text(text)?;
        return if text.is_empty() { Err(empty(MESSAGES)) } else { Ok(vec![Message::user(text)]) };
    }
    each(value, MESSAGES, |value| message(intake, value))
}

fn message(intake: &mut Intake, value: &Bound<'_, PyAny>) -> Result<Message, Fault> {
    let fields = mapping(value, "a dict such as {\"role\": \"user\", \"content\": \"...\"}")?;
    // The role decides what the content may be, and comes first in every message that people write.
    let role = role(&fields)?;
    let mut said = None;
    let mut extra = Vec::new();
    let mut answers_tool = false;
    for (key, value) in &fields {
        let key = string(&key, "only text as key of a message")?;
        match utf8(&key)? {
            "role" => {}
            "content" => said = Some(content(intake, role, &value).map_err(|fault| fault.at("content"))?),
            name => {
                answers_tool |= name == "tool_call_id" && value.is_instance_of::<PyString>();
                extra.push((Text::from(name), intake.json(&value).map_err(|fault| fault.at(name))?));
            }
        }
    }
    if role == Role::Tool && !answers_tool {
        return Err(Fault::wrong(
            "answers a tool call but has no \"tool_call_id\"; give the id of that call",
        ));
    }
    let content = match said {
        Some(content) => content,
        None if role == Role::Assistant => Content::None,
        None => return Err(Fault::wrong("has no \"content\"; give what is said")),
    };
    Ok(Message { role, content, extra })
}

fn role(fields: &Bound<'_, PyDict>) -> Result<Role, Fault> {
    let known = || {
        let names: Vec<_> = Role::ALL.into_iter().map(Role::as_str).collect();
        format!("give one of {}", names.join(", "))
    };
    let Some(value) = fields.get_item(pyo3::intern!(fields.py(), "role"))? else {
        return Err(Fault::wrong(format!("has no \"role\"; {}", known())));
    };
    let Ok(name) = value.cast::<PyString>() else {
        return Err(Fault::kind(&value, &format!("text: {}", known())).at("role"));
    };
    let name = utf8(name).map_err(|fault| fault.at("role"))?;
    Role::from_name(name).ok_or_else(|| {
        let shown: String = name.chars().take(40).collect();
        Fault::wrong(format!("is {shown:?}; {}", known())).at("role")
    })
}

/// The texts of an embeddings call.
pub(crate) fn input(intake: &mut Intake, value: &Bound<'_, PyAny>) -> Result<Vec<Text>, Fault> {
    let mut text = |value: &Bound<'_, PyAny>| {
        let text = string(value, INPUT).and_then(|text| intake.text(&text))?;
        if text.is_empty() { Err(empty(INPUT)) } else { Ok(text) }
    };
    let texts = if value.is_instance_of::<PyString>() {
        text(value).map(|text| vec![text])
    } else {
        each(value, INPUT, text)
    };
    texts.map_err(|fault| fault.at("input"))
}

/// The elements of a list or tuple, of which there must be some.
fn each<T>(
    value: &Bound<'_, PyAny>,
    right: &str,
    mut convert: impl FnMut(&Bound<'_, PyAny>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut at =
        |(index, value): (usize, Bound<'_, PyAny>)| convert(&value).map_err(|fault| fault.at_index(index));
    let elements = if let Ok(list) = value.cast::<PyList>() {
        list.iter().enumerate().map(&mut at).collect::<Result<Vec<T>, _>>()?
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        tuple.iter().enumerate().map(&mut at).collect::<Result<Vec<T>, _>>()?
    } else {
        return Err(Fault::kind(value, right));
    };
    if elements.is_empty() { Err(empty(right)) } else { Ok(elements) }
}

fn empty(right: &str) -> Fault {
    Fault::wrong(format!("is empty; give {right}"))
}

/// A dict, or an object that has a plain form which is one.
pub(super) fn mapping<'py>(value: &Bound<'py, PyAny>, right: &str) -> Result<Bound<'py, PyDict>, Fault> {
    if let Ok(dict) = value.cast::<PyDict>() {
        return Ok(dict.clone());
    }
    if value.is_instance_of::<PyString>() || value.is_none() {
        return Err(Fault::kind(value, right));
    }
    plain(value)?.cast_into::<PyDict>().map_err(|_| Fault::kind(value, right))
}

/// A string.
pub(super) fn string<'py>(value: &Bound<'py, PyAny>, right: &str) -> Result<Bound<'py, PyString>, Fault> {
    value.cast::<PyString>().cloned().map_err(|_| Fault::kind(value, right))
}
