//! Tools: which of them a model may call, how often, and with whose approval.

mod approval;
mod ask;
mod called;
mod guard;
mod judge;
mod offer;
mod offered;
mod rules;
mod tally;

#[cfg(test)]
mod tests;

pub use approval::{Approval, ApprovalRequest, Approver, ApproverFn};
pub(crate) use called::{called, called_by};
pub(crate) use judge::ToolJudge;
pub(crate) use offer::Offer;
pub(crate) use rules::ToolRules;
pub(crate) use tally::Tally;
