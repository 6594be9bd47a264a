//! Tools: what a request offers and what a reply calls, held against the rules.

use std::sync::Arc;

use super::Call;
use super::attempt::Answer;
use crate::call::ChatRequest;
use crate::tool::{Offer, ToolJudge, called};
use crate::{Error, PolicyDenied};

impl Call {
    /// Hold what a request offers against the rules: what they let pass is left in `request`. `None` without rules.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`] if a rule refuses a tool, [`Error::Config`] for what is no tool.
    pub(super) fn offer_tools(&mut self, request: &mut ChatRequest) -> Result<Option<Offer>, Error> {
        let engine = self.engine.clone();
        let Some(rules) = &engine.config.tools else { return Ok(None) };
        rules.offer(request, self.who.agent.clone(), &mut self.warnings).map(Some)
    }

    /// Hold what a whole reply calls against the rules, and wait for the approvals that they want.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`] if one of the calls may not be made; the reply has been settled by then.
    pub(super) async fn judge_tools(&mut self, offer: Offer, answer: &Answer) -> Result<(), Error> {
        let Answer::Whole { body, .. } = answer else { return Err(super::unexpected()) };
        let calls = called(body).map_err(denied)?;
        let judge = self.tool_judge(offer);
        self.queue(judge.judge(&calls)).await.map_err(denied)
    }

    /// What decides about the calls of the reply.
    pub(super) fn tool_judge(&self, offer: Offer) -> ToolJudge {
        ToolJudge {
            offer,
            // Outside of a run, a call is one by itself.
            tally: self.context.run.as_ref().map_or_else(Arc::default, |run| run.tools().clone()),
            approver: self.context.approver.clone(),
            who: self.who.clone(),
            request_id: self.context.request_id,
            deadline: self.deadline,
        }
    }
}

pub(super) fn denied(refused: PolicyDenied) -> Error {
    Error::PolicyDenied(Box::new(refused))
}
