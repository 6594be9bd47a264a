//! The judge of what one reply calls.

use std::sync::Arc;

use iron_protocol::RequestId;
use serde_json::json;

use super::approval::{ApprovalRequest, Approver};
use super::ask::{Question, ask};
use super::called::Called;
use super::offer::Offer;
use super::tally::Tally;
use crate::PolicyDenied;
use crate::clock::{Instant, now};
use crate::run::Who;

/// What decides about the calls of one reply. It borrows nothing, so that its judgement can go on by itself.
pub(crate) struct ToolJudge {
    pub(crate) offer: Offer,
    /// What counts the calls of the run.
    pub(crate) tally: Arc<Tally>,
    pub(crate) approver: Option<Arc<dyn Approver>>,
    pub(crate) who: Arc<Who>,
    pub(crate) request_id: RequestId,
    /// When the call has to have ended.
    pub(crate) deadline: Instant,
}

impl ToolJudge {
    /// Hold calls against the rules, and wait for the approvals that they want; then they count.
    ///
    /// # Errors
    /// [`PolicyDenied`] for the first that may not be made.
    ///
    /// # Cancel safety
    /// Dropped before its end, none of them counts.
    pub(crate) async fn judge(&self, calls: &[Called]) -> Result<(), PolicyDenied> {
        if calls.is_empty() {
            return Ok(());
        }
        let claim = self.offer.judge(calls, &self.tally)?;
        let questions: Vec<_> = calls.iter().filter_map(|call| self.question(call)).collect();
        if !questions.is_empty() {
            let until = self.deadline.min(now() + self.offer.rules().approval_timeout());
            ask(self.approver.as_ref(), questions, until).await?;
        }
        claim.keep();
        Ok(())
    }

    fn question(&self, call: &Called) -> Option<Question> {
        let rule = self.offer.asks(call)?;
        let asked = ApprovalRequest {
            tool: call.name.clone(),
            arguments: if call.free {
                json!({"input": &*call.arguments}).to_string().into()
            } else {
                call.arguments.clone()
            },
            call_id: call.id.clone(),
            agent: self.who.agent.clone(),
            tags: self.who.tags.clone(),
            request_id: self.request_id,
        };
        Some(Question { rule, asked })
    }
}
