//! The way back: what a reply's placeholders stand for, put in their place once the policy has judged it.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{ARGUMENTS, NAMES, crowded};
use crate::Error;
use crate::call::ChatRequest;
use crate::pipeline::Call;
use crate::policy::{Direction, Form, Vault, View};

/// The field of a message that is its text.
const CONTENT: &str = "content";
/// Names a function, which is the caller's own word.
const NAME: &str = "name";
/// The field of a request that says what the text of its reply is.
const RESPONSE_FORMAT: &str = "response_format";

/// The pseudonyms of one call.
#[derive(Clone, Debug)]
pub(crate) struct Pseudonyms {
    vault: Vault,
    /// What had been given when the request was sent.
    given: Option<View>,
    /// How the text of its reply is written.
    content: Form,
}

impl Pseudonyms {
    pub(super) fn new(vault: Vault) -> Self {
        Self { vault, given: None, content: Form::Plain }
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(super) fn given(&self) -> Option<&View> {
        self.given.as_ref()
    }

    /// How the text in a field of a message is written: `fields` are those on the way to it.
    pub(super) fn form<'f>(&self, mut fields: impl Iterator<Item = &'f str>) -> Form {
        match (fields.next(), fields.last()) {
            (Some(ARGUMENTS), None) | (_, Some(ARGUMENTS)) => Form::Json,
            (Some(CONTENT), _) => self.content,
            _ => Form::Plain,
        }
    }

    /// A part of a reply's message with its placeholders restored; `None` where it has none.
    pub(in crate::pipeline) fn restored(&self, message: &Value) -> Option<Value> {
        let mut message = message.clone();
        let restored = self.restore_message(self.given()?, message.as_object_mut()?);
        restored.then_some(message)
    }

    fn restore_message(&self, given: &View, message: &mut Map<String, Value>) -> bool {
        let fields = message.iter_mut();
        let restored =
            fields.map(|(name, value)| restore_field(given, name, value, self.form([&**name].into_iter())));
        restored.fold(false, std::ops::BitOr::bitor)
    }

    /// A reply's body with its placeholders restored; `None` where it has none.
    pub(super) fn restore(&self, body: &Bytes) -> Option<Bytes> {
        let given = self.given()?;
        let mut whole: Value = serde_json::from_slice(body).ok()?;
        let mut restored = false;
        for choice in whole.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(Value::Object(message)) = choice.get_mut("message") else { continue };
            let own = self.restore_message(given, message);
            // The tokens of the text, one by one.
            if own && let Some(logprobs) = choice.get_mut("logprobs") {
                *logprobs = Value::Null;
            }
            restored |= own;
        }
        restored.then(|| whole.to_string().into())
    }
}

/// Restore what stands in a field: whether anything did.
pub(super) fn restore_field(given: &View, name: &str, value: &mut Value, form: Form) -> bool {
    match value {
        Value::String(_) if NAMES.contains(&name) || name == NAME => false,
        value => restore_value(given, value, if name == ARGUMENTS { Form::Json } else { form }),
    }
}

/// Restore what stands in a value: whether anything did.
pub(super) fn restore_value(given: &View, value: &mut Value, form: Form) -> bool {
    match value {
        Value::String(text) => match given.restore(text, form) {
            Some(restored) => {
                *text = restored;
                true
            }
            None => false,
        },
        Value::Array(values) => {
            let restored = values.iter_mut().map(|value| restore_value(given, value, form));
            restored.fold(false, std::ops::BitOr::bitor)
        }
        Value::Object(fields) => {
            let restored = fields.iter_mut().map(|(name, value)| restore_field(given, name, value, form));
            restored.fold(false, std::ops::BitOr::bitor)
        }
        _ => false,
    }
}

/// How the text of a request's reply is written.
fn content(request: &ChatRequest) -> Form {
    let format = request.param(RESPONSE_FORMAT);
    let format = format.and_then(|format| serde_json::from_str::<Value>(format.as_str()).ok());
    match format.as_ref().and_then(|format| format["type"].as_str()) {
        None | Some("text") => Form::Plain,
        Some(_) => Form::Json,
    }
}

impl Call {
    /// Keep from values what the request names that looks like a placeholder: fields of a tool's arguments cannot be
    /// called anything else.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`] if that is more than a scope tells apart.
    pub(super) fn keep_off(&mut self, request: &ChatRequest) -> Result<(), Error> {
        let (Some(pseudonyms), Some(policies)) = (&mut self.pseudonyms, &self.held) else { return Ok(()) };
        pseudonyms.content = content(request);
        for (_, field) in &request.params {
            let kept = pseudonyms.vault.keep_off(field.as_str());
            kept.map_err(|full| crowded(policies, full, Direction::Input))?;
        }
        Ok(())
    }

    /// The request is as it will be sent: what its reply has that looks like a placeholder stands for what is given by now.
    pub(super) fn give(&mut self) {
        if let Some(pseudonyms) = &mut self.pseudonyms {
            pseudonyms.given = pseudonyms.vault.view();
        }
    }

    /// A reply that the policy has judged, with its placeholders restored. What the provider sent stays as it was sent.
    pub(super) fn restored(&mut self, (body, raw): (Bytes, Option<Bytes>)) -> (Bytes, Option<Bytes>) {
        let restored = self.pseudonyms.as_ref().and_then(|pseudonyms| pseudonyms.restore(&body));
        self.said = restored.as_ref().map(|_| body.clone());
        match restored {
            Some(restored) => (restored, raw.or(Some(body))),
            None => (body, raw),
        }
    }
}

#[cfg(test)]
impl Pseudonyms {
    /// Those that have been given in `vault`.
    pub(super) fn of(vault: Vault, content: Form) -> Self {
        Self { given: vault.view(), vault, content }
    }
}
