//! Finding the upstream that answers: limits, retries, fallbacks.

use super::Call;
use super::asked::Asked;
use super::attempt::Answer;
use crate::Error;
use crate::clock::now;
use crate::config::Target;
use crate::limit::Slot;
use crate::route::Route;
use crate::upstream::{Backoff, Failure, Retry};

impl Call {
    /// Rate limits, counted at the first upstream of the route.
    pub(super) async fn admit(&mut self, route: &Route, asked: Asked<'_>) -> Result<Slot, Error> {
        let tokens = match route.first() {
            Some(target) => asked.rate_tokens(target, self.engine.config.min_output_tokens)?,
            None => 0,
        };
        let engine = self.engine.clone();
        self.queue(engine.limits.admit(tokens, self.deadline)).await
    }

    /// Ask the upstreams of the route in order until one answers.
    pub(super) async fn answer(&mut self, route: &Route, asked: Asked<'_>) -> Result<Answer, Error> {
        let mut failures: Vec<Error> = Vec::new();
        let mut before: Option<&Target> = None;
        for target in route.iter() {
            if let (Some(before), Some(failure)) = (before.replace(target), failures.last()) {
                self.watch.falling_back(&before.name, &target.name, failure);
            }
            match self.ask(target, asked).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if route.len() == 1 => return Err(failure.error),
                // Told alone, a refusal says that no request was made.
                Err(failure)
                    if failure.retry == Retry::Never && !(failure.refused() && self.watch.attempts() > 0) =>
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
        let upstream = self.engine.pool.get(&target.name);
        let mut backoff = Backoff::new(policy);
        let mut before = None;
        let mut attempt = 1;
        upstream.called();
        loop {
            let attempts = self.watch.attempts();
            let failure = match self.attempt(target, &upstream, asked).await {
                Ok(answer) => return Ok(answer),
                // Nothing was sent: why it was to be tried again is what the caller has to know.
                Err(failure) if self.watch.attempts() == attempts => return Err(before.unwrap_or(failure)),
                Err(failure) => failure,
            };
            let (ready, wait) = match failure.retry {
                Retry::After(at_least) => {
                    let wait = backoff.next(at_least);
                    (now() + wait, wait)
                }
                Retry::Throttled(asked) => {
                    let wait = asked.unwrap_or_else(|| backoff.next(None));
                    upstream.gate.close(now() + wait);
                    (now() + wait, wait)
                }
                Retry::Never | Retry::Elsewhere => return Err(failure),
            };
            if attempt >= most || ready >= self.deadline {
                return Err(failure);
            }
            if !upstream.may_retry() {
                return Err(failure.not_retried());
            }
            self.watch.retrying(&target.name, attempt, &failure.error, wait);
            // A call that was told to wait does so in line at the gate, with the others.
            if matches!(failure.retry, Retry::After(_)) {
                self.queue(tokio::time::sleep_until(ready)).await;
            }
            before = Some(failure);
            attempt += 1;
        }
    }
}
