//! What one message says: text, or parts of text, images and files.

use iron_runtime::{Content, Json, Part, Role, Text};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::intake::utf8;
use super::request::{mapping, string};
use super::{Fault, Intake};

const RIGHT: &str = "text, or a list of parts such as {\"type\": \"text\", \"text\": \"...\"}";

/// The content of a message of `role`.
pub(super) fn content(intake: &mut Intake, role: Role, value: &Bound<'_, PyAny>) -> Result<Content, Fault> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Content::Text(intake.text(text)?));
    }
    if value.is_none() {
        return match role {
            Role::Assistant => Ok(Content::None),
            _ => Err(Fault::wrong(format!("is None, which only assistant messages may have; give {RIGHT}"))),
        };
    }
    let parts = if let Ok(list) = value.cast::<PyList>() {
        parts(intake, list.iter())?
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        parts(intake, tuple.iter())?
    } else {
        return Err(Fault::kind(value, RIGHT));
    };
    if parts.is_empty() {
        return Err(Fault::wrong(format!("is an empty list; give {RIGHT}")));
    }
    Ok(Content::Parts(parts))
}

fn parts<'py>(
    intake: &mut Intake,
    values: impl Iterator<Item = Bound<'py, PyAny>>,
) -> Result<Vec<Part>, Fault> {
    values
        .enumerate()
        .map(|(index, value)| part(intake, &value).map_err(|fault| fault.at_index(index)))
        .collect()
}

fn part(intake: &mut Intake, value: &Bound<'_, PyAny>) -> Result<Part, Fault> {
    let fields = mapping(value, "a dict such as {\"type\": \"text\", \"text\": \"...\"}")?;
    let Some(kind) = fields.get_item("type")? else {
        return Err(Fault::wrong(
            "has no \"type\"; give \"text\", \"image_url\", \"input_audio\" or \"file\"",
        ));
    };
    let kind = string(&kind, "text such as \"text\"").map_err(|fault| fault.at("type"))?;
    match utf8(&kind)? {
        "text" => {
            let text = required(&fields, "text")?;
            let text = string(&text, "text")
                .and_then(|text| intake.text(&text))
                .map_err(|fault| fault.at("text"))?;
            Ok(Part::Text { text, extra: extra(intake, &fields, &["type", "text"])? })
        }
        "image_url" => image(intake, &fields),
        _ => Ok(Part::Other(intake.json(fields.as_any())?)),
    }
}

fn image(intake: &mut Intake, fields: &Bound<'_, PyDict>) -> Result<Part, Fault> {
    let inside = |fault: Fault| fault.at("image_url");
    let image = required(fields, "image_url")?;
    let image = mapping(&image, "a dict such as {\"url\": \"https://...\"}").map_err(inside)?;
    let mut text = |name: &str, value: Bound<'_, PyAny>| -> Result<Text, Fault> {
        string(&value, "text").and_then(|text| intake.text(&text)).map_err(|fault| inside(fault.at(name)))
    };
    let url = text("url", required(&image, "url").map_err(inside)?)?;
    let detail = image.get_item("detail")?.map(|detail| text("detail", detail)).transpose()?;
    // Fields beside `url` and `detail` have no place in `Part::Image`: then the part passes as it is.
    if image.iter().any(|(key, _)| !matches!(key.extract::<&str>(), Ok("url" | "detail"))) {
        return Ok(Part::Other(intake.json(fields.as_any())?));
    }
    Ok(Part::Image { url, detail, extra: extra(intake, fields, &["type", "image_url"])? })
}

fn required<'py>(fields: &Bound<'py, PyDict>, name: &str) -> Result<Bound<'py, PyAny>, Fault> {
    fields.get_item(name)?.ok_or_else(|| Fault::wrong(format!("has no {name:?}")))
}

/// The fields that are not in `known`.
fn extra(
    intake: &mut Intake,
    fields: &Bound<'_, PyDict>,
    known: &[&str],
) -> Result<Vec<(Text, Json)>, Fault> {
    let mut extra = Vec::new();
    for (key, value) in fields {
        let key = string(&key, "only text as key of a dict")?;
        let name = utf8(&key)?;
        if !known.contains(&name) {
            extra.push((Text::from(name), intake.json(&value).map_err(|fault| fault.at(name))?));
        }
    }
    Ok(extra)
}
