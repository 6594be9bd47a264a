//! What happens to calls, told to whoever reads along, and never more than a reader keeps up with.
//!
//! Nothing here holds a prompt, a reply, a key, or a provider's own words.

mod lease;
mod readers;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use iron_protocol::{ErrorCode, NanoUsd, RequestId};

pub use self::lease::{LeaseEnd, Leased, Recovery};
pub use self::readers::{EventReader, Events, Told};
use crate::budget::BudgetSnapshot;
use crate::call::{Settlement, Timing, Usage};

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Happened {
    /// A call has begun.
    Started {
        /// The call.
        request_id: RequestId,
        /// What it asks for.
        operation: Operation,
        /// The model or alias as it was given; empty for the default one.
        model: String,
        /// The agent that it is from, if one was named.
        agent: Option<Arc<str>>,
        /// What else it is from.
        tags: Vec<Arc<str>>,
        /// Names of the budgets that hold it, innermost first.
        budgets: Vec<Arc<str>>,
    },
    /// The same upstream is asked again.
    Retried {
        /// The call.
        request_id: RequestId,
        /// The upstream that failed.
        upstream: Arc<str>,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// How it failed.
        code: ErrorCode,
        /// How long the call waits before the next attempt.
        wait: Duration,
    },
    /// The next upstream of the route is asked.
    FellBack {
        /// The call.
        request_id: RequestId,
        /// The upstream that is given up.
        from: Arc<str>,
        /// The upstream that is asked instead.
        to: Arc<str>,
        /// How the first failed.
        code: ErrorCode,
    },
    /// An answer that is not what was asked for is sent back to be repaired.
    Repaired {
        /// The call.
        request_id: RequestId,
        /// The upstream that answered.
        upstream: Arc<str>,
        /// Which repair of the call it is, from 1.
        repair: u32,
        /// What is wrong with the answer comes to so many violations.
        violations: usize,
    },
    /// A call ended with a reply.
    Finished {
        /// The call.
        request_id: RequestId,
        /// The upstream that answered.
        upstream: Arc<str>,
        /// Tokens.
        usage: Usage,
        /// What the call cost.
        cost: NanoUsd,
        /// How sure the cost is.
        settlement: Settlement,
        /// Requests sent.
        attempts: u32,
        /// Where the time went.
        timing: Timing,
    },
    /// A budget or a limit of ours refused a call.
    Refused {
        /// The call.
        request_id: RequestId,
        /// `budget_exceeded`, `ledger` or `rate_limited`.
        code: ErrorCode,
        /// The budget that refused.
        budget: Option<String>,
    },
    /// A call ended in another error.
    Failed {
        /// The call.
        request_id: RequestId,
        /// The error's code.
        code: ErrorCode,
        /// The upstream that failed, if it was one.
        upstream: Option<String>,
        /// Requests sent.
        attempts: u32,
        /// What they cost.
        cost: NanoUsd,
    },
    /// A call was dropped before its end.
    Cancelled {
        /// The call.
        request_id: RequestId,
        /// Requests sent.
        attempts: u32,
        /// What they cost.
        cost: NanoUsd,
    },
    /// An upstream failed too often: its circuit breaker passes no requests for a while.
    BreakerOpened {
        /// The upstream.
        upstream: Arc<str>,
    },
    /// An upstream is well again.
    BreakerClosed {
        /// The upstream.
        upstream: Arc<str>,
    },
    /// Little of a budget is left.
    BudgetLow(BudgetSnapshot),
    /// This process has leased a part of a shared budget.
    LeaseTaken {
        /// The lease.
        lease: Leased,
        /// It was taken before what there was ran out; otherwise calls waited for it.
        renewal: bool,
    },
    /// A lease of this process has come to its end.
    LeaseClosed {
        /// The lease.
        lease: Leased,
        /// What calls have cost, or may have.
        spent: NanoUsd,
        /// What went back to the budget.
        returned: NanoUsd,
        /// Why it ended.
        why: LeaseEnd,
    },
    /// A process died that had a lease, and this one has settled it by its journal.
    LeaseRecovered {
        /// The lease.
        lease: Leased,
        /// What was found.
        found: Recovery,
    },
    /// A lease of this process became a loss: another process found its journal gone.
    LeaseLost {
        /// The lease.
        lease: Leased,
    },
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A chat completion.
    Chat,
    /// A streamed chat completion.
    Stream,
    /// Embeddings.
    Embed,
}

impl Operation {
    /// The verb's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Stream => "stream",
            Self::Embed => "embed",
        }
    }
}
