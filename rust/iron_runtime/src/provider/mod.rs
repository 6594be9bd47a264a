//! Wire formats: one module each, behind one face.

mod format;
pub(crate) mod openai;
mod reading;

pub(crate) use format::{Output, ReplyFacts, Told, WireFormat};
pub(crate) use reading::Reading;
