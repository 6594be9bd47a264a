//! The stable text of each error: the same in Python's `.code`, router JSON and audit records.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// Wrong configuration or arguments.
    Config,
    /// A rule refuses what a call asks for, or what its reply would do.
    PolicyDenied,
    /// A rule of the policy refuses a text of the call.
    ContentBlocked,
    /// A detector of the user's own did not judge a text of the call.
    DetectorFailed,
    /// A reservation could never fit a budget, or did not fit in time.
    BudgetExceeded,
    /// A ledger file cannot be used.
    Ledger,
    /// A rate limit of ours, or the provider's after all retries.
    RateLimited,
    /// The provider did not answer in time.
    UpstreamTimeout,
    /// The provider could not be reached, or the connection broke.
    UpstreamConnection,
    /// The provider answered with an error status or with a body that is not a reply.
    UpstreamStatus,
    /// The provider's reply is not what was asked for.
    OutputInvalid,
    /// Every upstream of a route failed.
    NoUpstream,
    /// The audit log cannot be written.
    Audit,
    /// The client is closed or the runtime is stopping.
    Closed,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of declaration.
    pub const ALL: [Self; 15] = [
        Self::Config,
        Self::PolicyDenied,
        Self::ContentBlocked,
        Self::DetectorFailed,
        Self::BudgetExceeded,
        Self::Ledger,
        Self::RateLimited,
        Self::UpstreamTimeout,
        Self::UpstreamConnection,
        Self::UpstreamStatus,
        Self::OutputInvalid,
        Self::NoUpstream,
        Self::Audit,
        Self::Closed,
        Self::Internal,
    ];

    /// The stable `snake_case` text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::PolicyDenied => "policy_denied",
            Self::ContentBlocked => "content_blocked",
            Self::DetectorFailed => "detector_failed",
            Self::BudgetExceeded => "budget_exceeded",
            Self::Ledger => "ledger",
            Self::RateLimited => "rate_limited",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamConnection => "upstream_connection",
            Self::UpstreamStatus => "upstream_status",
            Self::OutputInvalid => "output_invalid",
            Self::NoUpstream => "no_upstream",
            Self::Audit => "audit",
            Self::Closed => "closed",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_same_on_the_wire_and_in_code() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
        }
    }
}
