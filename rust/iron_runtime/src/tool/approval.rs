//! Approval: a decision about one tool call that rules leave to somebody else, a person or a program.

use std::fmt::{self, Debug};
use std::sync::Arc;

use futures::future::BoxFuture;
use iron_protocol::RequestId;

use crate::call::Text;
use crate::error::Cause;

/// Who decides whether a tool may be called.
///
/// It is asked once for each call of a tool whose rule says so, several of them at once. An error, and no answer in time,
/// stand for a refusal.
pub trait Approver: Debug + Send + Sync {
    /// Decide.
    ///
    /// # Errors
    /// Whatever kept it from deciding: the call is refused, and this is the cause.
    ///
    /// # Cancel safety
    /// The future is dropped where its answer came too late, another one has refused, or the caller has given up.
    fn decide(&self, asked: ApprovalRequest) -> BoxFuture<'static, Result<Approval, Cause>>;
}

/// A function that decides is an approver.
pub struct ApproverFn<F>(F);

impl<F> ApproverFn<F>
where
    F: Fn(ApprovalRequest) -> BoxFuture<'static, Result<Approval, Cause>> + Send + Sync,
{
    /// The approver that asks `decide`.
    pub fn new(decide: F) -> Self {
        Self(decide)
    }
}

impl<F> Debug for ApproverFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApproverFn")
    }
}

impl<F> Approver for ApproverFn<F>
where
    F: Fn(ApprovalRequest) -> BoxFuture<'static, Result<Approval, Cause>> + Send + Sync,
{
    fn decide(&self, asked: ApprovalRequest) -> BoxFuture<'static, Result<Approval, Cause>> {
        (self.0)(asked)
    }
}

/// A tool call that is to be decided about.
#[derive(Clone)]
pub struct ApprovalRequest {
    /// The tool's name.
    pub tool: Arc<str>,
    /// Its arguments: a JSON object, which fits the tool's schema where those are checked. Free text is its `input`.
    pub arguments: Text,
    /// The id of this call among those of the reply, if the provider gave it one.
    pub call_id: Option<Arc<str>>,
    /// The agent that the call is from.
    pub agent: Option<Arc<str>>,
    /// What else the call is from.
    pub tags: Vec<Arc<str>>,
    /// The call whose reply asks for the tool.
    pub request_id: RequestId,
}

impl Debug for ApprovalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the arguments: they hold what a prompt holds.
        f.debug_struct("ApprovalRequest")
            .field("tool", &self.tool)
            .field("arguments_bytes", &self.arguments.len())
            .field("agent", &self.agent)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// The tool may be called.
    Approved,
    /// It may not.
    Denied {
        /// Why, for the caller to read; empty where nobody says.
        reason: String,
    },
}
