//! Finding the upstream that answers: limits, retries, fallbacks.

use std::time::Duration;

use super::Call;
use super::asked::{Asked, Plan};
use super::attempt::Answer;
use crate::Error;
use crate::clock::now;
use crate::config::Target;
use crate::route::{Route, Stop, Trip};
use crate::upstream::Retry;

impl Call {
    /// The rates of the client and of the call's budgets; tokens are counted as the first upstream would.
    pub(super) async fn admit(&mut self, route: &Route, asked: Asked<'_>) -> Result<(), Error> {
        let engine = self.engine.clone();
        if !engine.limits.count_calls() {
            return Ok(());
        }
        let tokens = match route.targets().next() {
            Some(target) => asked.plan(target, engine.config.min_output_tokens)?.rate_tokens(),
            None => 0,
        };
        let budgets = self.chain.clone();
        self.queue(engine.limits.admit(&budgets, tokens, self.deadline)).await
    }

    /// Ask the upstreams of the route, one after another, until one answers.
    pub(super) async fn answer(&mut self, route: &Route, asked: Asked<'_>) -> Result<Answer, Error> {
        let least_output = self.engine.config.min_output_tokens;
        let mut trip = self.trip(route, asked);
        while let Some(wait) = trip.next() {
            if let Some((from, to, error)) = trip.fell_back() {
                self.watch.falling_back(&from.name, &to.name, error);
            }
            let plan = asked.plan(trip.stop().target, least_output)?;
            if trip.is_too_dear(plan.ask.least) {
                trip.pass_over();
                continue;
            }
            let retry = match self.ask(trip.stop(), &plan, wait, asked).await {
                Ok(answer) => return Ok(answer),
                Err(retry) => retry,
            };
            trip.failed(retry, self.deadline)?;
            if now() >= self.deadline {
                break;
            }
        }
        Err(trip.into_error())
    }

    /// The upstreams that may answer, in the order to ask them.
    pub(super) fn trip<'r>(&self, route: &'r Route, asked: Asked<'_>) -> Trip<'r> {
        let engine = &*self.engine;
        let upstream = |target: &Target| engine.pool.get(&target.name);
        let order = route.order(|target| upstream(target).tally.latency(), |target| upstream(target).rests());
        let mut trip = Trip::new(order, upstream);
        if !route.is_single() {
            trip.needs(asked.context_tokens(route.targets(), engine.config.min_output_tokens));
        }
        trip
    }

    /// Ask one upstream, again where that may help at once and the deadline allows it. Why it gave no answer is left
    /// at the stop; what may be done about that is returned.
    async fn ask(
        &mut self,
        stop: &mut Stop<'_>,
        plan: &Plan,
        wait: bool,
        asked: Asked<'_>,
    ) -> Result<Answer, Retry> {
        let policy = self.engine.config.retry;
        let most = self.context.max_attempts.unwrap_or(policy.max_attempts);
        // It was told to wait, and asks again.
        if stop.tries > 0 && !self.repeats(stop, Duration::ZERO) {
            return Err(Retry::Elsewhere);
        }
        loop {
            let tries = stop.tries;
            let failure = match self.attempt(stop, plan, wait, asked).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if stop.tries == tries {
                // Nothing was sent: why it was to be tried again is what the caller has to know.
                stop.error.get_or_insert(failure.error);
                return Err(failure.retry);
            }
            if failure.refuses_key() {
                stop.upstream.rest();
            }
            stop.error = Some(failure.error);
            let pause = match failure.retry {
                Retry::After(at_least) => stop.backoff(policy).next(at_least),
                Retry::Throttled(asked) => asked.unwrap_or_else(|| stop.backoff(policy).next(None)),
                retry => return Err(retry),
            };
            let ready = now() + pause;
            let throttled = matches!(failure.retry, Retry::Throttled(_));
            if throttled {
                stop.upstream.gate.close(ready);
            }
            if stop.tries >= most || ready >= self.deadline {
                return Err(Retry::Elsewhere);
            }
            if throttled {
                // It waits at the gate with the others, unless another upstream answers meanwhile.
                return Err(Retry::Later(ready));
            }
            if !self.repeats(stop, pause) {
                return Err(Retry::Elsewhere);
            }
            self.queue(tokio::time::sleep_until(ready)).await;
        }
    }

    /// Whether the retry budget pays for one more request; then it is told of.
    fn repeats(&self, stop: &mut Stop<'_>, wait: Duration) -> bool {
        let paid = stop.pay_for_retry();
        if let Some(error) = stop.error.as_ref().filter(|_| paid) {
            self.watch.retrying(&stop.target.name, stop.tries, error, wait);
        }
        paid
    }
}
