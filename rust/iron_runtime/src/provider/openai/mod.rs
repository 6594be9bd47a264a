//! OpenAI's wire format: chat completions and embeddings.

mod assemble;
mod decode;
mod encode;
mod event;

pub(crate) use assemble::Assembly;
pub(crate) use decode::{ReplyFacts, error, reply_facts};
pub(crate) use encode::{Output, chat, embed};
pub(crate) use event::{Event, event};
