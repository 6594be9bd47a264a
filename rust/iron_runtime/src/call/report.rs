//! What governing a call found out.

use std::sync::Arc;
use std::time::Duration;

use iron_protocol::{NanoUsd, RequestId};

use super::Usage;
use crate::policy::Told;

/// How sure a cost is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// From the provider's own usage.
    Settled,
    /// Counted by us, an upper bound.
    Estimated,
    /// Unknown: the whole reservation is taken as spent.
    InDoubt,
}

impl Settlement {
    /// The stable `snake_case` text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Estimated => "estimated",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// Where the time of a call went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From admission to the settled reply.
    pub total: Duration,
    /// Waiting for a rate limit, for budget held by other calls, or between attempts.
    pub queued: Duration,
    /// From sending the first byte to the provider to receiving its last, all attempts together.
    pub upstream: Duration,
}

impl Timing {
    /// What governing the call itself took.
    pub fn overhead(&self) -> Duration {
        self.total.saturating_sub(self.queued).saturating_sub(self.upstream)
    }
}

/// What governing a call found out, beside the reply itself.
#[derive(Clone, Debug)]
pub struct CallReport {
    /// The id given in the call's context.
    pub request_id: RequestId,
    /// The upstream that answered: `provider/model`.
    pub upstream: Arc<str>,
    /// What the reply used, with those before it that were sent back to be repaired.
    pub usage: Usage,
    /// What the call cost, all attempts together.
    pub cost: NanoUsd,
    /// How sure the cost is.
    pub settlement: Settlement,
    /// Requests sent, on all upstreams together.
    pub attempts: u32,
    /// Answers that were sent back to be repaired.
    pub repairs: u32,
    /// What was done otherwise than asked, each a sentence.
    pub warnings: Vec<String>,
    /// What the policy found in the call's texts and did about it, in order.
    pub findings: Vec<Told>,
    /// Where the time went.
    pub timing: Timing,
}
