//! OpenAI's wire format: chat completions and embeddings.

mod assemble;
mod decode;
mod encode;
mod event;
mod reading;
mod usage;

pub(crate) use assemble::merge;
pub(crate) use decode::{error, reply_facts};
pub(crate) use encode::{chat, embed, messages_json};
pub(crate) use reading::Reading;
