//! Limits of our own: how many requests and tokens a minute, and how many requests at once.
//!
//! There is one for the whole client, and there may be some for a model, a provider, an upstream and for the calls within
//! a budget of some name. A call is counted once by the limits of the client and of its budgets; each of its attempts is
//! counted by those of the upstream that is asked. Whoever waits holds nothing: a rate is passed before a place is taken,
//! and places are taken in all scopes at once.

mod places;
mod rate;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;

pub(crate) use self::places::Slot;
use self::places::{Places, ScopeId};
use self::rate::Rate;
use crate::Error;
use crate::budget::Budget;
use crate::clock::{Instant, now};
use crate::config::{LimitSettings, OnLimit, ScopeSettings, Target};

/// The limits of one client.
#[derive(Debug)]
pub(crate) struct Limits {
    on_limit: OnLimit,
    places: Places,
    client: Scope,
    budgets: HashMap<String, Scope>,
    providers: HashMap<String, Scope>,
    models: HashMap<String, Scope>,
    upstreams: HashMap<String, Scope>,
}

/// What limits the same calls.
#[derive(Debug)]
struct Scope {
    requests: Option<Rate>,
    tokens: Option<Rate>,
    places: Option<ScopeId>,
}

/// A limit has no room.
#[derive(Debug)]
pub(crate) struct Full {
    message: String,
    /// When it has, where that is known.
    ready: Option<Instant>,
    /// It is of the upstream, its model or its provider: another upstream may have room.
    pub(crate) own: bool,
}

impl Limits {
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        let places = Places::default();
        let scopes = |table: &str, scopes: &BTreeMap<String, ScopeSettings>| {
            let scope = |(name, settings): (&String, &ScopeSettings)| {
                (name.clone(), Scope::new(&format!("limits.{table}.{name:?}"), settings, &places))
            };
            scopes.iter().map(scope).collect()
        };
        Self {
            on_limit: settings.on_limit,
            client: Scope::new("limits", &settings.client(), &places),
            budgets: scopes("budgets", &settings.budgets),
            providers: scopes("providers", &settings.providers),
            models: scopes("models", &settings.models),
            upstreams: scopes("upstreams", &settings.upstreams),
            places,
        }
    }

    /// Whether [`Limits::admit`] counts anything.
    pub(crate) fn count_calls(&self) -> bool {
        self.client.counts() || !self.budgets.is_empty()
    }

    /// Count a call of `tokens` that is made within `budgets`, once there is room for it.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if it would have to wait past the deadline, or at all with `on_limit = "fail"`.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in every line; what a rate has already let pass stays counted.
    pub(crate) async fn admit(
        &self,
        budgets: &[Budget],
        tokens: u64,
        deadline: Instant,
    ) -> Result<(), Error> {
        // The narrow before the wide: what waits in a narrow one has not used up a share of the wide one.
        for scope in self.within(budgets).into_iter().chain([&self.client]) {
            scope
                .pass(tokens, self.on_limit == OnLimit::Wait, deadline)
                .await
                .map_err(|full| self.refusal(&full))?;
        }
        Ok(())
    }

    /// Count an attempt of `tokens` at `target`, once there is room for it; without `wait`, only if there is now.
    ///
    /// # Cancel safety
    /// As [`Limits::admit`].
    pub(crate) async fn attempt(
        &self,
        target: &Target,
        tokens: u64,
        wait: bool,
        deadline: Instant,
    ) -> Result<(), Full> {
        let wait = wait && self.on_limit == OnLimit::Wait;
        let scopes = self.of(target);
        if !wait && let Some(full) = scopes.iter().flatten().find_map(|scope| scope.full()) {
            // Seen before anything is counted: a full one does not use up the shares of the others.
            return Err(Full { own: true, ..full });
        }
        for scope in scopes.into_iter().flatten() {
            scope.pass(tokens, wait, deadline).await.map_err(|full| Full { own: true, ..full })?;
        }
        Ok(())
    }

    /// A place among the requests in flight at `target` within `budgets`; without `wait`, only if the limits of the
    /// upstream have one now.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line and holds nothing.
    pub(crate) async fn place(
        &self,
        target: &Target,
        budgets: &[Budget],
        wait: bool,
        deadline: Instant,
    ) -> Result<Slot, Full> {
        let mut scopes: Vec<_> =
            self.of(target).into_iter().flatten().filter_map(|scope| scope.places).collect();
        let patient = self.on_limit == OnLimit::Wait;
        if !(wait && patient)
            && let Some(full) = self.places.full(&scopes)
        {
            return Err(Full { own: true, ..full });
        }
        scopes
            .extend(self.within(budgets).into_iter().chain([&self.client]).filter_map(|scope| scope.places));
        if patient { self.places.take(scopes, deadline).await } else { self.places.take_now(scopes) }
    }

    /// What a limit's refusal is to the caller.
    pub(crate) fn refusal(&self, full: &Full) -> Error {
        let why = if self.on_limit == OnLimit::Fail { " and on_limit is \"fail\"" } else { "" };
        Error::RateLimited {
            message: format!("{}{why}", full.message),
            retry_after: full.ready.map(|ready| ready.saturating_duration_since(now())),
            upstream: None,
            out_of_quota: false,
        }
    }

    fn of(&self, target: &Target) -> [Option<&Scope>; 3] {
        [
            self.upstreams.get(&*target.name),
            self.models.get(&*target.listed),
            self.providers.get(&target.provider.name),
        ]
    }

    /// The limits of the budgets, each once.
    fn within(&self, budgets: &[Budget]) -> Vec<&Scope> {
        if self.budgets.is_empty() {
            return Vec::new();
        }
        let mut names: Vec<_> = budgets.iter().map(|budget| budget.snapshot().name).collect();
        names.sort_unstable();
        names.dedup();
        names.iter().filter_map(|name| self.budgets.get(&**name)).collect()
    }
}

impl Full {
    /// When to ask again.
    pub(crate) fn ready(&self) -> Instant {
        self.ready.unwrap_or_else(now)
    }
}

impl Scope {
    fn new(key: &str, settings: &ScopeSettings, places: &Places) -> Self {
        let rate = |name, per_minute: Option<u32>| {
            per_minute.and_then(NonZeroU32::new).map(|most| Rate::new(format!("{key}.{name}"), most))
        };
        Self {
            requests: rate("requests_per_minute", settings.requests_per_minute),
            tokens: rate("tokens_per_minute", settings.tokens_per_minute),
            places: settings.concurrency.map(|most| places.add(format!("{key}.concurrency"), most)),
        }
    }

    fn counts(&self) -> bool {
        self.requests.is_some() || self.tokens.is_some()
    }

    fn full(&self) -> Option<Full> {
        self.requests.iter().chain(&self.tokens).find_map(Rate::full)
    }

    async fn pass(&self, tokens: u64, wait: bool, deadline: Instant) -> Result<(), Full> {
        for (rate, cells) in [(&self.requests, 1), (&self.tokens, tokens)] {
            match rate {
                Some(rate) if wait => rate.pass(cells, deadline).await?,
                Some(rate) => rate.pass_now(cells)?,
                None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
