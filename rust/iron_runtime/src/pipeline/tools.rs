//! Tools: what a request offers and what a reply calls, held against the rules.

use std::sync::Arc;

use super::Call;
use super::attempt::Answer;
use crate::call::ChatRequest;
use crate::clock::now;
use crate::policy::Direction;
use crate::run::{Run, Who};
use crate::tool::{ApprovalRequest, Asking, Called, Claim, Offer, Question, ask, called};
use crate::{Error, PolicyDenied};

/// Calls that rules let pass, but for what an approver says of them.
pub(crate) struct Judged {
    claim: Claim,
    asking: Option<Asking>,
}

impl Call {
    /// Hold what a request offers against the rules: what they let pass is left in `request`. `None` without rules.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`] if a rule refuses a tool, [`Error::Config`] for what is no tool.
    pub(super) fn offer_tools(&mut self, request: &mut ChatRequest) -> Result<Option<Offer>, Error> {
        let engine = self.engine.clone();
        let Some(rules) = &engine.config.tools else { return Ok(None) };
        rules.offer(request, self.who().agent.clone(), &mut self.warnings).map(Some)
    }

    /// Hold what a whole reply calls against the rules, and wait for the approvals that they want.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`] if one of the calls may not be made; the reply has been settled by then.
    pub(super) async fn judge_tools(&mut self, offer: &Offer, answer: &Answer) -> Result<(), Error> {
        let Answer::Whole { body, .. } = answer else { return Err(super::unexpected()) };
        match self.judge_calls(offer, body) {
            Ok(Some(judged)) => self.queue(judged.approved()).await.map_err(denied),
            Ok(None) => Ok(()),
            Err(refused) => Err(denied(refused)),
        }
    }

    /// Hold what a reply's body calls against the rules.
    ///
    /// # Errors
    /// [`PolicyDenied`] if one of the calls may not be made.
    pub(crate) fn judge_calls(&self, offer: &Offer, body: &[u8]) -> Result<Option<Judged>, PolicyDenied> {
        let calls = called(body)?;
        if calls.is_empty() {
            return Ok(None);
        }
        // Outside of a run, a call is one by itself.
        let own = Arc::default();
        let claim = offer.judge(&calls, self.context.run.as_ref().map_or(&own, Run::tools))?;
        let mut questions = Vec::new();
        for call in &calls {
            let Some(rule) = offer.asks(call) else { continue };
            questions.push(Question { asked: self.approval_of(call), rule });
        }
        let until = self.deadline.min(now() + offer.rules().approval_timeout());
        let asking = (!questions.is_empty()).then(|| ask(self.context.approver.clone(), questions, until));
        Ok(Some(Judged { claim, asking }))
    }

    fn who(&self) -> Arc<Who> {
        Run::caller(self.context.run.as_ref(), &self.engine.config.who)
    }

    fn approval_of(&self, call: &Called) -> ApprovalRequest {
        let who = self.who();
        ApprovalRequest {
            tool: call.name.clone(),
            arguments: call.arguments.clone(),
            call_id: call.id.clone(),
            agent: who.agent.clone(),
            tags: who.tags.clone(),
            request_id: self.context.request_id,
        }
    }
}

/// Let pass what needs no judgement of a stream, whose calls nobody holds back.
pub(super) fn streamable(offer: Option<Offer>) -> Result<(), Error> {
    if offer.is_some_and(|offer| offer.has_tools()) {
        let why = "calls of tools are judged in whole replies alone: use chat, or offer no tools";
        return Err(denied(PolicyDenied::tool("tools", Direction::Input, None, why)));
    }
    Ok(())
}

impl Judged {
    /// Wait for approval; then the calls count.
    ///
    /// # Errors
    /// [`PolicyDenied`] if one of them is not approved.
    ///
    /// # Cancel safety
    /// Dropped before its end, none of them counts.
    pub(crate) async fn approved(self) -> Result<(), PolicyDenied> {
        if let Some(asking) = self.asking {
            asking.await?;
        }
        self.claim.keep();
        Ok(())
    }
}

pub(crate) fn denied(refused: PolicyDenied) -> Error {
    Error::PolicyDenied(Box::new(refused))
}
