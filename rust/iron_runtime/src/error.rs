//! What can go wrong with a call, named for what its caller can do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iron_protocol::{ErrorCode, NanoUsd};

use crate::audit::AuditFault;
use crate::budget::LedgerFault;
use crate::output::OutputInvalid;
use crate::policy::{DetectorFault, Direction, Fault, Told};

/// A boxed cause, kept for the chain and never formatted into a message.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The error of every operation in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Wrong configuration or arguments.
    #[error("{message}")]
    Config {
        /// What is wrong, where, and what would be right.
        message: String,
    },
    /// A rule refuses what a call asks for, or what its reply would do.
    #[error(transparent)]
    PolicyDenied(Box<PolicyDenied>),
    /// A rule of the policy refuses a text of the call.
    #[error(transparent)]
    ContentBlocked(Box<Told>),
    /// A detector of the user's own did not judge a text of the call, which is refused for it.
    #[error(transparent)]
    Detector(Box<DetectorFault>),
    /// A budget refused the call.
    #[error(transparent)]
    BudgetExceeded(Box<BudgetExceeded>),
    /// A ledger file cannot be used, so that nobody can tell whether its budget would pay.
    #[error(transparent)]
    Ledger(LedgerFault),
    /// A rate limit refused the call.
    #[error("{message}")]
    RateLimited {
        /// Which limit, and what to do.
        message: String,
        /// When to try again, where known.
        retry_after: Option<Duration>,
        /// The upstream whose limit it is; `None` for a limit of our own.
        upstream: Option<String>,
        /// The upstream's quota is used up: waiting does not help.
        out_of_quota: bool,
    },
    /// The provider did not answer in time.
    #[error("{upstream} timed out: {phase} took longer than {after_ms} ms")]
    UpstreamTimeout {
        /// The upstream.
        upstream: String,
        /// What took too long.
        phase: TimeoutPhase,
        /// The bound that passed.
        after_ms: u64,
    },
    /// The provider could not be reached, or the connection broke.
    #[error("{upstream}: {what}")]
    UpstreamConnection {
        /// The upstream.
        upstream: String,
        /// What broke.
        what: &'static str,
        /// The cause below.
        #[source]
        source: Option<Cause>,
    },
    /// The provider answered with an error status, or with a body that is not a reply.
    #[error("{upstream} answered {status}: {message}")]
    UpstreamStatus {
        /// The upstream.
        upstream: String,
        /// The HTTP status.
        status: u16,
        /// The status that an error within a reply that began well stands for, where it says so by a type or a code.
        meant: Option<u16>,
        /// The provider's own message, or what is wrong with its body.
        message: String,
        /// The provider's own body, at most 64 KiB of it.
        body: Bytes,
    },
    /// The provider's reply is not what `response_format` asks for.
    #[error(transparent)]
    OutputInvalid(Box<OutputInvalid>),
    /// Every upstream of a route failed.
    #[error("no upstream of {route:?} answered: {}", failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoUpstream {
        /// The upstreams of the route, in order.
        route: String,
        /// The failure of each upstream in the order tried.
        failures: Vec<Error>,
    },
    /// The upstream has failed so often that it is left alone for a while.
    #[error("{upstream} is not asked: its circuit breaker is open after many failures, and probes in {:.1} s", probe_in.as_secs_f64())]
    BreakerOpen {
        /// The upstream.
        upstream: String,
        /// When the next request may pass.
        probe_in: Duration,
    },
    /// A failure that would have been tried again, if retries were not held to a share of the calls.
    #[error("{failure}; it was not tried again: the retry budget of this upstream is used up")]
    NotRetried {
        /// The failure.
        failure: Box<Error>,
    },
    /// The audit log cannot be written, so that nobody could tell of the call.
    #[error(transparent)]
    Audit(AuditFault),
    /// The client is closed, or the runtime is stopping.
    #[error("the client is closed: make a new one")]
    Closed,
    /// A fault of ours.
    #[error("internal error: {message}; please report it")]
    Internal {
        /// What broke.
        message: String,
    },
}

/// A rule's refusal of anything but a text.
#[derive(Debug, thiserror::Error)]
#[error("rule {rule:?} refuses {}: {reason}", tool.as_ref().map_or("the call".to_owned(), |tool| format!("the tool {tool:?}")))]
pub struct PolicyDenied {
    /// The rule that decided.
    pub rule: Arc<str>,
    /// Where that was going which it refuses.
    pub direction: Direction,
    /// The tool that it refuses, if it is one.
    pub tool: Option<Arc<str>>,
    /// Why, and what to do.
    pub reason: String,
    /// What kept an approver from deciding.
    #[source]
    pub cause: Option<Cause>,
}

impl PolicyDenied {
    /// The refusal of a tool that a request offers or a reply calls.
    pub(crate) fn tool(rule: &str, direction: Direction, tool: Option<&str>, why: &str) -> Self {
        Self { rule: rule.into(), direction, tool: tool.map(Into::into), reason: why.to_owned(), cause: None }
    }

    /// The refusal of a call of `tool`.
    pub(crate) fn called(rule: &str, tool: &str, why: &str) -> Self {
        // The model chose the name: what is none is not shown.
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
        let shown = Some(tool).filter(|tool| tool.len() <= LONGEST_TOOL_NAME && tool.chars().all(is_name));
        Self::tool(rule, Direction::ToolArguments, shown, why)
    }
}

/// What OpenAI and Anthropic allow is half of it.
const LONGEST_TOOL_NAME: usize = 128;

/// A budget's refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "budget {budget:?} cannot pay for the call: estimate {estimate} USD, limit {limit}, settled {settled}, held by calls in flight {held}{}",
    if *waited { " (waited up to the call's deadline for them)" } else { "" }
)]
pub struct BudgetExceeded {
    /// The budget that refused.
    pub budget: String,
    /// Its limit.
    pub limit: NanoUsd,
    /// What calls have cost so far.
    pub settled: NanoUsd,
    /// What calls in flight may still cost.
    pub held: NanoUsd,
    /// The least that the call would have reserved.
    pub estimate: NanoUsd,
    /// Whether the call could have fitted, but not before its deadline.
    pub waited: bool,
}

/// Which of the four timeouts passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeoutPhase {
    /// Opening a connection.
    Connect,
    /// Waiting for the first byte of the reply.
    FirstByte,
    /// Waiting for the next part of the reply.
    Idle,
    /// The whole call.
    Total,
}

impl std::fmt::Display for TimeoutPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::FirstByte => "the first byte",
            Self::Idle => "the next part of the reply",
            Self::Total => "the whole call",
        })
    }
}

impl Error {
    /// A wrong setting or argument.
    ///
    /// The message about a setting begins with its key in full, as in `budget.limit_usd is negative`: by that key it is
    /// found where the setting was written.
    pub fn config(message: impl Into<String>) -> Self {
        Self::Config { message: message.into() }
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Config { .. } => ErrorCode::Config,
            Self::PolicyDenied(_) => ErrorCode::PolicyDenied,
            Self::ContentBlocked(_) => ErrorCode::ContentBlocked,
            Self::Detector(_) => ErrorCode::DetectorFailed,
            Self::BudgetExceeded(_) => ErrorCode::BudgetExceeded,
            Self::Ledger(_) => ErrorCode::Ledger,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::UpstreamTimeout { .. } => ErrorCode::UpstreamTimeout,
            Self::UpstreamConnection { .. } => ErrorCode::UpstreamConnection,
            Self::UpstreamStatus { .. } => ErrorCode::UpstreamStatus,
            Self::OutputInvalid(_) => ErrorCode::OutputInvalid,
            Self::NoUpstream { .. } | Self::BreakerOpen { .. } => ErrorCode::NoUpstream,
            Self::NotRetried { failure } => failure.code(),
            Self::Audit(_) => ErrorCode::Audit,
            Self::Closed => ErrorCode::Closed,
            Self::Internal { .. } => ErrorCode::Internal,
        }
    }

    /// The upstream that failed, if it was one.
    pub fn upstream(&self) -> Option<&str> {
        match self {
            Self::RateLimited { upstream, .. } => upstream.as_deref(),
            Self::UpstreamTimeout { upstream, .. }
            | Self::UpstreamConnection { upstream, .. }
            | Self::UpstreamStatus { upstream, .. }
            | Self::BreakerOpen { upstream, .. } => Some(upstream),
            Self::OutputInvalid(invalid) => Some(&invalid.upstream),
            Self::NotRetried { failure } => failure.upstream(),
            _ => None,
        }
    }

    /// Whether the same call may succeed later, unchanged.
    pub fn retryable(&self) -> bool {
        match self {
            Self::BudgetExceeded(refusal) => refusal.waited,
            Self::Ledger(fault) => fault.retryable(),
            Self::Detector(failed) => matches!(failed.fault, Fault::TimedOut(_)),
            Self::Audit(fault) => fault.retryable(),
            Self::RateLimited { out_of_quota, .. } => !out_of_quota,
            Self::UpstreamTimeout { .. } | Self::UpstreamConnection { .. } | Self::BreakerOpen { .. } => true,
            Self::NotRetried { failure } => failure.retryable(),
            Self::UpstreamStatus { status, meant, .. } => {
                matches!(meant.unwrap_or(*status), 408 | 409 | 425 | 429 | 500..=599)
            }
            // A bound on the output cuts the next answer as well.
            Self::OutputInvalid(invalid) => invalid.cut_off.is_none(),
            Self::NoUpstream { failures, .. } => failures.iter().any(Self::retryable),
            Self::Config { .. }
            | Self::PolicyDenied(_)
            | Self::ContentBlocked(_)
            | Self::Closed
            | Self::Internal { .. } => false,
        }
    }
}
