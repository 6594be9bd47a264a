//! A stream's events put together to the message that the plain call would have had.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::event::Delta;
use crate::provider::fields::Fields;

/// What has come so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    start: Option<Bytes>,
    blocks: Vec<Block>,
    /// The events that tell why the message ended.
    ends: Vec<Bytes>,
    stopped: bool,
    /// Whether one of them tells what the message used: what it began with is no bill.
    counted: bool,
}

#[derive(Debug, Default)]
struct Block {
    start: Bytes,
    /// Bytes of content in it.
    holds: usize,
    text: String,
    thinking: String,
    input: String,
    signature: String,
    citations: Vec<Bytes>,
    whole: bool,
}

impl Assembly {
    pub(super) fn start(&mut self, message: Bytes) {
        self.start = Some(message);
    }

    pub(super) fn begin(&mut self, block: Bytes) {
        self.blocks.push(Block { holds: held(&block), start: block, ..Block::default() });
    }

    /// Add to the block that was begun last.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn add(&mut self, delta: &Delta) -> Result<(), String> {
        let block = self.open()?;
        match delta {
            Delta::Text(text) => block.text.push_str(text),
            Delta::Thinking(text) => block.thinking.push_str(text),
            Delta::Input(json) => block.input.push_str(json),
            Delta::Signature(text) => block.signature.push_str(text),
            Delta::Citation(json) => block.citations.push(json.clone()),
            Delta::Unknown => {}
        }
        Ok(())
    }

    /// # Errors
    /// If no block is open.
    pub(super) fn end_block(&mut self) -> Result<(), String> {
        self.open()?.whole = true;
        Ok(())
    }

    fn open(&mut self) -> Result<&mut Block, String> {
        let open = self.blocks.last_mut().filter(|block| !block.whole);
        open.ok_or_else(|| "an event of the stream belongs to no block".to_owned())
    }

    /// Add the event that tells why the message ended, and what it used.
    pub(super) fn end(&mut self, event: Bytes, stopped: bool, counted: bool) {
        self.ends.push(event);
        self.stopped |= stopped;
        self.counted |= counted;
    }

    /// Whether the message is whole.
    pub(super) fn finished(&self) -> bool {
        self.start.is_some() && self.stopped && self.blocks.iter().all(|block| block.whole)
    }

    /// An upper bound on the tokens of everything that came.
    pub(super) fn most_tokens(&self) -> u64 {
        let bytes = |block: &Block| {
            let shown = block.text.len() + block.thinking.len() + block.input.len();
            shown + block.holds + block.signature.len()
        };
        self.blocks.iter().map(|block| bytes(block) as u64).sum()
    }

    /// The whole message, as Anthropic shapes it.
    pub(super) fn message(&self) -> Bytes {
        let mut message = self.start.as_ref().and_then(object).unwrap_or_default();
        message.insert("content".to_owned(), self.blocks.iter().map(Block::value).collect());
        for end in &self.ends {
            let Some(mut end) = object(end) else { continue };
            if let Some(Value::Object(delta)) = end.remove("delta") {
                put(&mut message, delta);
            }
            if let Some(Value::Object(counts)) = end.remove("usage") {
                match message.get_mut("usage") {
                    Some(Value::Object(usage)) => put(usage, counts),
                    _ => drop(message.insert("usage".to_owned(), Value::Object(counts))),
                }
            }
        }
        if !self.counted {
            message.insert("usage".to_owned(), Value::Null);
        }
        Bytes::from(Value::Object(message).to_string())
    }

    /// `usage` as it stands after all that has come.
    pub(super) fn usage(&self) -> String {
        let message = self.message();
        let text = std::str::from_utf8(&message).unwrap_or_default();
        Fields::read(text).and_then(|fields| fields.get("usage").map(str::to_owned)).unwrap_or_default()
    }
}

impl Block {
    fn value(&self) -> Value {
        let mut block = object(&self.start).unwrap_or_default();
        let appended = [("text", &self.text), ("thinking", &self.thinking), ("signature", &self.signature)];
        for (field, more) in appended.into_iter().filter(|(_, more)| !more.is_empty()) {
            let text = block.get(field).and_then(Value::as_str).unwrap_or_default();
            let text = format!("{text}{more}");
            block.insert(field.to_owned(), text.into());
        }
        if !self.input.is_empty() {
            // Arguments that broke off are no JSON: kept as the text that they are.
            let input = serde_json::from_str(&self.input).unwrap_or_else(|_| self.input.as_str().into());
            block.insert("input".to_owned(), input);
        }
        if !self.citations.is_empty() {
            let cited = self.citations.iter().filter_map(object).map(Value::Object);
            block.insert("citations".to_owned(), cited.collect());
        }
        Value::Object(block)
    }
}

/// How much content a block begins with: a text begins empty, and its frame is nobody's output. Of other blocks all may
/// be: names of tools, results of those that ran at the provider, thoughts that are sealed.
fn held(start: &Bytes) -> usize {
    let fields = std::str::from_utf8(start).ok().and_then(Fields::read).unwrap_or_default();
    match fields.text("type").as_deref() {
        Some("text" | "thinking") => ["text", "thinking", "signature"]
            .iter()
            .filter_map(|name| fields.text(name))
            .map(|text| text.len())
            .sum(),
        _ => start.len(),
    }
}

fn object(json: &Bytes) -> Option<Map<String, Value>> {
    serde_json::from_slice(json).ok()
}

/// What an event does not know it gives as null, which takes nothing away.
fn put(whole: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        if !value.is_null() || !whole.contains_key(&name) {
            whole.insert(name, value);
        }
    }
}
