//! A chat completion as a stream of events.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use serde_json::json;

use crate::body::Piece;
use crate::fault::{EndlessFault, Fault, Filler};
use crate::form::Form;
use crate::openai::chat::{Heading, UsageBody};
use crate::openai::error::ApiError;
use crate::reply::Choice;
use crate::stats::Usage;
use crate::tokens::{count_tokens, first_tokens};

/// A stream of events, made one at a time as they are asked for.
pub(crate) struct ChatStream {
    choices: Vec<Cursor>,
    /// The choice whose turn it is; they take turns.
    turn: usize,
    per_chunk: u64,
    /// The event's JSON before and after its choices.
    before: String,
    after: &'static str,
    /// The event with usage, unless it was sent or isn't wanted.
    usage: Option<String>,
    form: Form,
    sent: u64,
    /// What is to be counted as served by the end and has not been carried by an event yet.
    output_left: u64,
    reasoning_left: u64,
    over: bool,
}

/// How far a choice has been sent.
struct Cursor {
    choice: Choice,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Role,
    Content(usize),
    Refusal(usize),
    Call(usize),
    Arguments(usize, usize),
    Finish,
    Over,
}

impl ChatStream {
    pub(crate) fn new(heading: &Heading, choices: Vec<Choice>, usage: Usage, per_chunk: NonZeroU32) -> Self {
        let Heading { id, model, created, fingerprint } = heading;
        let before = format!(
            "{{\"id\":\"{id}\",\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":{},\
             \"service_tier\":\"default\",\"system_fingerprint\":\"{fingerprint}\",\"choices\":[",
            json!(model)
        );
        Self {
            choices: choices.into_iter().map(|choice| Cursor { choice, stage: Stage::Role }).collect(),
            turn: 0,
            per_chunk: u64::from(per_chunk.get()),
            before,
            after: "]}",
            usage: None,
            form: Form::default(),
            sent: 0,
            output_left: usage.output,
            reasoning_left: usage.reasoning,
            over: false,
        }
    }

    /// Send usage in an event of its own before the end.
    pub(crate) fn with_usage(mut self, usage: Usage) -> Self {
        self.after = "],\"usage\":null}";
        self.usage = serde_json::to_string(&UsageBody::from(usage)).ok();
        self
    }

    /// Do `fault` to the events, if it is one that is done to them.
    pub(crate) fn with_fault(mut self, fault: &Fault) -> Self {
        self.form = Form::of(fault);
        if matches!(fault, Fault::MultiLineData(_)) {
            // Between the id and the rest, where a line end is white space to JSON.
            self.before = self.before.replacen(',', ",\ndata: ", 1);
        }
        self
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        if self.over {
            return None;
        }
        // Enough for a chunk of one token, so that most events take one allocation.
        let mut out = BytesMut::with_capacity(self.before.len() + 160);
        if std::mem::take(&mut self.form.bom) {
            out.put_slice("\u{feff}".as_bytes());
        }
        self.comment(&mut out);
        let Some(turn) = self.find_turn() else { return self.end(out) };
        let last = self.choices[turn].stage == Stage::Finish
            && self.choices.iter().filter(|cursor| cursor.stage != Stage::Over).count() == 1;
        if last && let Some(endless) = self.form.endless {
            return Some(self.fill(out, endless));
        }
        let due = |at: Option<u64>, sent: u64| at.is_some_and(|at| sent >= at || last);
        let (error, malformed) = (due(self.form.error, self.sent), due(self.form.malformed, self.sent));
        if self.form.named && (error || malformed) {
            out.put_slice(b"event: error");
            out.put_slice(self.form.line_end.as_bytes());
        }
        out.put_slice(b"data: ");
        if error {
            self.over = true;
            out.put_slice(&ApiError::server().body());
            return Some(self.piece(out, 0, 0));
        }
        let start = out.len();
        out.put_slice(self.before.as_bytes());
        let (output, reasoning) = self.choices[turn].write(turn, self.per_chunk, &mut out);
        if malformed {
            // Cut where the choices begin.
            self.form.malformed = None;
            out.truncate(start + self.before.len());
        } else {
            out.put_slice(self.after.as_bytes());
        }
        self.turn = turn + 1;
        let output = if last { self.output_left } else { output };
        let reasoning = if last { self.reasoning_left } else { reasoning };
        Some(self.piece(out, output, reasoning))
    }

    /// What goes on for ever.
    fn fill(&mut self, mut out: BytesMut, endless: EndlessFault) -> Piece {
        match endless.with {
            Filler::Comments => out.put_slice(b": keep-alive"),
            Filler::Chunks => {
                out.put_slice(b"data: ");
                out.put_slice(self.before.as_bytes());
                out.put_slice(br#"{"index":0,"delta":{"content":" "},"logprobs":null,"finish_reason":null}"#);
                out.put_slice(self.after.as_bytes());
            }
        }
        Piece { wait: Duration::from_millis(endless.every_ms), ..self.piece(out, 0, 0) }
    }

    /// The usage event, then the end.
    fn end(&mut self, mut out: BytesMut) -> Option<Piece> {
        out.put_slice(b"data: ");
        if let Some(usage) = self.usage.take() {
            out.put_slice(self.before.as_bytes());
            out.put_slice(format!("],\"usage\":{usage}}}").as_bytes());
        } else {
            self.over = true;
            if !self.form.done {
                return None;
            }
            out.put_slice(b"[DONE]");
        }
        Some(self.piece(out, self.output_left, self.reasoning_left))
    }

    fn piece(&mut self, mut out: BytesMut, output: u64, reasoning: u64) -> Piece {
        out.put_slice(self.form.line_end.as_bytes());
        out.put_slice(self.form.line_end.as_bytes());
        self.sent += 1;
        let (output, reasoning) = (output.min(self.output_left), reasoning.min(self.reasoning_left));
        self.output_left -= output;
        self.reasoning_left -= reasoning;
        Piece { bytes: out.freeze(), output, reasoning, ..Piece::default() }
    }

    fn comment(&self, out: &mut BytesMut) {
        if self.form.comments {
            out.put_slice(b": keep-alive");
            out.put_slice(self.form.line_end.as_bytes());
            out.put_slice(self.form.line_end.as_bytes());
        }
    }

    /// The next choice that has something to send, from the one whose turn it is.
    fn find_turn(&mut self) -> Option<usize> {
        let len = self.choices.len();
        let finish_reason = self.form.finish_reason;
        for cursor in &mut self.choices {
            cursor.skip_empty();
            if cursor.stage == Stage::Finish && !finish_reason {
                cursor.stage = Stage::Over;
            }
        }
        (0..len).map(|nth| (self.turn + nth) % len).find(|nth| self.choices[*nth].stage != Stage::Over)
    }
}

impl Cursor {
    /// Move on from what has been sent whole.
    fn skip_empty(&mut self) {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.stage = loop {
            self.stage = match self.stage {
                Stage::Content(at) if at >= len(&self.choice.content) => Stage::Refusal(0),
                Stage::Refusal(at) if at >= len(&self.choice.refusal) => Stage::Call(0),
                Stage::Call(nth) if nth >= self.choice.calls.len() => Stage::Finish,
                Stage::Arguments(nth, at)
                    if self.choice.calls.get(nth).is_none_or(|call| at >= call.arguments.len()) =>
                {
                    Stage::Call(nth + 1)
                }
                stage => break stage,
            };
        };
    }

    /// Write the choice's part of the next event: the output and reasoning tokens it carries.
    fn write(&mut self, index: usize, per_chunk: u64, out: &mut BytesMut) -> (u64, u64) {
        out.put_slice(format!("{{\"index\":{index},\"delta\":").as_bytes());
        let mut finish = None;
        let choice = &self.choice;
        let (stage, tokens) = match self.stage {
            Stage::Role => {
                out.put_slice(match choice.content {
                    Some(_) => br#"{"role":"assistant","content":"","refusal":null}"#,
                    None => br#"{"role":"assistant","content":null,"refusal":null}"#,
                });
                (Stage::Content(0), choice.reasoning_tokens)
            }
            Stage::Content(at) => {
                let (end, tokens) =
                    write_part("{\"content\":", choice.content.as_deref(), at, per_chunk, "}", out);
                (Stage::Content(end), tokens)
            }
            Stage::Refusal(at) => {
                let (end, tokens) =
                    write_part("{\"refusal\":", choice.refusal.as_deref(), at, per_chunk, "}", out);
                (Stage::Refusal(end), tokens)
            }
            Stage::Call(nth) => {
                let call = choice.calls.get(nth);
                let (id, name) = call.map_or(("", ""), |call| (&call.id, &call.name));
                let function = json!({"name": name, "arguments": ""});
                let call = json!({"index": nth, "id": id, "type": "function", "function": function});
                out.put_slice(json!({"tool_calls": [call]}).to_string().as_bytes());
                (Stage::Arguments(nth, 0), count_tokens(name))
            }
            Stage::Arguments(nth, at) => {
                let text = choice.calls.get(nth).map(|call| call.arguments.as_str());
                let before = format!("{{\"tool_calls\":[{{\"index\":{nth},\"function\":{{\"arguments\":");
                let (end, tokens) = write_part(&before, text, at, per_chunk, "}}]}", out);
                (Stage::Arguments(nth, end), tokens)
            }
            Stage::Finish | Stage::Over => {
                out.put_slice(b"{}");
                finish = Some(choice.finish_reason.as_str());
                (Stage::Over, 0)
            }
        };
        out.put_slice(b",\"logprobs\":null,\"finish_reason\":");
        match finish {
            Some(reason) => put_text(reason, out),
            None => out.put_slice(b"null"),
        }
        out.put_slice(b"}");
        let reasoning = if self.stage == Stage::Role { tokens } else { 0 };
        self.stage = stage;
        (tokens, reasoning)
    }
}

/// Write the next `per_chunk` tokens of a text from byte `at`: where they end, and how many they are.
fn write_part(
    before: &str,
    text: Option<&str>,
    at: usize,
    per_chunk: u64,
    after: &str,
    out: &mut BytesMut,
) -> (usize, u64) {
    let part = first_tokens(text.and_then(|text| text.get(at..)).unwrap_or_default(), per_chunk);
    out.put_slice(before.as_bytes());
    put_text(part, out);
    out.put_slice(after.as_bytes());
    (at + part.len(), count_tokens(part))
}

/// Write a text as a JSON string.
fn put_text(text: &str, out: &mut BytesMut) {
    // A string always becomes JSON, and a buffer takes all of it.
    let _ = serde_json::to_writer(out.writer(), text);
}

#[cfg(test)]
mod tests;
