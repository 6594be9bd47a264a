//! The order of a governed call, straight-line: admit, reserve, send, decode, settle.
//!
//! Whatever a call holds (its slot, its reservation, its place among those in flight) is a guard: dropping the future
//! at any await gives all of it up, exactly once. A reservation is made for each attempt, at the price of the upstream
//! that is asked, because each attempt that may be billed is settled by itself.

#[cfg(feature = "bench")]
pub mod bench;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use iron_protocol::{NanoUsd, RequestId};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::Error;
use crate::budget::{Ask, Budget, Ledger, Reservation};
use crate::call::{
    CallContext, CallReport, ChatRequest, EmbedRequest, Reply, Settlement, Text, Timing, Usage,
};
use crate::clock::{Instant, now};
use crate::config::{Config, Target};
use crate::json::Json;
use crate::limit::{Limits, Slot};
use crate::pricing::{Bound, ChatBound, cost, embed_bound};
use crate::provider::{Output, ReplyFacts};
use crate::route::Route;
use crate::stream::ChatStream;
use crate::upstream::{Backoff, Billing, Deadlines, Exchange, Failure, Http, Retry};

/// Longer than any call, and short enough for every clock's arithmetic: ten years.
const LONGEST_CALL: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Fields of the body that are written from what governing a call rests on. One more of them among the others would be
/// the one that the provider reads, and not the one that was reserved for.
const OWN_CHAT_FIELDS: [&str; 6] =
    ["model", "messages", "stream", "n", "max_tokens", "max_completion_tokens"];
const OWN_EMBED_FIELDS: [&str; 2] = ["model", "input"];

/// What all calls of one client share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) http: Http,
    pub(crate) limits: Limits,
    pub(crate) ledger: Ledger,
    pub(crate) budget: Option<Budget>,
    pub(crate) in_flight: TaskTracker,
    pub(crate) closed: AtomicBool,
}

/// What a call asks for.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Chat { request: &'a ChatRequest, stream: bool },
    Embed(&'a EmbedRequest),
}

/// An upstream's answer.
enum Answer {
    /// Whole, decoded and settled.
    Whole { body: Bytes, usage: Usage, upstream: Arc<str> },
    /// Begun: events follow.
    Begun(Box<Open>),
}

/// A streamed answer whose events have not been read.
pub(crate) struct Open {
    pub(crate) exchange: Exchange,
    pub(crate) reservation: Reservation,
    pub(crate) target: Target,
    pub(crate) bound: Bound,
    pub(crate) sent_at: Instant,
}

/// One call on its way.
pub(crate) struct Call {
    engine: Arc<Engine>,
    context: CallContext,
    chain: Arc<[Budget]>,
    began: Instant,
    deadline: Instant,
    total: Duration,
    queued: Duration,
    upstream: Duration,
    attempts: u32,
    cost: NanoUsd,
    settlement: Settlement,
    warnings: Vec<String>,
    _in_flight: TaskTrackerToken,
}

/// A chat completion as one reply.
///
/// # Cancel safety
/// Dropping the future releases what was not sent and settles what was.
pub(crate) async fn chat(
    engine: &Arc<Engine>,
    request: ChatRequest,
    context: CallContext,
) -> Result<Reply, Error> {
    let mut call = Call::begin(engine, context)?;
    let asked = Asked::Chat { request: &request, stream: false };
    check_fields(&request.params, &OWN_CHAT_FIELDS)?;
    let route = call.route(&request.model, request.messages.is_empty().then_some("messages"))?;
    let _slot = call.admit(&route, asked).await?;
    match call.answer(&route, asked).await? {
        Answer::Whole { body, usage, upstream } => Ok(Reply { report: call.report(usage, upstream), body }),
        Answer::Begun(_) => Err(unexpected()),
    }
}

/// A chat completion as a stream, ready once the upstream has accepted it.
///
/// # Cancel safety
/// As [`chat`]; the stream itself settles when it ends or is dropped.
pub(crate) async fn stream(
    engine: &Arc<Engine>,
    request: ChatRequest,
    context: CallContext,
) -> Result<ChatStream, Error> {
    let mut call = Call::begin(engine, context)?;
    let asked = Asked::Chat { request: &request, stream: true };
    check_fields(&request.params, &OWN_CHAT_FIELDS)?;
    let route = call.route(&request.model, request.messages.is_empty().then_some("messages"))?;
    let slot = call.admit(&route, asked).await?;
    match call.answer(&route, asked).await? {
        Answer::Begun(open) => Ok(ChatStream::new(call, slot, *open, &request)),
        Answer::Whole { .. } => Err(unexpected()),
    }
}

/// Embeddings.
///
/// # Cancel safety
/// As [`chat`].
pub(crate) async fn embed(
    engine: &Arc<Engine>,
    request: EmbedRequest,
    context: CallContext,
) -> Result<Reply, Error> {
    let mut call = Call::begin(engine, context)?;
    let asked = Asked::Embed(&request);
    check_fields(&request.params, &OWN_EMBED_FIELDS)?;
    let route = call.route(&request.model, request.input.is_empty().then_some("input"))?;
    let _slot = call.admit(&route, asked).await?;
    match call.answer(&route, asked).await? {
        Answer::Whole { body, usage, upstream } => Ok(Reply { report: call.report(usage, upstream), body }),
        Answer::Begun(_) => Err(unexpected()),
    }
}

fn check_fields(params: &[(Text, Json)], own: &[&str]) -> Result<(), Error> {
    match params.iter().find(|(name, _)| own.contains(&&**name)) {
        Some((name, _)) => {
            Err(Error::config(format!("{name} has its own argument: it cannot be among the other fields")))
        }
        None => Ok(()),
    }
}

fn unexpected() -> Error {
    Error::Internal { message: "an upstream's answer has the wrong form".to_owned() }
}

impl Call {
    fn begin(engine: &Arc<Engine>, context: CallContext) -> Result<Self, Error> {
        let in_flight = engine.in_flight.token();
        // Read after the token is taken: `close` sees either this call in flight or a call that is refused.
        if engine.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let began = now();
        let total = context.timeout.unwrap_or(engine.config.timeouts.total).min(LONGEST_CALL);
        let cap = context.max_cost.map(|most| Budget::new(&engine.ledger, "max_cost", most));
        let chain =
            cap.into_iter().chain(context.budgets.iter().cloned()).chain(engine.budget.clone()).collect();
        Ok(Self {
            engine: engine.clone(),
            chain,
            began,
            deadline: began + total,
            total,
            queued: Duration::ZERO,
            upstream: Duration::ZERO,
            attempts: 0,
            cost: NanoUsd::ZERO,
            settlement: Settlement::Settled,
            warnings: Vec::new(),
            context,
            _in_flight: in_flight,
        })
    }

    fn route(&self, model: &str, empty: Option<&str>) -> Result<Route, Error> {
        if let Some(field) = empty {
            return Err(Error::config(format!("{field} is empty: a call needs at least one")));
        }
        let config = &self.engine.config;
        let model =
            if model.is_empty() { config.default_model.as_deref().unwrap_or_default() } else { model };
        config.routes.resolve(model)
    }

    /// Rate limits, counted at the first upstream of the route.
    async fn admit(&mut self, route: &Route, asked: Asked<'_>) -> Result<Slot, Error> {
        let tokens = match route.first() {
            Some(target) => asked.rate_tokens(target, self.engine.config.min_output_tokens)?,
            None => 0,
        };
        let waiting = now();
        let engine = self.engine.clone();
        let slot = engine.limits.admit(tokens, self.deadline).await;
        self.queued += waiting.elapsed();
        slot
    }

    /// Ask the upstreams of the route in order until one answers.
    async fn answer(&mut self, route: &Route, asked: Asked<'_>) -> Result<Answer, Error> {
        let mut failures = Vec::new();
        for target in route.iter() {
            match self.ask(target, asked).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if route.len() == 1 => return Err(failure.error),
                // Told alone, a refusal says that no request was made.
                Err(failure)
                    if failure.retry == Retry::Never && !(failure.refused() && self.attempts > 0) =>
                {
                    return Err(failure.error);
                }
                Err(failure) => failures.push(failure.error),
            }
            if now() >= self.deadline {
                break;
            }
        }
        Err(Error::NoUpstream {
            route: route.iter().map(|target| &*target.name).collect::<Vec<_>>().join(", "),
            failures,
        })
    }

    /// Ask one upstream, again where that may help and the deadline allows it.
    async fn ask(&mut self, target: &Target, asked: Asked<'_>) -> Result<Answer, Failure> {
        let policy = self.engine.config.retry;
        let most = self.context.max_attempts.unwrap_or(policy.max_attempts);
        let mut backoff = Backoff::new(policy);
        let mut attempt = 1;
        let mut before = None;
        loop {
            let failure = match self.attempt(target, asked).await {
                Ok(answer) => return Ok(answer),
                // Why it was to be tried again is what the caller has to know.
                Err(failure) if failure.refused() => return Err(before.unwrap_or(failure)),
                Err(failure) => failure,
            };
            let Retry::After(at_least) = failure.retry else { return Err(failure) };
            let ready = now() + backoff.next(at_least);
            if attempt >= most || ready >= self.deadline {
                return Err(failure);
            }
            tracing::debug!(upstream = %target.name, attempt, code = %failure.error.code(), "trying again");
            let waiting = now();
            tokio::time::sleep_until(ready).await;
            self.queued += waiting.elapsed();
            before = Some(failure);
            attempt += 1;
        }
    }

    /// Reserve, send, decode, settle: once.
    async fn attempt(&mut self, target: &Target, asked: Asked<'_>) -> Result<Answer, Failure> {
        if let Some(message) = &target.provider.missing_key {
            return Err(Failure {
                retry: Retry::Elsewhere,
                ..Failure::unsent(Error::config(message.as_str()))
            });
        }
        let plan = asked.plan(target, self.engine.config.min_output_tokens).map_err(Failure::unsent)?;
        let reservation = self.reserve(plan.ask).await.map_err(Failure::unsent)?;
        let body = asked.encode(target, &plan, reservation.amount());
        if let Some(tokens) = plan.lowered(reservation.amount()) {
            self.warnings
                .push(format!("max_tokens was lowered to {tokens}: the budget has no room for more"));
        }
        self.attempts += 1;
        let sent_at = now();
        let engine = self.engine.clone();
        let url = asked.url(target);
        let deadlines =
            Deadlines { timeouts: engine.config.timeouts, total: self.total, call: self.deadline };
        let sent = reservation.sent().clone();
        let mut exchange = match engine.http.post(target, url, body, sent, deadlines).await {
            Ok(exchange) => exchange,
            Err(failure) => return Err(self.failed(failure, reservation, sent_at)),
        };
        if let Asked::Chat { stream: true, .. } = asked {
            let open = Open { exchange, reservation, target: target.clone(), bound: plan.bound, sent_at };
            return Ok(Answer::Begun(Box::new(open)));
        }
        let read = match exchange.body().await {
            Ok(body) => match target.provider.format.reply(&body) {
                Ok(facts) => Ok((body, facts)),
                // Whoever answered so once would do so again.
                Err(message) => Err(Failure::in_doubt(exchange.malformed(message, body), Retry::Elsewhere)),
            },
            Err(failure) => Err(failure),
        };
        match read {
            Ok((body, facts)) => {
                self.upstream += sent_at.elapsed();
                // Not counted by the provider: a body of so many bytes holds at most so many tokens.
                let counted = plan.bound.counted(body.len() as u64);
                let usage = self.settle(reservation, target, &facts, counted);
                Ok(Answer::Whole { body, usage, upstream: target.name.clone() })
            }
            Err(failure) => Err(self.failed(failure, reservation, sent_at)),
        }
    }

    async fn reserve(&mut self, ask: Ask) -> Result<Reservation, Error> {
        let waiting = now();
        let reservation = self.engine.ledger.reserve(self.chain.clone(), ask, Some(self.deadline)).await;
        self.queued += waiting.elapsed();
        reservation.map_err(|refusal| Error::BudgetExceeded(Box::new(refusal)))
    }

    /// Settle an attempt that gave no answer.
    fn failed(&mut self, failure: Failure, reservation: Reservation, sent_at: Instant) -> Failure {
        self.upstream += sent_at.elapsed();
        match failure.billing {
            Billing::Free => reservation.release(),
            Billing::InDoubt => {
                self.cost = self.cost.saturating_add(reservation.settle_in_doubt());
                self.settlement = Settlement::InDoubt;
            }
        }
        failure
    }

    /// Settle with what the provider counted; otherwise at `counted`, our own upper bound; otherwise at the reservation.
    pub(crate) fn settle(
        &mut self,
        reservation: Reservation,
        target: &Target,
        facts: &ReplyFacts,
        counted: Option<NanoUsd>,
    ) -> Usage {
        let reserved = reservation.amount();
        let (actual, settlement, usage) = match (facts.usage, counted) {
            (Some(usage), _) => {
                (cost(target.price.as_deref(), facts.tier, &usage), Settlement::Settled, usage)
            }
            (None, Some(counted)) => (counted.min(reserved), Settlement::Estimated, Usage::default()),
            (None, None) => (reserved, Settlement::InDoubt, Usage::default()),
        };
        if settlement != Settlement::Settled {
            self.warnings.push(format!("{} told no usage: the cost is {}", target.name, settlement.as_str()));
            if self.settlement == Settlement::Settled {
                self.settlement = settlement;
            }
        }
        self.cost = self.cost.saturating_add(actual);
        reservation.settle(actual);
        usage
    }

    /// What came of the call so far.
    pub(crate) fn report(&mut self, usage: Usage, upstream: Arc<str>) -> CallReport {
        CallReport {
            request_id: self.context.request_id,
            upstream,
            usage,
            cost: self.cost,
            settlement: self.settlement,
            attempts: self.attempts,
            warnings: std::mem::take(&mut self.warnings),
            timing: Timing { total: self.began.elapsed(), queued: self.queued, upstream: self.upstream },
        }
    }

    pub(crate) fn request_id(&self) -> RequestId {
        self.context.request_id
    }

    /// Count the time that a stream took.
    pub(crate) fn streamed(&mut self, sent_at: Instant) {
        self.upstream += sent_at.elapsed();
    }
}

/// One attempt's bound and what it reserves.
struct Plan {
    bound: Bound,
    ask: Ask,
    chat: Option<ChatBound>,
}

impl Plan {
    fn lowered(&self, granted: NanoUsd) -> Option<u64> {
        // With no budget in the chain everything asked is granted, and nothing is lowered.
        if granted >= self.ask.most { None } else { self.chat?.lowered(granted) }
    }
}

impl Asked<'_> {
    fn plan(self, target: &Target, least_output: u32) -> Result<Plan, Error> {
        let price = target.price.as_deref();
        match self {
            Self::Chat { request, .. } => {
                let chat = ChatBound::new(request, price, least_output)?;
                Ok(Plan { bound: chat.bound, ask: chat.ask(), chat: Some(chat) })
            }
            Self::Embed(request) => {
                let bound = embed_bound(request, price);
                Ok(Plan { bound, ask: Ask::exactly(bound.input_cost), chat: None })
            }
        }
    }

    fn rate_tokens(self, target: &Target, least_output: u32) -> Result<u64, Error> {
        let plan = self.plan(target, least_output)?;
        Ok(plan.chat.map_or(plan.bound.input_tokens / 4, |chat| chat.rate_tokens()))
    }

    fn encode(self, target: &Target, plan: &Plan, granted: NanoUsd) -> Bytes {
        let format = target.provider.format;
        match self {
            Self::Chat { request, stream } => {
                let output = plan.lowered(granted).map_or(Output::Asked, Output::Lowered);
                format.chat(request, target, output, stream)
            }
            Self::Embed(request) => format.embed(request, target),
        }
    }

    fn url(self, target: &Target) -> reqwest::Url {
        match self {
            Self::Chat { .. } => target.provider.chat_url.clone(),
            Self::Embed(_) => target.provider.embeddings_url.clone(),
        }
    }
}
