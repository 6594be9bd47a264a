//! The trail of one call: what is gathered of it on its way, and handed over at its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iron_protocol::{NanoUsd, RequestId};
use tokio::sync::oneshot;

use super::body::By;
use super::content::Prompt;
use super::ended::{Ended, Ending};
use super::fault::AuditFault;
use super::queue::{Answer, Place};
use crate::Error;
use crate::call::{CallReport, Settlement};
use crate::clock::calendar_now;
use crate::config::AuditContent;
use crate::event::Operation;
use crate::policy::Told;
use crate::run::Who;

/// What is recorded of a call.
#[derive(Debug)]
pub(crate) struct Trail {
    ended: Box<Ended>,
    place: Place,
    /// Whether its end waits for the disk.
    waits: bool,
    may_fail: bool,
}

/// What a call has come to at its end.
pub(crate) struct Sum<'c> {
    pub(crate) attempts: u32,
    pub(crate) cost: NanoUsd,
    pub(crate) settlement: Settlement,
    pub(crate) duration: Duration,
    pub(crate) findings: &'c [Told],
}

/// Comes when a record is written as the configuration asks.
#[derive(Debug)]
pub(crate) struct Receipt {
    written: oneshot::Receiver<Answer>,
    /// Whether a call may end that is not recorded.
    may_fail: bool,
}

impl Receipt {
    /// Wait for it.
    ///
    /// # Errors
    /// The record is not written yet, and it is not known when it will be.
    ///
    /// # Cancel safety
    /// It is written whether somebody waits or not.
    pub(crate) async fn written(&mut self) -> Result<(), AuditFault> {
        // A writer that ends without an answer has told its log why.
        let written = (&mut self.written).await.unwrap_or(Ok(()));
        if self.may_fail { Ok(()) } else { written }
    }
}

/// What a trail begins with.
pub(super) struct Begun<'c> {
    pub(super) request_id: RequestId,
    pub(super) operation: Operation,
    pub(super) model: &'c str,
    pub(super) who: &'c Arc<Who>,
    pub(super) config: &'c Arc<str>,
    pub(super) content: AuditContent,
    pub(super) waits: bool,
    pub(super) may_fail: bool,
}

impl Trail {
    pub(super) fn new(place: Place, begun: &Begun<'_>) -> Self {
        let ended = Ended {
            at: calendar_now(),
            request_id: begun.request_id,
            who: begun.who.clone(),
            config: begun.config.clone(),
            operation: begun.operation,
            model: begun.model.to_owned(),
            ending: Ending::Cancelled,
            upstream: None,
            attempts: 0,
            cost: NanoUsd::ZERO,
            settlement: Settlement::Settled,
            duration: Duration::ZERO,
            findings: Vec::new(),
            content: begun.content,
            prompt: None,
            reply: None,
        };
        Self { ended: Box::new(ended), place, waits: begun.waits, may_fail: begun.may_fail }
    }

    /// Whether prompts and replies are recorded in any form.
    pub(crate) fn wants_content(&self) -> bool {
        self.ended.content != AuditContent::None
    }

    /// What is asked, once the policies have let it pass.
    pub(crate) fn prompt(&mut self, prompt: Prompt) {
        self.ended.prompt = Some(prompt);
    }

    /// What was said, as it is handed over. Vectors are no content.
    pub(crate) fn reply(&mut self, body: Bytes) {
        self.ended.reply = Some(body).filter(|_| self.ended.operation != Operation::Embed);
    }

    /// An upstream is asked.
    pub(crate) fn asked(&mut self, upstream: &Arc<str>) {
        self.ended.upstream = Some(upstream.clone());
    }

    pub(crate) fn answered(&mut self, report: &CallReport) {
        self.ended.upstream = Some(report.upstream.clone());
        self.ended.ending = Ending::Answered(report.usage);
    }

    pub(crate) fn failed(&mut self, error: &Error) {
        let code = error.code();
        let reason = || Some(By::Reason { reason: error.to_string() });
        self.ended.ending = match error {
            // What the rule found is told among the findings.
            Error::ContentBlocked(_) => Ending::Refused(code, None),
            Error::PolicyDenied(denied) => Ending::Refused(
                code,
                Some(By::Rule {
                    rule: denied.rule.to_string(),
                    direction: denied.direction.as_str(),
                    tool: denied.tool.as_deref().map(str::to_owned),
                }),
            ),
            Error::BudgetExceeded(refusal) => Ending::Refused(
                code,
                Some(By::Budget {
                    budget: refusal.budget.clone(),
                    limit_usd: refusal.limit,
                    settled_usd: refusal.settled,
                    held_usd: refusal.held,
                    estimate_usd: refusal.estimate,
                }),
            ),
            Error::Detector(_) | Error::Ledger(_) | Error::RateLimited { upstream: None, .. } => {
                Ending::Refused(code, reason())
            }
            _ => Ending::Failed(code),
        };
    }

    /// Hand it over.
    pub(crate) fn end(mut self, sum: &Sum<'_>) -> Option<Receipt> {
        let ended = &mut self.ended;
        ended.at = calendar_now();
        (ended.attempts, ended.cost, ended.duration) = (sum.attempts, sum.cost, sum.duration);
        ended.settlement = sum.settlement;
        ended.findings = sum.findings.to_vec();
        let held =
            ended.prompt.as_ref().map_or(0, Prompt::bytes) + ended.reply.as_ref().map_or(0, Bytes::len);
        let (done, written) = self.waits.then(oneshot::channel).unzip();
        self.place.fill(self.ended, held, done);
        let may_fail = self.may_fail;
        written.map(|written| Receipt { written, may_fail })
    }
}
