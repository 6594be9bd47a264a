//! The governed call, from budget admission to the settled reply. It knows no Python.
//!
//! The order of a call stands in one place, `pipeline.rs`; each stage is a module of its own.

pub mod budget;
mod call;
mod client;
mod clock;
pub mod config;
mod error;
mod json;
mod limit;
mod pipeline;
mod pricing;
mod provider;
mod route;
mod stream;
mod upstream;

pub use call::{
    CallContext, CallReport, ChatRequest, Chunk, Content, EmbedRequest, Message, Part, Reply, Role,
    Settlement, Text, Timing, Usage,
};
pub use client::Client;
pub use error::{BudgetExceeded, Cause, Error, TimeoutPhase};
pub use json::Json;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub use pipeline::bench;
pub use stream::ChatStream;
