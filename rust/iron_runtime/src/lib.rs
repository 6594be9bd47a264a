//! The governed call, from budget admission to the settled reply. It knows no Python.
//!
//! The order of a call stands in one place, `pipeline.rs`; each stage is a module of its own.

pub mod audit;
pub mod budget;
mod call;
mod client;
mod clock;
pub mod config;
mod detect;
mod error;
mod event;
mod extension;
mod glob;
mod json;
mod limit;
pub mod output;
mod pipeline;
pub mod policy;
pub mod pricing;
mod provider;
mod route;
mod run;
mod schema;
mod stats;
mod stream;
pub mod tool;
mod upstream;
mod watch;

pub use call::{
    CallContext, CallReport, ChatRequest, Chunk, Content, EmbedRequest, Message, Part, Reply, Role,
    Settlement, Text, Timing, Usage,
};
pub use client::Client;
pub use clock::calendar_now;
pub use error::{BudgetExceeded, Cause, Error, PolicyDenied, TimeoutPhase};
pub use event::{Event, EventReader, Events, Happened, LeaseEnd, Leased, Operation, Recovery, Told};
pub use extension::Extensions;
pub use json::Json;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub use pipeline::bench;
pub use run::{Run, Who};
pub use schema::Violation;
pub use stats::{Quantiles, Stats};
pub use stream::ChatStream;
pub use upstream::{BreakerState, UpstreamSnapshot};
