//! What a request asks for, generated.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use super::Answer;
use crate::anthropic;
use crate::anthropic::stream::MessageStream;
use crate::dialect::Dialect;
use crate::draw::{Draw, Purpose};
use crate::events::Events;
use crate::openai::chat::{Heading, completion};
use crate::openai::request::ChatRequest;
use crate::openai::stream::ChatStream;
use crate::reply::{Choice, Draws, choices, usage};
use crate::script::Plan;
use crate::service::Work;
use crate::stats::Usage;

/// What was generated.
pub(super) enum Made {
    Whole(Bytes),
    Events(Events),
}

impl Answer<'_> {
    /// Generate: from here on the provider bills.
    pub(super) fn make(&mut self, work: Work, plan: &Plan) -> (Made, Usage) {
        let counters = &self.service.counters;
        match work {
            Work::Chat(request) => self.chat(&request, plan),
            Work::Embeddings(request) => {
                let usage = Usage { input: request.input_tokens(), ..Usage::default() };
                self.flight.accept(&request.model, usage, false);
                counters.embedding_calls.fetch_add(1, Relaxed);
                counters.embeddings.fetch_add(request.len(), Relaxed);
                (Made::Whole(request.reply(self.service.settings.seed)), usage)
            }
            Work::Known(body) => (Made::Whole(body), Usage::default()),
        }
    }

    fn chat(&mut self, request: &ChatRequest, plan: &Plan) -> (Made, Usage) {
        let mut draws = Draws {
            ids: self.draw(Purpose::Ids),
            words: self.draw(Purpose::Words),
            schema: self.draw(Purpose::Schema),
        };
        let choices = choices(request, plan.reply(), plan.turn, &mut draws);
        let usage = usage(request, plan.reply(), &choices);
        self.flight.accept(&request.model, usage, request.stream);
        self.service.counters.chat_calls.fetch_add(1, Relaxed);
        let made = match request.dialect {
            Dialect::OpenAi => self.completion(request, choices, usage, &mut draws),
            Dialect::Anthropic => self.message(request, choices, usage, &mut draws),
        };
        let made = match (made, plan.fault()) {
            (Made::Events(stream), Some(fault)) => Made::Events(stream.with_fault(fault)),
            (made, _) => made,
        };
        if request.stream {
            self.service.counters.stream_calls.fetch_add(1, Relaxed);
        }
        (made, usage)
    }

    fn completion(
        &self,
        request: &ChatRequest,
        choices: Vec<Choice>,
        usage: Usage,
        draws: &mut Draws,
    ) -> Made {
        let settings = &self.service.settings;
        let heading = Heading {
            id: format!("chatcmpl-{}", draws.ids.letters(29)),
            model: request.model.clone(),
            created: settings.created_unix,
            fingerprint: format!("fp_{}", Draw::new(settings.seed, Purpose::Fingerprint, 0).hex(10)),
        };
        if !request.stream {
            return Made::Whole(completion(&heading, &choices, usage));
        }
        let stream = ChatStream::new(&heading, choices, usage, settings.tokens_per_chunk);
        Made::Events(Events::OpenAi(if request.include_usage { stream.with_usage(usage) } else { stream }))
    }

    fn message(&self, request: &ChatRequest, choices: Vec<Choice>, usage: Usage, draws: &mut Draws) -> Made {
        let heading = anthropic::message::Heading {
            id: format!("msg_{}", draws.ids.letters(24)),
            model: request.model.clone(),
            signature: draws.ids.letters(40),
        };
        let choice = choices.into_iter().next().unwrap_or_default();
        if !request.stream {
            return Made::Whole(anthropic::message::message(&heading, &choice, usage));
        }
        let per_chunk = self.service.settings.tokens_per_chunk;
        Made::Events(Events::Anthropic(MessageStream::new(&heading, &choice, usage, per_chunk)))
    }
}
