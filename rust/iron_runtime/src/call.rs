//! The governed call: what is asked, under which bounds, and what came back.

mod context;
mod message;
mod reply;
mod report;
mod request;
mod usage;

pub use self::context::CallContext;
pub use self::message::{Content, Message, Part, Role};
pub use self::reply::{Chunk, Reply};
pub use self::report::{CallReport, Settlement, Timing};
pub use self::request::{ChatRequest, EmbedRequest};
pub use self::usage::Usage;

/// UTF-8 text that is shared, not copied, from where it came in to where it is written out.
pub type Text = bytestring::ByteString;
