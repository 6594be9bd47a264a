//! The call: one on its way, with what holds it and what came of it so far.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use iron_protocol::RequestId;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Engine;
use super::asked::Asked;
use super::held::{Held, Waiting};
use super::screen::{Pseudonyms, StreamRestore, StreamScreen};
use crate::Error;
use crate::budget::Budget;
use crate::call::{CallContext, CallReport, ChatRequest, Settlement, Timing, Usage};
use crate::clock::{Instant, now};
use crate::policy::{Chain, Direction, PolicySet, Told, Totals};
use crate::route::Route;
use crate::run::{Run, Who};
use crate::tool::Offer;
use crate::watch::Watch;

/// Longer than any call, and short enough for every clock's arithmetic: ten years.
const LONGEST_CALL: Duration = Duration::from_secs(10 * 365 * 86_400);

/// One call on its way.
pub(crate) struct Call {
    pub(super) engine: Arc<Engine>,
    pub(super) context: CallContext,
    pub(super) chain: Arc<[Budget]>,
    pub(super) policies: Arc<[PolicySet]>,
    /// Those policies as they speak of this call, once it is screened.
    pub(super) held: Option<Arc<Chain>>,
    /// Those that its policies make.
    pub(super) pseudonyms: Option<Pseudonyms>,
    /// The reply before its placeholders were restored, if any were.
    pub(super) said: Option<Bytes>,
    pub(super) who: Arc<Who>,
    pub(super) began: Instant,
    pub(super) deadline: Instant,
    pub(super) total: Duration,
    pub(super) queued: Duration,
    pub(super) upstream: Duration,
    pub(super) settlement: Settlement,
    pub(super) repairs: u32,
    /// What the texts that were sent come to.
    pub(super) sent: Totals,
    pub(super) warnings: Vec<String>,
    pub(super) findings: Vec<Told>,
    pub(crate) watch: Watch,
    _in_flight: TaskTrackerToken,
}

/// The policies that hold a call, innermost first; without one, nothing is allocated.
fn policies(context: &CallContext, engine: &Engine) -> Arc<[PolicySet]> {
    match (&*context.policies, &engine.config.policy) {
        ([], None) => Arc::default(),
        (inner, outer) => inner.iter().chain(outer).cloned().collect(),
    }
}

impl Call {
    pub(super) fn begin(engine: &Arc<Engine>, context: CallContext, asked: Asked<'_>) -> Result<Self, Error> {
        let in_flight = engine.in_flight.token();
        // Read after the token is taken: `close` sees either this call in flight or a call that is refused.
        if engine.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let began = now();
        let total = context.timeout.unwrap_or(engine.config.timeouts.total).min(LONGEST_CALL);
        let cap = context.max_cost.map(|most| Budget::cap(&engine.ledger, most));
        let chain: Arc<[Budget]> =
            cap.into_iter().chain(context.budgets.iter().cloned()).chain(engine.budget.clone()).collect();
        let policies = policies(&context, engine);
        let who = Run::caller(context.run.as_ref(), &engine.config.who);
        let (id, operation) = (context.request_id, asked.operation());
        let mut watch = Watch::begin(&engine.watchers, id, operation, asked.model(), &chain, &who);
        if let Some(auditor) = &engine.auditor {
            match auditor.admit(id, operation, asked.model(), &who) {
                Ok(trail) => watch.trail = trail,
                Err(fault) => return Err(watch.failed(Error::Audit(fault))),
            }
        }
        Ok(Self {
            engine: engine.clone(),
            chain,
            policies,
            held: None,
            pseudonyms: None,
            said: None,
            who,
            began,
            deadline: began + total,
            total,
            queued: Duration::ZERO,
            upstream: Duration::ZERO,
            settlement: Settlement::Settled,
            repairs: 0,
            sent: Totals::default(),
            warnings: Vec::new(),
            findings: Vec::new(),
            watch,
            context,
            _in_flight: in_flight,
        })
    }

    /// Whether a policy holds the call.
    pub(super) fn is_screened(&self) -> bool {
        !self.policies.is_empty()
    }

    pub(super) fn route(&self, model: &str) -> Result<Arc<Route>, Error> {
        self.engine.route(model)
    }

    /// What came of the call so far.
    pub(crate) fn report(&self, usage: Usage, upstream: Arc<str>) -> CallReport {
        CallReport {
            request_id: self.context.request_id,
            upstream,
            usage,
            cost: self.watch.bill().cost(),
            settlement: self.settlement,
            attempts: self.watch.attempts(),
            repairs: self.repairs,
            warnings: self.warnings.clone(),
            findings: self.findings.clone(),
            timing: Timing { total: self.began.elapsed(), queued: self.queued, upstream: self.upstream },
        }
    }

    /// The policies at work on what a stream shows.
    pub(crate) fn stream_screen(&self, request: &ChatRequest) -> Option<StreamScreen> {
        let screen = |policies| StreamScreen::new(policies, request).with(self.pseudonyms.clone());
        self.held.as_ref().map(screen)
    }

    /// What waits of a stream for its end, if anything does.
    pub(super) fn stream_held(&self, offer: Option<Offer>) -> Option<Held> {
        let asks = |policies: &&Arc<Chain>| policies.asks_of_replies();
        let asking = self.held.as_ref().filter(asks);
        let waits = match asking {
            Some(policies) if !policies.called(Direction::Output).is_empty() => Waiting::All,
            None if offer.is_none() => return None,
            _ => Waiting::Calls,
        };
        Some(Held::new(waits, offer.map(|offer| self.tool_judge(offer))))
    }

    /// The way back of a stream's placeholders, if there are any.
    pub(crate) fn stream_restore(&self) -> Option<StreamRestore> {
        self.pseudonyms.as_ref().and_then(StreamRestore::new)
    }

    /// Tell of what was found.
    pub(crate) fn found(&mut self, told: impl IntoIterator<Item = Told>) {
        self.findings.extend(told);
    }

    pub(crate) fn request_id(&self) -> RequestId {
        self.context.request_id
    }

    /// Count the time that a stream took.
    pub(crate) fn streamed(&mut self, sent_at: Instant) {
        self.upstream += sent_at.elapsed();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Of a call that has ended it is done.
        self.record();
    }
}
