//! Upstreams: sending a request to a provider's endpoint and reading what comes back.

mod body;
mod exchange;
mod failure;
mod http;
mod retry;
mod sse;

pub(crate) use exchange::Exchange;
pub(crate) use failure::{Billing, Failure, Retry};
pub(crate) use http::{Deadlines, Http};
pub(crate) use retry::Backoff;
pub(crate) use sse::EventDecoder;
