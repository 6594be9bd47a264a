//! A streamed message as it is read: each event becomes chunks as OpenAI shapes them, and leaves what settling needs.

use bytes::Bytes;

use super::assemble::Assembly;
use super::decode::{created, finish_reason, reply};
use super::event::{Delta, Event, event};
use super::usage::Counted;
use crate::call::{ChatRequest, Chunk, Text};
use crate::provider::fields::Fields;
use crate::provider::reading::{Whole, shows_usage};
use crate::provider::writer::Writer;
use crate::provider::{ReplyFacts, Told};

/// What has been read of one stream.
#[derive(Debug)]
pub(crate) struct Reading {
    assembly: Assembly,
    facts: ReplyFacts,
    shows_usage: bool,
    /// What stands at the beginning of each chunk.
    id: String,
    model: String,
    created: u64,
    /// Tools called so far; the block that was begun last is a call if it is one of them.
    calls: u64,
    calling: bool,
}

impl Reading {
    pub(crate) fn new(request: &ChatRequest) -> Self {
        Self {
            assembly: Assembly::default(),
            facts: ReplyFacts::default(),
            shows_usage: shows_usage(request),
            id: String::new(),
            model: String::new(),
            created: created(),
            calls: 0,
            calling: false,
        }
    }

    pub(crate) fn read(&mut self, data: Bytes, chunks: &mut Vec<Chunk>) -> Result<bool, Told> {
        let event = event(&data)?;
        match event {
            Event::Stop => return Ok(true),
            Event::Ping => {}
            Event::BlockEnd => self.assembly.end_block().map_err(Told::wrong)?,
            Event::Start(message) => {
                self.begin(&message);
                self.assembly.start(message);
                let chunk = self.chunk(|delta| {
                    delta.string("role", "assistant");
                    delta.string("content", "");
                });
                chunks.push(made(chunk, Text::new(), data));
            }
            Event::Block(block) => {
                let chunk = self.begin_block(&block);
                self.assembly.begin(block);
                chunks.push(made(chunk, Text::new(), data));
            }
            Event::Delta(delta) => {
                self.assembly.add(&delta).map_err(Told::wrong)?;
                let chunk = self.delta(&delta);
                let text = if let Delta::Text(text) = delta { text } else { Text::new() };
                chunks.push(made(chunk, text, data));
            }
            Event::End(end) => self.end(&end, data, chunks),
            Event::Unknown => {
                let chunk = self.chunk(|_| ());
                chunks.push(made(chunk, Text::new(), data));
            }
        }
        Ok(false)
    }

    fn begin(&mut self, message: &Bytes) {
        let fields = std::str::from_utf8(message).ok().and_then(Fields::read).unwrap_or_default();
        self.id = fields.text("id").unwrap_or_default().into_owned();
        self.model = fields.text("model").unwrap_or_default().into_owned();
    }

    fn begin_block(&mut self, block: &Bytes) -> Bytes {
        let fields = std::str::from_utf8(block).ok().and_then(Fields::read).unwrap_or_default();
        self.calling = fields.text("type").as_deref() == Some("tool_use");
        if !self.calling {
            return self.chunk(|_| ());
        }
        self.calls += 1;
        self.chunk(|delta| {
            call(delta, self.calls, |call| {
                call.raw("id", fields.get("id").unwrap_or("\"\""));
                call.string("type", "function");
                call.key("function");
                call.object(|function| {
                    function.raw("name", fields.get("name").unwrap_or("\"\""));
                    function.string("arguments", "");
                });
            });
        })
    }

    fn delta(&self, delta: &Delta) -> Bytes {
        self.chunk(|body| match delta {
            Delta::Text(text) => body.string("content", text),
            Delta::Thinking(text) => body.string("reasoning_content", text),
            Delta::Input(json) if self.calling => call(body, self.calls, |call| {
                call.key("function");
                call.object(|function| function.string("arguments", json));
            }),
            Delta::Input(_) | Delta::Signature(_) | Delta::Citation(_) | Delta::Unknown => {}
        })
    }

    fn end(&mut self, end: &Bytes, data: Bytes, chunks: &mut Vec<Chunk>) {
        let fields = std::str::from_utf8(end).ok().and_then(Fields::read).unwrap_or_default();
        let delta = fields.object("delta").unwrap_or_default();
        let stop = delta.text("stop_reason");
        let counted = fields.object("usage").is_some_and(|usage| usage.get("output_tokens").is_some());
        self.assembly.end(end.clone(), stop.is_some(), counted);
        let usage = self.assembly.usage();
        let counted = Counted::read(&usage);
        self.facts = counted.facts();
        if let Some(stop) = stop {
            let reason = finish_reason(&stop);
            let chunk = self.written(Some(reason), |_| ());
            let mut chunk = made(chunk, Text::new(), data.clone());
            chunk.finish_reason = Some(reason.into());
            chunks.push(chunk);
        }
        if self.shows_usage {
            let mut body = self.head();
            body.raw("choices", "[]");
            counted.write(&mut body, &usage);
            chunks.push(made(body.finish(), Text::new(), data));
        }
    }

    fn head(&self) -> Writer {
        let mut body = Writer::new(256 + self.id.len() + self.model.len());
        body.string("id", &self.id);
        body.string("object", "chat.completion.chunk");
        body.number("created", self.created);
        body.string("model", &self.model);
        body
    }

    fn chunk(&self, delta: impl FnOnce(&mut Writer)) -> Bytes {
        self.written(None, delta)
    }

    fn written(&self, finish_reason: Option<&str>, delta: impl FnOnce(&mut Writer)) -> Bytes {
        let mut body = self.head();
        body.key("choices");
        body.open_list();
        body.open();
        body.number("index", 0);
        body.key("delta");
        body.object(delta);
        body.raw("logprobs", "null");
        match finish_reason {
            Some(reason) => body.string("finish_reason", reason),
            None => body.raw("finish_reason", "null"),
        }
        body.close();
        body.close_list();
        body.finish()
    }

    pub(crate) fn finished(&self) -> bool {
        self.assembly.finished()
    }

    pub(crate) fn facts(&self) -> &ReplyFacts {
        &self.facts
    }

    pub(crate) fn most_tokens(&self) -> u64 {
        self.assembly.most_tokens()
    }

    pub(crate) fn whole(&self) -> Whole {
        let raw = self.assembly.message();
        // By the same way as a plain reply, so that both are the same. A message that was put together always reads.
        let body = reply(&raw).map(|(_, body)| body).unwrap_or_default();
        Whole { body, raw: Some(raw) }
    }
}

/// The call of that number, counted from 1, in a delta.
fn call(delta: &mut Writer, number: u64, fields: impl FnOnce(&mut Writer)) {
    delta.key("tool_calls");
    delta.open_list();
    delta.open();
    delta.number("index", number.saturating_sub(1));
    fields(delta);
    delta.close();
    delta.close_list();
}

fn made(chunk: Bytes, text: Text, event: Bytes) -> Chunk {
    Chunk { data: chunk, raw: Some(event), text, index: 0, finish_reason: None }
}
