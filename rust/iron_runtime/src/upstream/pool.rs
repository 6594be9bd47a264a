//! The upstreams that a client has called, and what it knows of each.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::breaker::{Breaker, BreakerState};
use super::gate::Gate;
use super::retry_budget::RetryBudget;
use super::tally::{Tally, UpstreamSnapshot};
use super::visit::Visit;
use crate::Error;
use crate::clock::{Instant, now};
use crate::config::{BreakerPolicy, RetryPolicy};
use crate::event::{Events, Happened};
use crate::limit::Slot;

/// Upstreams remembered. A client that may call any model could name more; what is known of those is known for one
/// call alone.
const MOST_UPSTREAMS: usize = 1_024;
/// How long a key that was refused comes last: who pays a bill or renews a key waits no longer for it to be used.
const REST: Duration = Duration::from_secs(60);

/// One upstream: what calls have learned of it, shared by all of them.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: Arc<str>,
    pub(crate) gate: Gate,
    pub(crate) tally: Tally,
    pub(super) breaker: Breaker,
    retries: RetryBudget,
    events: Events,
    /// Until when its key comes last.
    rests: Mutex<Option<Instant>>,
}

/// The upstreams of one client by name.
#[derive(Debug)]
pub(crate) struct Pool {
    breaker: BreakerPolicy,
    retry: RetryPolicy,
    events: Events,
    known: RwLock<HashMap<Arc<str>, Arc<Upstream>>>,
}

impl Pool {
    pub(crate) fn new(breaker: BreakerPolicy, retry: RetryPolicy, events: &Events) -> Self {
        Self { breaker, retry, events: events.clone(), known: RwLock::default() }
    }

    /// What is known of the upstream of that name.
    pub(crate) fn get(&self, name: &Arc<str>) -> Arc<Upstream> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.unwrap_or_else(|| self.add(name))
    }

    fn add(&self, name: &Arc<str>) -> Arc<Upstream> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(upstream) = known.get(name) {
            return upstream.clone();
        }
        let upstream = Arc::new(Upstream {
            name: name.clone(),
            gate: Gate::default(),
            tally: Tally::default(),
            breaker: Breaker::new(self.breaker),
            retries: RetryBudget::new(self.retry, now()),
            rests: Mutex::new(None),
            events: self.events.clone(),
        });
        if known.len() < MOST_UPSTREAMS {
            known.insert(name.clone(), upstream.clone());
        }
        upstream
    }

    /// Every upstream called so far, by name.
    pub(crate) fn snapshot(&self) -> Vec<UpstreamSnapshot> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known.values().map(|upstream| upstream.snapshot()).collect();
        drop(known);
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

impl Upstream {
    /// Begin a request that has a `slot`, if the breaker passes it.
    ///
    /// # Errors
    /// [`Error::BreakerOpen`].
    pub(crate) fn visit(self: &Arc<Self>, slot: Slot) -> Result<Visit, Error> {
        match self.breaker.pass(now) {
            Ok(pass) => Ok(Visit::new(self.clone(), pass, slot)),
            Err(until) => Err(self.open(until)),
        }
    }

    /// Why no request would be passed now; takes no probe's place.
    pub(crate) fn refusal(&self) -> Option<Error> {
        self.breaker.refuses(now).map(|until| self.open(until))
    }

    fn open(&self, until: Instant) -> Error {
        Error::BreakerOpen {
            upstream: self.name.to_string(),
            probe_in: until.saturating_duration_since(now()),
        }
    }

    /// Its key was refused: for a while others come first.
    pub(crate) fn rest(&self) {
        *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = Some(now() + REST);
    }

    pub(crate) fn rests(&self) -> bool {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| until > now())
    }

    /// Why a call cannot wait for the gate.
    pub(crate) fn closed(&self, until: Instant) -> Error {
        let wait = until.saturating_duration_since(now());
        Error::RateLimited {
            message: format!(
                "{} takes no requests for another {:.1} s: it said so to an earlier call",
                self.name,
                wait.as_secs_f64()
            ),
            retry_after: Some(wait),
            upstream: Some(self.name.to_string()),
            out_of_quota: false,
        }
    }

    /// Tell what the breaker has turned to.
    pub(super) fn turned(&self, state: BreakerState) {
        let upstream = &self.name;
        match state {
            BreakerState::Open => {
                tracing::warn!(%upstream, "the circuit breaker is open");
                self.events.tell(|| Happened::BreakerOpened { upstream: upstream.clone() });
            }
            BreakerState::Closed => {
                tracing::info!(%upstream, "the circuit breaker is closed again");
                self.events.tell(|| Happened::BreakerClosed { upstream: upstream.clone() });
            }
            BreakerState::HalfOpen => {}
        }
    }

    /// Count a call's first request.
    pub(crate) fn called(&self) {
        self.retries.earn();
    }

    /// Whether a request may be repeated; it is counted if so.
    pub(crate) fn may_retry(&self) -> bool {
        let paid = self.retries.spend(now());
        if paid {
            self.tally.retries.fetch_add(1, Relaxed);
        }
        paid
    }

    fn snapshot(&self) -> UpstreamSnapshot {
        let closed_for = self.gate.closed().map(|until| until.saturating_duration_since(now()));
        self.tally.snapshot(self.name.clone(), self.breaker.state(), closed_for)
    }
}
