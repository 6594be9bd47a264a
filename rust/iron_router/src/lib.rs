//! Router mode: a local server that speaks OpenAI's wire format, so that programs which cannot change are governed.
//!
//! It enters at [`iron_runtime::Client`] with the types of library mode: there is no second path.

mod app;
mod auth;
mod body;
mod fields;
mod health;
mod openai;
mod refusal;
mod response;
mod router;
mod server;
mod tasks;
mod unique;

pub use router::Router;
