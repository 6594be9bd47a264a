//! The bounds of one call.

use std::sync::Arc;
use std::time::Duration;

use iron_protocol::{NanoUsd, RequestId};

use crate::budget::Budget;
use crate::output::OutputValidator;
use crate::policy::PolicySet;
use crate::run::Run;
use crate::tool::Approver;

/// The bounds of one call.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The call's id, known to the caller before anything is sent.
    pub request_id: RequestId,
    /// Budgets that hold this call, innermost first; the client's own budget is added to them.
    pub budgets: Vec<Budget>,
    /// Policies that hold this call, innermost first; the client's own policy is added to them.
    pub policies: Vec<PolicySet>,
    /// The run that this call is part of; the call is a run by itself when absent.
    pub run: Option<Run>,
    /// The most that this call may cost, all attempts together.
    pub max_cost: Option<NanoUsd>,
    /// The whole call, waiting and retries included; the configured `timeouts.total_ms` when absent.
    pub timeout: Option<Duration>,
    /// Attempts on each upstream; the configured `retry.max_attempts` when absent.
    pub max_attempts: Option<u32>,
    /// Who decides about calls of tools that rules leave to somebody else.
    pub approver: Option<Arc<dyn Approver>>,
    /// Whether the reply has to be what `response_format` asks for; the configured `output.validate` when absent.
    pub validate_output: Option<bool>,
    /// How often an answer that is not is sent back to be repaired; the configured `output.max_repairs` when absent.
    pub max_repairs: Option<u32>,
    /// Who has a word of their own on an answer that is.
    pub validator: Option<Arc<dyn OutputValidator>>,
}

impl CallContext {
    /// A context with a new id and only the client's own bounds.
    pub fn new() -> Self {
        Self {
            request_id: RequestId::new(),
            budgets: Vec::new(),
            policies: Vec::new(),
            run: None,
            max_cost: None,
            timeout: None,
            max_attempts: None,
            approver: None,
            validate_output: None,
            max_repairs: None,
            validator: None,
        }
    }
}

impl Default for CallContext {
    fn default() -> Self {
        Self::new()
    }
}
