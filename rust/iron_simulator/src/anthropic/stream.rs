//! A message as a stream of events.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use serde_json::{Value, json};

use super::error;
use super::message::{Heading, blocks, ending, start, usage_body};
use crate::body::Piece;
use crate::fault::{EndlessFault, Fault, Filler};
use crate::form::Form;
use crate::reply::Choice;
use crate::stats::Usage;
use crate::tokens::{count_tokens, first_tokens};

/// A stream of events, made one at a time as they are asked for.
pub(crate) struct MessageStream {
    events: VecDeque<Event>,
    form: Form,
    /// The data of each event takes two lines.
    split_data: bool,
    sent: u64,
    /// What is to be counted as served by the end and has not been carried by an event yet.
    output_left: u64,
    reasoning_left: u64,
}

struct Event {
    data: Value,
    output: u64,
    reasoning: u64,
}

impl Event {
    fn new(data: Value) -> Self {
        Self { data, output: 0, reasoning: 0 }
    }

    fn name(&self) -> &str {
        self.data["type"].as_str().unwrap_or_default()
    }
}

impl MessageStream {
    pub(crate) fn new(heading: &Heading, choice: &Choice, usage: Usage, per_chunk: NonZeroU32) -> Self {
        let mut began = usage_body(Usage { output: 1, reasoning: 0, ..usage });
        began["output_tokens_details"] = Value::Null;
        let mut events = VecDeque::from([
            Event::new(json!({"type": "message_start", "message": start(heading, &began)})),
            Event::new(json!({"type": "ping"})),
        ]);
        for (index, (block, call)) in blocks(heading, choice).into_iter().zip(calls(choice)).enumerate() {
            write_block(&mut events, index, block, call, u64::from(per_chunk.get()));
        }
        let (reason, sequence, details) = ending(choice);
        let mut delta = json!({"stop_reason": reason, "stop_sequence": sequence});
        if !details.is_null() {
            delta["stop_details"] = details;
        }
        let mut used = usage_body(usage);
        for unsaid in ["service_tier", "cache_creation"] {
            used.as_object_mut().map(|used| used.remove(unsaid));
        }
        events.push_back(Event::new(json!({"type": "message_delta", "delta": delta, "usage": used})));
        events.push_back(Event::new(json!({"type": "message_stop"})));
        Self {
            events,
            form: Form::default(),
            split_data: false,
            sent: 0,
            output_left: usage.output,
            reasoning_left: usage.reasoning,
        }
    }

    /// Do `fault` to the events, if it is one that is done to them.
    pub(crate) fn with_fault(mut self, fault: &Fault) -> Self {
        self.form = Form::of(fault);
        self.split_data = matches!(fault, Fault::MultiLineData(_));
        if !self.form.finish_reason {
            self.events.retain(|event| event.name() != "message_delta");
        }
        if !self.form.done {
            self.events.retain(|event| event.name() != "message_stop");
        }
        self
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        let ends = self.events.front().is_some_and(|event| event.name() == "message_delta");
        if ends && let Some(endless) = self.form.endless {
            return Some(self.fill(endless));
        }
        let event = self.events.pop_front()?;
        // Those that are counted are the events of the reply: the first and the pings are none.
        let told = !matches!(event.name(), "message_start" | "ping");
        let due = |at: Option<u64>| told && at.is_some_and(|at| self.sent >= at || ends);
        if due(self.form.error) {
            self.events.clear();
            return Some(self.piece("error", &error::event(), 0, 0));
        }
        let mut data = event.data.to_string();
        let mut name = event.name();
        if due(self.form.malformed) {
            self.form.malformed = None;
            data.truncate(data.len() / 2);
            name = if self.form.named { "error" } else { name };
        }
        let (output, reasoning) =
            if ends { (self.output_left, self.reasoning_left) } else { (event.output, event.reasoning) };
        let name = name.to_owned();
        self.sent += u64::from(told);
        Some(self.piece(&name, &data, output, reasoning))
    }

    /// What goes on for ever.
    fn fill(&mut self, endless: EndlessFault) -> Piece {
        let mut piece = match endless.with {
            Filler::Comments => {
                let mut out = BytesMut::new();
                out.put_slice(format!(": keep-alive{0}{0}", self.form.line_end).as_bytes());
                Piece { bytes: out.freeze(), ..Piece::default() }
            }
            Filler::Chunks => self.piece("ping", r#"{"type":"ping"}"#, 0, 0),
        };
        piece.output = std::mem::take(&mut self.output_left);
        piece.reasoning = std::mem::take(&mut self.reasoning_left);
        piece.wait = Duration::from_millis(endless.every_ms);
        piece
    }

    fn piece(&mut self, name: &str, data: &str, output: u64, reasoning: u64) -> Piece {
        let end = self.form.line_end;
        let mut out = BytesMut::with_capacity(name.len() + data.len() + 48);
        if std::mem::take(&mut self.form.bom) {
            out.put_slice("\u{feff}".as_bytes());
        }
        if self.form.comments {
            out.put_slice(format!(": keep-alive{end}{end}").as_bytes());
        }
        // Between two fields a line end is white space to JSON.
        let data = if self.split_data { data.replacen(',', ",\ndata: ", 1) } else { data.to_owned() };
        out.put_slice(format!("event: {name}{end}data: {data}{end}{end}").as_bytes());
        let (output, reasoning) = (output.min(self.output_left), reasoning.min(self.reasoning_left));
        self.output_left -= output;
        self.reasoning_left -= reasoning;
        Piece { bytes: out.freeze(), output, reasoning, ..Piece::default() }
    }
}

/// For each block of a message, the arguments that it holds as text.
fn calls(choice: &Choice) -> impl Iterator<Item = Option<&str>> {
    let before = usize::from(choice.thinking.is_some())
        + usize::from(choice.content.as_ref().is_some_and(|text| !text.is_empty()));
    std::iter::repeat_n(None, before).chain(choice.calls.iter().map(|call| Some(call.arguments.as_str())))
}

/// The events of one block: its beginning without its text, its text in pieces, its end.
fn write_block(
    events: &mut VecDeque<Event>,
    index: usize,
    mut block: Value,
    arguments: Option<&str>,
    per_chunk: u64,
) {
    let kind = block["type"].as_str().unwrap_or_default().to_owned();
    let (field, delta, piece) = match kind.as_str() {
        "thinking" => ("thinking", "thinking_delta", "thinking"),
        "text" => ("text", "text_delta", "text"),
        _ => ("input", "input_json_delta", "partial_json"),
    };
    let whole = match arguments {
        Some(arguments) => arguments.to_owned(),
        None => block[field].as_str().unwrap_or_default().to_owned(),
    };
    block[field] = if arguments.is_some() { json!({}) } else { json!("") };
    let signature = block.get("signature").cloned();
    if signature.is_some() {
        block["signature"] = json!("");
    }
    let mut began =
        Event::new(json!({"type": "content_block_start", "index": index, "content_block": block}));
    began.output = block["name"].as_str().map_or(0, count_tokens);
    events.push_back(began);
    let mut at = 0;
    while at < whole.len() {
        let text = first_tokens(&whole[at..], per_chunk);
        at += text.len();
        let mut event = Event::new(
            json!({"type": "content_block_delta", "index": index, "delta": {"type": delta, piece: text}}),
        );
        event.output = count_tokens(text);
        event.reasoning = if kind == "thinking" { event.output } else { 0 };
        events.push_back(event);
    }
    if let Some(signature) = signature {
        let delta = json!({"type": "signature_delta", "signature": signature});
        events.push_back(Event::new(json!({"type": "content_block_delta", "index": index, "delta": delta})));
    }
    events.push_back(Event::new(json!({"type": "content_block_stop", "index": index})));
}
