//! Asking an approver, up to a deadline.

use std::sync::Arc;

use futures::future::try_join_all;

use super::approval::{Approval, ApprovalRequest, Approver};
use crate::PolicyDenied;
use crate::clock::{Instant, now};

const NOBODY: &str =
    "it needs approval, and there is no approver to ask: give one to the client or to the call (approve)";

/// A call that a rule wants approved.
pub(crate) struct Question {
    pub(crate) rule: Arc<str>,
    pub(crate) asked: ApprovalRequest,
}

/// Ask about all at once; the first refusal is the answer. Nobody to ask, and no answer by then, are refusals.
///
/// # Errors
/// [`PolicyDenied`] for the first of them that is not approved, which gives the others up.
///
/// # Cancel safety
/// Dropping the future gives all questions up.
pub(crate) async fn ask(
    approver: Option<&Arc<dyn Approver>>,
    questions: Vec<Question>,
    until: Instant,
) -> Result<(), PolicyDenied> {
    let began = now();
    try_join_all(questions.into_iter().map(|question| put(approver, question, began, until))).await.map(drop)
}

async fn put(
    approver: Option<&Arc<dyn Approver>>,
    Question { rule, asked }: Question,
    began: Instant,
    until: Instant,
) -> Result<(), PolicyDenied> {
    let tool = asked.tool.clone();
    let denied = |why: &str| PolicyDenied::called(&rule, &tool, why);
    let Some(approver) = approver else { return Err(denied(NOBODY)) };
    match tokio::time::timeout_at(until, approver.decide(asked)).await {
        Ok(Ok(Approval::Approved)) => Ok(()),
        Ok(Ok(Approval::Denied { reason })) if reason.is_empty() => Err(denied("the approver denies it")),
        Ok(Ok(Approval::Denied { reason })) => Err(denied(&format!("the approver denies it: {reason}"))),
        Ok(Err(cause)) => Err(PolicyDenied { cause: Some(cause), ..denied("the approver failed") }),
        Err(_) => {
            let waited = until.saturating_duration_since(began).as_secs_f64();
            Err(denied(&format!("no approval came within {waited:.1} s")))
        }
    }
}
