//! Upstreams: sending a request to a provider's endpoint and reading what comes back.

mod body;
mod breaker;
mod exchange;
mod failure;
mod gate;
mod http;
mod opening;
mod pool;
mod quota;
mod quoted;
mod retry;
mod retry_budget;
mod sse;
mod tally;
mod visit;

pub use breaker::BreakerState;
pub(crate) use breaker::Verdict;
pub(crate) use exchange::Exchange;
pub(crate) use failure::{Billing, Failure, Retry, verdict};
pub(crate) use http::{Deadlines, Http};
pub(crate) use pool::{Pool, Upstream};
pub(crate) use retry::Backoff;
pub(crate) use sse::{EventDecoder, EventFault};
pub use tally::UpstreamSnapshot;
pub(crate) use visit::Visit;
