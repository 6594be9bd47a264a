//! What a reply in the form of OpenAI says.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// One choice of a reply, as somebody sees it who wants an output.
#[derive(PartialEq, Eq)]
pub(crate) enum Said<'b> {
    /// A whole text.
    Text(Cow<'b, str>),
    /// A text that ended before its end, for this reason.
    CutOff(&'static str),
    /// No output, but a refusal, or calls of tools that come before it.
    Nothing,
}

#[derive(Deserialize)]
struct Body<'b> {
    #[serde(borrow)]
    choices: Vec<Choice<'b>>,
}

#[derive(Deserialize)]
struct Choice<'b> {
    #[serde(borrow)]
    message: Message<'b>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'b, str>>,
}

#[derive(Deserialize)]
struct Message<'b> {
    /// Told apart by its first byte: trying one form after the other would read it three times.
    #[serde(borrow, default)]
    content: Option<&'b RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'b RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'b RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'b RawValue>,
}

/// Some vendors answer in parts, of which those without text (reasoning) are not what is said.
#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// The text of the first choice; empty if it has none.
pub(crate) fn text(body: &[u8]) -> Cow<'_, str> {
    let Ok(Body { choices }) = serde_json::from_slice(body) else { return Cow::Borrowed("") };
    let first = choices.into_iter().next();
    first.map_or(Cow::Borrowed(""), |choice| choice.message.text())
}

/// What each choice says.
///
/// # Errors
/// The body is no reply.
pub(crate) fn said(body: &[u8]) -> Result<Vec<Said<'_>>, serde_json::Error> {
    let Body { choices } = serde_json::from_slice(body)?;
    Ok(choices.into_iter().map(Said::of).collect())
}

impl<'b> Said<'b> {
    fn of(choice: Choice<'b>) -> Self {
        let Choice { message, finish_reason } = choice;
        let text = message.text();
        if message.calls() || (text.trim().is_empty() && message.refuses()) {
            return Self::Nothing;
        }
        match finish_reason.as_deref() {
            Some("length") => Self::CutOff("length"),
            Some("content_filter") => Self::CutOff("content_filter"),
            _ => Self::Text(text),
        }
    }
}

impl<'b> Message<'b> {
    fn text(&self) -> Cow<'b, str> {
        let Some(content) = self.content.map(RawValue::get) else { return Cow::Borrowed("") };
        if content.starts_with('[') {
            return self.parts().into_iter().filter_map(|part| part.text).collect();
        }
        // Borrowing fails on text with escapes.
        match serde_json::from_str::<&str>(content) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(serde_json::from_str(content).unwrap_or_default()),
        }
    }

    fn parts(&self) -> Vec<Part> {
        self.content.and_then(|content| serde_json::from_str(content.get()).ok()).unwrap_or_default()
    }

    fn refuses(&self) -> bool {
        self.refusal.is_some_and(|refusal| refusal.get() != "\"\"")
            || self.parts().iter().any(|part| part.refusal.is_some())
    }

    fn calls(&self) -> bool {
        // An empty list is written with or without space.
        let some = |calls: &RawValue| calls.get().bytes().any(|byte| byte == b'{');
        self.tool_calls.is_some_and(some) || self.function_call.is_some_and(some)
    }
}
