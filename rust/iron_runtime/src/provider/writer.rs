//! A JSON body being written.

use std::io::Write as _;

use bytes::Bytes;
use serde::Serialize;

use crate::call::{ChatRequest, Content, Part, Text};
use crate::json::Json;

/// An object that is open, and the values within it.
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.push(b'{');
        Self { bytes }
    }

    /// With room for about what `request` will be; text that needs escapes makes it grow.
    pub(crate) fn sized_for(request: &ChatRequest) -> Self {
        Self::new(512 + size(request))
    }

    pub(crate) fn finish(mut self) -> Bytes {
        self.bytes.push(b'}');
        self.bytes.into()
    }

    pub(crate) fn key(&mut self, name: &str) {
        self.comma();
        self.text(name);
        self.bytes.push(b':');
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.value(text);
    }

    pub(crate) fn value(&mut self, value: &(impl Serialize + ?Sized)) {
        // Writing a text or a number to memory cannot fail.
        drop(serde_json::to_writer(&mut self.bytes, value));
    }

    pub(crate) fn string(&mut self, name: &str, value: &str) {
        self.key(name);
        self.text(value);
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.key(name);
        drop(write!(self.bytes, "{value}"));
    }

    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.key(name);
        self.json(json);
    }

    /// A value that is JSON already.
    pub(crate) fn json(&mut self, json: &str) {
        self.bytes.extend_from_slice(json.as_bytes());
    }

    pub(crate) fn fields(&mut self, fields: &[(Text, Json)]) {
        for (name, value) in fields {
            self.raw(name, value.as_str());
        }
    }

    pub(crate) fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        self.open_list();
        for item in items {
            self.comma();
            each(self, item);
        }
        self.close_list();
    }

    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.open();
        fields(self);
        self.close();
    }

    /// Begin an object as the next value: where a field may fail, a closure would stand in the way.
    pub(crate) fn open(&mut self) {
        self.bytes.push(b'{');
    }

    pub(crate) fn close(&mut self) {
        self.bytes.push(b'}');
    }

    /// Begin a list whose items are added one by one, each with a [`Writer::comma`] before it.
    pub(crate) fn open_list(&mut self) {
        self.bytes.push(b'[');
    }

    pub(crate) fn close_list(&mut self) {
        self.bytes.push(b']');
    }

    /// A comma, unless what comes is the first of its list or object.
    pub(crate) fn comma(&mut self) {
        if !matches!(self.bytes.last(), Some(b'{' | b'[' | b':')) {
            self.bytes.push(b',');
        }
    }

    /// Add a field to the object that was closed last.
    pub(crate) fn amend(&mut self, name: &str, json: &str) {
        if self.bytes.pop_if(|last| *last == b'}').is_some() {
            self.raw(name, json);
            self.close();
        }
    }
}

fn size(request: &ChatRequest) -> usize {
    let content = |content: &Content| match content {
        Content::None => 4,
        Content::Text(text) => text.len(),
        Content::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text { text, .. } => text.len() + 32,
                Part::Image { url, .. } => url.len() + 64,
                Part::Other(json) => json.as_str().len(),
            })
            .sum(),
    };
    let fields = |fields: &[(Text, Json)]| -> usize {
        fields.iter().map(|(name, value)| name.len() + value.as_str().len() + 8).sum()
    };
    let messages =
        request.messages.iter().map(|message| content(&message.content) + fields(&message.extra) + 40);
    messages.sum::<usize>() + fields(&request.params)
}
