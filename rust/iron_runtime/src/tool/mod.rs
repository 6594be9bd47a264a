//! Tools: which of them a model may call.

mod approval;

pub use approval::{Approval, ApprovalRequest, Approver, ApproverFn};
