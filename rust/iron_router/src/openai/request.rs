//! Requests from OpenAI's JSON.

use std::borrow::Cow;

use bytes::Bytes;
use iron_runtime::{ChatRequest, Content, EmbedRequest, Message, Part, Role, Text};

use crate::fields::{Fields, Raw, Wrong};
use crate::unique;

/// What a chat completion's body asks for.
pub(crate) struct Chat {
    pub(crate) request: ChatRequest,
    pub(crate) stream: bool,
}

/// Read a chat completion's body.
pub(crate) fn chat(body: &Bytes) -> Result<Chat, Wrong> {
    let fields = checked(body)?;
    let mut request = ChatRequest::new(model(&fields)?, Vec::new());
    let mut stream = false;
    for (name, value) in &fields.0 {
        let taken = match &**name {
            "model" => Ok(()),
            "messages" => messages(body, *value).map(|messages| request.messages = messages),
            "stream" | "n" | "max_tokens" | "max_completion_tokens" if value.is_null() => Ok(()),
            "stream" => value.flag().map(|flag| stream = flag),
            "n" => value.count().map(|count| request.n = Some(count)),
            // Two names of one bound.
            "max_tokens" | "max_completion_tokens" => bound(&mut request.max_tokens, *value),
            _ => {
                request.params.push((Text::from(&**name), value.json(body)));
                Ok(())
            }
        };
        taken.map_err(|wrong| wrong.at(name))?;
    }
    if request.messages.is_empty() {
        return Err(Wrong::new("is missing or empty: a call needs at least one message").at("messages"));
    }
    Ok(Chat { request, stream })
}

/// Read the body of an embeddings call.
pub(crate) fn embed(body: &Bytes) -> Result<EmbedRequest, Wrong> {
    let fields = checked(body)?;
    let input = fields.get("input").ok_or_else(|| Wrong::new("is missing").at("input"))?;
    let input = texts(body, input).map_err(|wrong| wrong.at("input"))?;
    Ok(EmbedRequest { model: model(&fields)?, input, params: fields.others(body, &["model", "input"]) })
}

fn checked(body: &Bytes) -> Result<Fields<'_>, Wrong> {
    unique::check(body).map_err(|error| Wrong::new(format!("is not valid JSON: {error}")))?;
    Fields::of_body(body)
}

fn model(fields: &Fields<'_>) -> Result<String, Wrong> {
    let missing = || Wrong::new("is missing: give \"provider/model\", or an alias of the router's models");
    let model = match fields.get("model") {
        Some(model) => model.name(),
        None => Err(missing()),
    };
    let model = model.and_then(|model| if model.is_empty() { Err(missing()) } else { Ok(model) });
    model.map(Cow::into_owned).map_err(|wrong| wrong.at("model"))
}

fn bound(most: &mut Option<u32>, value: Raw<'_>) -> Result<(), Wrong> {
    let given = value.count()?;
    if most.is_some_and(|other| other != given) {
        return Err(Wrong::new(
            "differs between max_tokens and max_completion_tokens, which are the same bound: give one",
        ));
    }
    *most = Some(given);
    Ok(())
}

fn texts(body: &Bytes, input: Raw<'_>) -> Result<Vec<Text>, Wrong> {
    let text = |value: Raw<'_>| {
        let text =
            value.string(body).map_err(|_| Wrong::new("is not text: lists of tokens are not taken"))?;
        if text.is_empty() { Err(Wrong::new("is empty")) } else { Ok(text) }
    };
    if !input.is_list() {
        return text(input).map(|text| vec![text]);
    }
    let items = input.list()?;
    if items.is_empty() {
        return Err(Wrong::new("is empty"));
    }
    let texts = items.into_iter().enumerate();
    texts.map(|(index, value)| text(value).map_err(|wrong| wrong.at_index(index))).collect()
}

fn messages(body: &Bytes, value: Raw<'_>) -> Result<Vec<Message>, Wrong> {
    let messages = value.list()?.into_iter().enumerate();
    messages.map(|(index, value)| message(body, value).map_err(|wrong| wrong.at_index(index))).collect()
}

fn message(body: &Bytes, value: Raw<'_>) -> Result<Message, Wrong> {
    let fields = value.fields()?;
    let role = role(&fields).map_err(|wrong| wrong.at("role"))?;
    let content = match fields.get("content") {
        Some(content) => self::content(body, role, content).map_err(|wrong| wrong.at("content"))?,
        None if role == Role::Assistant => Content::None,
        None => return Err(Wrong::new("is missing: give what is said").at("content")),
    };
    if role == Role::Tool && fields.get("tool_call_id").is_none_or(|id| id.name().is_err()) {
        return Err(
            Wrong::new("is missing: give the id of the call that the message answers").at("tool_call_id")
        );
    }
    Ok(Message { role, content, extra: fields.others(body, &["role", "content"]) })
}

fn role(fields: &Fields<'_>) -> Result<Role, Wrong> {
    let known = || Role::ALL.map(Role::as_str).join(", ");
    let role =
        fields.get("role").ok_or_else(|| Wrong::new(format!("is missing: give one of {}", known())))?;
    Role::from_name(&role.name()?).ok_or_else(|| Wrong::new(format!("is none of {}", known())))
}

fn content(body: &Bytes, role: Role, value: Raw<'_>) -> Result<Content, Wrong> {
    if value.is_list() {
        let parts = value.list()?;
        if parts.is_empty() {
            return Err(Wrong::new("is an empty list: give text, or parts"));
        }
        let parts = parts.into_iter().enumerate();
        let parts = parts.map(|(index, part)| self::part(body, part).map_err(|wrong| wrong.at_index(index)));
        return Ok(Content::Parts(parts.collect::<Result<_, _>>()?));
    }
    if value.is_null() && role == Role::Assistant {
        return Ok(Content::None);
    }
    value.string(body).map(Content::Text).map_err(|_| Wrong::new("is neither text nor a list of parts"))
}

fn part(body: &Bytes, value: Raw<'_>) -> Result<Part, Wrong> {
    let fields = value.fields()?;
    let kind =
        fields.get("type").ok_or_else(|| Wrong::new("is missing: give \"text\", for example").at("type"))?;
    match &*kind.name().map_err(|wrong| wrong.at("type"))? {
        "text" => {
            let text = fields.get("text").ok_or_else(|| Wrong::new("is missing").at("text"))?;
            let text = text.string(body).map_err(|wrong| wrong.at("text"))?;
            Ok(Part::Text { text, extra: fields.others(body, &["type", "text"]) })
        }
        "image_url" => image(body, value, &fields).map_err(|wrong| wrong.at("image_url")),
        _ => Ok(Part::Other(value.json(body))),
    }
}

fn image(body: &Bytes, part: Raw<'_>, fields: &Fields<'_>) -> Result<Part, Wrong> {
    let image = fields.get("image_url").ok_or_else(|| Wrong::new("is missing"))?.fields()?;
    let url = image.get("url").ok_or_else(|| Wrong::new("is missing").at("url"))?;
    let url = url.string(body).map_err(|wrong| wrong.at("url"))?;
    // Fields beside `url` and `detail` have no place in `Part::Image`: then the part passes as it is.
    if image.0.iter().any(|(name, _)| !matches!(&**name, "url" | "detail")) {
        return Ok(Part::Other(part.json(body)));
    }
    let detail = image.get("detail").filter(|detail| !detail.is_null());
    let detail = detail.map(|detail| detail.string(body).map_err(|wrong| wrong.at("detail"))).transpose()?;
    Ok(Part::Image { url, detail, extra: fields.others(body, &["type", "image_url"]) })
}

#[cfg(test)]
mod tests;
