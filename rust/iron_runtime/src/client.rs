//! The client: one configuration, one pool of connections, one budget.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio_util::task::TaskTracker;

use crate::Error;
use crate::audit::Auditor;
use crate::budget::{Budget, Ledger};
use crate::call::{CallContext, ChatRequest, EmbedRequest, Reply};
use crate::config::Config;
use crate::event::{EventReader, Events};
use crate::extension::Extensions;
use crate::limit::Limits;
use crate::pipeline::{self, Engine};
use crate::pricing::Estimate;
use crate::schema::Cache;
use crate::stats::Stats;
use crate::stream::ChatStream;
use crate::upstream::{Http, Pool, UpstreamSnapshot};
use crate::watch::Watchers;

/// Makes governed calls. Clones share everything.
#[derive(Clone, Debug)]
pub struct Client(pub(crate) Arc<Engine>);

impl Client {
    /// A client whose budgets are kept in `ledger`, one for a process, and whose calls nobody reads along.
    ///
    /// # Errors
    /// [`Error::Config`] if TLS or the system's proxy settings cannot be set up, [`Error::Ledger`] if the ledger file of
    /// a shared budget cannot be used.
    pub fn new(config: Config, ledger: &Ledger) -> Result<Self, Error> {
        Self::watched(config, ledger, &Events::new())
    }

    /// A client that tells what happens to its calls to the readers of `events`.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn watched(config: Config, ledger: &Ledger, events: &Events) -> Result<Self, Error> {
        Self::extended(config, ledger, events, Extensions::new())
    }

    /// A client with what the program adds to it, such as detectors of its own.
    ///
    /// # Errors
    /// As [`Client::new`]; [`Error::Config`] if a rule names a detector that is not there.
    pub fn extended(
        config: Config,
        ledger: &Ledger,
        events: &Events,
        extensions: Extensions,
    ) -> Result<Self, Error> {
        extensions.check(config.policy())?;
        let http = Http::new(&config.timeouts)?;
        let budget = config.budget.as_ref().map(|budget| budget.open(ledger)).transpose()?;
        let limits = Limits::new(&config.limits);
        let auditor = config.audit.as_ref().map(Auditor::new).transpose()?;
        let events = Events::within(events);
        let pool = Pool::new(config.breaker, config.retry, &events);
        Ok(Self(Arc::new(Engine {
            config,
            extensions,
            history: OnceLock::new(),
            http,
            forms: Cache::default(),
            limits,
            pool,
            ledger: ledger.clone(),
            budget,
            auditor,
            in_flight: TaskTracker::new(),
            closed: AtomicBool::new(false),
            watchers: Arc::new(Watchers::new(events)),
        })))
    }

    /// Ask for a chat completion.
    ///
    /// # Errors
    /// [`Error`] names what the caller can do; a refusal by budget or limit has made no request.
    ///
    /// # Cancel safety
    /// Dropping the future ends the call: what was not sent is released, what was sent is settled.
    pub async fn chat(&self, request: ChatRequest, context: CallContext) -> Result<Reply, Error> {
        pipeline::chat(&self.0, request, context).await
    }

    /// Ask for a streamed chat completion; ready once the first of its content has come.
    ///
    /// # Errors
    /// As [`Client::chat`].
    ///
    /// # Cancel safety
    /// As [`Client::chat`]. The stream settles when it ends or is dropped.
    pub async fn stream(&self, request: ChatRequest, context: CallContext) -> Result<ChatStream, Error> {
        pipeline::stream(&self.0, request, context).await
    }

    /// Ask for embeddings.
    ///
    /// # Errors
    /// As [`Client::chat`].
    ///
    /// # Cancel safety
    /// As [`Client::chat`].
    pub async fn embed(&self, request: EmbedRequest, context: CallContext) -> Result<Reply, Error> {
        pipeline::embed(&self.0, request, context).await
    }

    /// What a chat would reserve, were it made now: nothing is sent and nothing is held.
    ///
    /// # Errors
    /// [`Error::Config`] if the model is not known, or nothing bounds what the request costs.
    pub fn estimate(&self, request: &ChatRequest) -> Result<Estimate, Error> {
        pipeline::estimate(&self.0, request)
    }

    /// The client's own budget, if it has a limit.
    pub fn budget(&self) -> Option<&Budget> {
        self.0.budget.as_ref()
    }

    /// Every upstream called so far, by name.
    pub fn upstreams(&self) -> Vec<UpstreamSnapshot> {
        self.0.pool.snapshot()
    }

    /// Calls that have begun and not ended, open streams included.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.len()
    }

    /// What the calls have come to so far.
    pub fn stats(&self) -> Stats {
        self.0.watchers.counters.read()
    }

    /// Read along what happens to the calls of this client alone, from now on until it is closed and the last of them has
    /// ended, or it is gone.
    pub fn events(&self) -> EventReader {
        self.0.watchers.events.read_during(&self.0.in_flight)
    }

    /// Every name by which a model that has a price can be asked for.
    pub fn models(&self) -> Vec<String> {
        self.0.config.models()
    }

    /// Whether there is a way to `model`, before a call is made of it.
    ///
    /// # Errors
    /// [`Error::Config`] if the name is not known or the model has no price.
    pub fn check_model(&self, model: &str) -> Result<(), Error> {
        self.0.route(model).map(drop)
    }

    /// Whether the client is closed.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// Refuse every call from now on; calls in flight go on.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.in_flight.close();
    }

    /// Wait until no call is in flight, and what they left is written; never, unless the client is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn drained(&self) {
        self.0.in_flight.wait().await;
        if let Some(budget) = &self.0.budget {
            budget.give_back();
        }
        if let Some(auditor) = &self.0.auditor {
            auditor.flush().await;
        }
    }
}
