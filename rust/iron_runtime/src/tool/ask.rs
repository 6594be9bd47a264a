//! Asking an approver, up to a deadline.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, try_join_all};

use super::approval::{Approval, ApprovalRequest, Approver};
use crate::PolicyDenied;
use crate::clock::{Instant, now};

/// The answer on its way.
pub(crate) type Asking = BoxFuture<'static, Result<(), PolicyDenied>>;

/// A call that a rule wants approved.
pub(crate) struct Question {
    pub(crate) rule: Arc<str>,
    pub(crate) asked: ApprovalRequest,
}

/// Ask about all at once; the first refusal is the answer. Nobody to ask, and no answer by then, are refusals.
pub(crate) fn ask(approver: Option<Arc<dyn Approver>>, questions: Vec<Question>, until: Instant) -> Asking {
    let began = now();
    async move {
        let answers = questions.into_iter().map(|question| {
            let approver = approver.clone();
            async move {
                let Question { rule, asked } = question;
                let tool = asked.tool.clone();
                let denied = |why: &str| PolicyDenied::called(&rule, &tool, why);
                let Some(approver) = approver else {
                    return Err(denied(
                        "it needs approval, and there is no approver to ask: give one to the client or to the call (approve)",
                    ));
                };
                match tokio::time::timeout_at(until, approver.decide(asked)).await {
                    Ok(Ok(Approval::Approved)) => Ok(()),
                    Ok(Ok(Approval::Denied { reason })) if reason.is_empty() => {
                        Err(denied("the approver denies it"))
                    }
                    Ok(Ok(Approval::Denied { reason })) => {
                        Err(denied(&format!("the approver denies it: {reason}")))
                    }
                    Ok(Err(cause)) => {
                        Err(PolicyDenied { cause: Some(cause), ..denied("the approver failed") })
                    }
                    Err(_) => {
                        let waited = until.saturating_duration_since(began).as_secs_f64();
                        Err(denied(&format!("no approval came within {waited:.1} s")))
                    }
                }
            }
        });
        try_join_all(answers).await.map(drop)
    }
    .boxed()
}
