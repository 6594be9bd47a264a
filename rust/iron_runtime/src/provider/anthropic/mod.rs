//! Anthropic's wire format: messages.

mod assemble;
mod block;
mod decode;
mod encode;
mod event;
mod messages;
mod model;
mod output;
mod reading;
mod sampling;
mod schema;
mod thinking;
mod tools;
mod usage;

pub(crate) use decode::{error, reply};
pub(crate) use encode::chat;
pub(crate) use reading::Reading;

#[cfg(test)]
mod tests;
