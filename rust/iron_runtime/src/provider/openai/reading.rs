//! A streamed reply as it is read: each event becomes chunks, and leaves what settling needs.

use bytes::Bytes;

use super::assemble::Assembly;
use super::event::{Event, event};
use crate::call::{ChatRequest, Chunk, Text, Usage};
use crate::provider::reading::shows_usage;
use crate::provider::{ReplyFacts, Told};

/// What has been read of one stream.
#[derive(Debug)]
pub(crate) struct Reading {
    assembly: Assembly,
    choices: u32,
    /// The caller asked for the usage event; otherwise it is ours alone.
    shows_usage: bool,
    facts: ReplyFacts,
}

impl Reading {
    pub(crate) fn new(request: &ChatRequest) -> Self {
        Self {
            assembly: Assembly::default(),
            choices: request.n.unwrap_or(1),
            shows_usage: shows_usage(request),
            facts: ReplyFacts::default(),
        }
    }

    pub(crate) fn read(&mut self, data: Bytes, chunks: &mut Vec<Chunk>) -> Result<bool, Told> {
        let Event::Chunk { deltas, usage, tier } = event(&data)? else { return Ok(true) };
        self.facts.tier = tier.or(self.facts.tier);
        if deltas.is_empty() {
            if usage.is_none() || self.shows_usage {
                let data = data.clone();
                chunks.push(Chunk { data, raw: None, text: Text::new(), index: 0, finish_reason: None });
            }
            self.count(usage, data);
            return Ok(false);
        }
        for delta in deltas {
            self.assembly.add(&data, &delta);
            let (index, finish_reason) = (delta.index, delta.finish_reason);
            chunks.push(Chunk { data: data.clone(), raw: None, text: delta.text, index, finish_reason });
        }
        // Some tell with every piece what it came to so far: before the last that is no bill.
        if self.finished() {
            self.count(usage, data);
        }
        Ok(false)
    }

    fn count(&mut self, usage: Option<Usage>, data: Bytes) {
        if usage.is_some() {
            self.facts.usage = usage;
            self.assembly.add_usage(data);
        }
    }

    pub(crate) fn finished(&self) -> bool {
        self.assembly.finished(self.choices)
    }

    pub(crate) fn facts(&self) -> &ReplyFacts {
        &self.facts
    }

    pub(crate) fn most_tokens(&self) -> u64 {
        self.assembly.most_tokens()
    }

    pub(crate) fn body(&self) -> Bytes {
        self.assembly.body()
    }
}
