//! The failure of one request: what it means for the bill and for trying again.

use std::time::Duration;

use crate::Error;
use crate::budget::Sent;

/// Why a request failed, and what may be done about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) billing: Billing,
    pub(crate) retry: Retry,
}

/// Whether the provider bills for a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Billing {
    /// It does not: the request was never sent, or was answered with an error.
    Free,
    /// It may: the request was sent and its answer is not known.
    InDoubt,
}

/// Whether the same upstream may be asked again, or another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Neither: the request itself is at fault.
    Never,
    /// Not this one, but another may answer.
    Elsewhere,
    /// This one, not sooner than it said.
    After(Option<Duration>),
}

impl Billing {
    /// What a request that failed without an answer may cost; one that has not left will not leave any more.
    pub(crate) fn of(sent: &Sent) -> Self {
        if sent.forbid() { Self::Free } else { Self::InDoubt }
    }
}

impl Failure {
    /// Something about the request is wrong; nothing was sent.
    pub(crate) fn unsent(error: Error) -> Self {
        Self { error, billing: Billing::Free, retry: Retry::Never }
    }

    /// A budget had no room for it.
    pub(crate) fn refused(&self) -> bool {
        matches!(self.error, Error::BudgetExceeded(_))
    }

    /// The request was sent, and what came back is no answer.
    pub(crate) fn in_doubt(error: Error, retry: Retry) -> Self {
        Self { error, billing: Billing::InDoubt, retry }
    }
}
