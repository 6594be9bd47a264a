//! The order of a governed call, straight-line: admit, reserve, send, decode, settle.
//!
//! Whatever a call holds (its reservation, its places among those in flight) is a guard: dropping the future
//! at any await gives all of it up, exactly once. A reservation is made for each attempt, at the price of the upstream
//! that is asked, because each attempt that may be billed is settled by itself.

mod answer;
mod asked;
mod attempt;
#[cfg(feature = "bench")]
pub mod bench;
mod entry;
mod held;
mod output;
mod record;
mod screen;
mod tools;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use iron_protocol::RequestId;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use self::asked::Asked;
use self::attempt::Answer;
pub(crate) use self::attempt::Open;
pub(crate) use self::held::Held;
use self::held::Waiting;
use self::screen::Pseudonyms;
pub(crate) use self::screen::{StreamRestore, StreamScreen};
use crate::Error;
use crate::audit::{Auditor, Prompt};
use crate::budget::{Budget, Ledger};
use crate::call::{CallContext, CallReport, ChatRequest, EmbedRequest, Reply, Settlement, Timing, Usage};
use crate::clock::{Instant, now};
use crate::config::Config;
use crate::extension::Extensions;
use crate::limit::Limits;
use crate::output::{Form, Wanted};
use crate::policy::{Chain, Direction, History, PolicySet, Told, Totals};
use crate::pricing::Estimate;
use crate::route::Route;
use crate::run::{Run, Who};
use crate::schema::Cache;
use crate::stream::ChatStream;
use crate::tool::Offer;
use crate::upstream::{Http, Pool};
use crate::watch::{Watch, Watchers};

/// Longer than any call, and short enough for every clock's arithmetic: ten years.
const LONGEST_CALL: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What all calls of one client share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) extensions: Extensions,
    /// Made by the first call that a policy holds; `None` if it is to remember nothing.
    pub(crate) history: OnceLock<Option<History>>,
    pub(crate) http: Http,
    /// What requests ask of their replies.
    pub(crate) forms: Cache<Option<Form>>,
    pub(crate) limits: Limits,
    pub(crate) pool: Pool,
    pub(crate) ledger: Ledger,
    pub(crate) budget: Option<Budget>,
    pub(crate) auditor: Option<Auditor>,
    pub(crate) in_flight: TaskTracker,
    pub(crate) closed: AtomicBool,
    pub(crate) watchers: Arc<Watchers>,
}

/// One call on its way.
pub(crate) struct Call {
    engine: Arc<Engine>,
    context: CallContext,
    chain: Arc<[Budget]>,
    policies: Arc<[PolicySet]>,
    /// Those policies as they speak of this call, once it is screened.
    held: Option<Arc<Chain>>,
    /// Those that its policies make.
    pseudonyms: Option<Pseudonyms>,
    /// The reply before its placeholders were restored, if any were.
    said: Option<Bytes>,
    who: Arc<Who>,
    began: Instant,
    deadline: Instant,
    total: Duration,
    queued: Duration,
    upstream: Duration,
    settlement: Settlement,
    repairs: u32,
    /// What the texts that were sent come to.
    sent: Totals,
    warnings: Vec<String>,
    findings: Vec<Told>,
    pub(crate) watch: Watch,
    _in_flight: TaskTrackerToken,
}

/// A chat completion as one reply.
///
/// # Cancel safety
/// Dropping the future releases what was not sent and settles what was.
pub(crate) async fn chat(
    engine: &Arc<Engine>,
    mut request: ChatRequest,
    context: CallContext,
) -> Result<Reply, Error> {
    let mut call = Call::begin(engine, context, Asked::Chat { request: &request, stream: false })?;
    let (offer, wanted) = match call.take_in(&mut request, false).await {
        Ok(taken) => taken,
        Err(refused) => {
            let refused = Err(call.watch.failed(refused));
            return call.recorded(refused).await;
        }
    };
    call.note(|| Prompt::Chat(request.messages.clone()));
    let mut governed = call.govern(Asked::Chat { request: &request, stream: false }).await;
    if call.is_screened() {
        governed = match governed {
            Ok(answer) => call.screen_reply(answer).await,
            Err(error) => Err(error),
        };
    }
    if let Some(wanted) = &wanted {
        governed = match governed {
            // On the heap: most calls want nothing of their output.
            Ok(answer) => Box::pin(call.repaired(answer, &mut request, wanted)).await,
            Err(error) => Err(error),
        };
    }
    // After the policy: the arguments are those that the caller would get.
    if let (Some(offer), Ok(answer)) = (offer, &governed)
        && let Err(denied) = call.judge_tools(offer, answer).await
    {
        governed = Err(denied);
    }
    let outcome = call.whole(governed);
    call.recorded(outcome).await
}

/// What a chat completion would reserve.
pub(crate) fn estimate(engine: &Engine, request: &ChatRequest) -> Result<Estimate, Error> {
    Asked::Chat { request, stream: false }.check()?;
    let route = engine.route(&request.model)?;
    Estimate::dearest(request, route.targets(), engine.config.min_output_tokens)
}

impl Engine {
    /// What has been judged, unless nothing is to be remembered.
    fn history(&self) -> Option<&History> {
        let bytes = self.config.history_bytes;
        self.history.get_or_init(|| (bytes > 0).then(|| History::new(bytes))).as_ref()
    }

    /// The route of a model, or of the one that calls without a model mean.
    fn route(&self, model: &str) -> Result<Arc<Route>, Error> {
        self.config.routes.resolve(self.config.model(model))
    }
}

/// A chat completion as a stream, ready once the first of its content has come: until then it is tried again and falls
/// back as a plain call is.
///
/// # Cancel safety
/// As [`chat`]; the stream itself settles when it ends or is dropped.
pub(crate) async fn stream(
    engine: &Arc<Engine>,
    mut request: ChatRequest,
    context: CallContext,
) -> Result<ChatStream, Error> {
    let mut call = Call::begin(engine, context, Asked::Chat { request: &request, stream: true })?;
    let (offer, wanted) = match call.take_in(&mut request, true).await {
        Ok(taken) => taken,
        Err(refused) => {
            let refused = Err(call.watch.failed(refused));
            return call.recorded(refused).await;
        }
    };
    call.note(|| Prompt::Chat(request.messages.clone()));
    let error = match call.govern(Asked::Chat { request: &request, stream: true }).await {
        Ok(Answer::Begun(open)) => {
            let held = call.stream_held(offer);
            return Ok(ChatStream::new(call, *open, &request, held, wanted));
        }
        Ok(Answer::Whole { .. }) => unexpected(),
        Err(error) => error,
    };
    let failed = Err(call.watch.failed(error));
    call.recorded(failed).await
}

/// Embeddings.
///
/// # Cancel safety
/// As [`chat`].
pub(crate) async fn embed(
    engine: &Arc<Engine>,
    mut request: EmbedRequest,
    context: CallContext,
) -> Result<Reply, Error> {
    let mut call = Call::begin(engine, context, Asked::Embed(&request))?;
    if call.is_screened()
        && let Err(refused) = call.screen_embed(&mut request).await
    {
        let refused = Err(call.watch.failed(refused));
        return call.recorded(refused).await;
    }
    call.note(|| Prompt::Embed(request.input.clone()));
    let governed = call.govern(Asked::Embed(&request)).await;
    let outcome = call.whole(governed);
    call.recorded(outcome).await
}

fn unexpected() -> Error {
    Error::Internal { message: "an upstream's answer has the wrong form".to_owned() }
}

/// The policies that hold a call, innermost first; without one, nothing is allocated.
fn policies(context: &CallContext, engine: &Engine) -> Arc<[PolicySet]> {
    match (&*context.policies, &engine.config.policy) {
        ([], None) => Arc::default(),
        (inner, outer) => inner.iter().chain(outer).cloned().collect(),
    }
}

impl Call {
    fn begin(engine: &Arc<Engine>, context: CallContext, asked: Asked<'_>) -> Result<Self, Error> {
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
    fn is_screened(&self) -> bool {
        !self.policies.is_empty()
    }

    /// Hold a chat's request against policies and rules on tools: what they let pass is left in it. What tools it offers
    /// then, where rules on tools hold, and what its reply has to be.
    async fn take_in(
        &mut self,
        request: &mut ChatRequest,
        stream: bool,
    ) -> Result<(Option<Offer>, Option<Box<Wanted>>), Error> {
        // As the caller wrote it: what a policy takes out of a schema it does not take out of what the caller wants.
        let wanted = self.wanted(request, stream)?;
        if self.is_screened() {
            self.screen_chat(request).await?;
        }
        Ok((self.offer_tools(request)?, wanted))
    }

    /// Every stage up to an upstream's answer.
    async fn govern(&mut self, asked: Asked<'_>) -> Result<Answer, Error> {
        asked.check()?;
        let route = self.route(asked.model())?;
        self.admit(&route, asked).await?;
        self.answer(&route, asked).await
    }

    /// The reply of a call that is no stream.
    fn whole(&mut self, governed: Result<Answer, Error>) -> Result<Reply, Error> {
        match governed {
            Ok(Answer::Whole { body, raw, usage, upstream }) => {
                let report = self.report(usage, upstream);
                if self.is_noted() {
                    let said = self.said.take().unwrap_or_else(|| body.clone());
                    self.note_reply(said);
                }
                self.watch.answered(&report);
                Ok(Reply { report, body, raw })
            }
            Ok(Answer::Begun(_)) => Err(self.watch.failed(unexpected())),
            Err(error) => Err(self.watch.failed(error)),
        }
    }

    fn route(&self, model: &str) -> Result<Arc<Route>, Error> {
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
    fn stream_held(&self, offer: Option<Offer>) -> Option<Held> {
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
