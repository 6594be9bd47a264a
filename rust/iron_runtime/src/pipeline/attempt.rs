//! One attempt at one upstream: enter, send, decode, settle.

use std::sync::Arc;

use bytes::Bytes;
use iron_protocol::NanoUsd;

use super::Call;
use super::asked::{Asked, Plan};
use crate::Error;
use crate::budget::Reservation;
use crate::call::{Settlement, Usage};
use crate::clock::now;
use crate::config::Target;
use crate::pricing::{Bound, cost};
use crate::provider::{Decoded, Output, ReplyFacts};
use crate::route::Stop;
use crate::upstream::{Billing, Deadlines, Exchange, Failure, Verdict, Visit, verdict};

/// An upstream's answer.
pub(super) enum Answer {
    /// Whole, decoded and settled.
    Whole { body: Bytes, raw: Option<Bytes>, usage: Usage, upstream: Arc<str> },
    /// Begun: events follow.
    Begun(Box<Open>),
}

/// A streamed answer whose events have not been read.
pub(crate) struct Open {
    pub(crate) exchange: Exchange,
    pub(crate) reservation: Reservation,
    pub(crate) target: Target,
    pub(crate) bound: Bound,
    pub(crate) visit: Visit,
}

impl Call {
    /// Enter, send, decode, settle: once.
    pub(super) async fn attempt(
        &mut self,
        stop: &mut Stop<'_>,
        plan: &Plan,
        wait: bool,
        asked: Asked<'_>,
    ) -> Result<Answer, Failure> {
        let target = stop.target;
        if let Some(message) = &target.provider.missing_key {
            return Err(Failure::elsewhere(Error::config(message.as_str())));
        }
        let url = asked.url(target).map_err(Failure::elsewhere)?;
        // Before it waits for anything: what the provider cannot be asked is refused at once.
        let body = asked.encode(target, Output::Asked, &mut self.warnings);
        let mut body = body.map_err(Failure::elsewhere)?;
        let (reservation, mut visit) = self.enter(stop, plan, wait).await?;
        if let Some(tokens) = plan.lowered(reservation.amount()) {
            let lowered = asked.encode(target, Output::Lowered(tokens), &mut self.warnings);
            body = lowered.map_err(Failure::elsewhere)?;
            self.warnings
                .push(format!("max_tokens was lowered to {tokens}: the budget has no room for more"));
        }
        self.watch.attempt(&target.name);
        if stop.tries == 0 {
            stop.upstream.called();
        }
        stop.tries += 1;
        let engine = self.engine.clone();
        let deadlines =
            Deadlines { timeouts: engine.config.timeouts, total: self.total, call: self.deadline };
        let sent = reservation.sent().clone();
        let mut exchange = match engine.http.post(target, url, body, sent, deadlines).await {
            Ok(exchange) => exchange,
            Err(failure) => {
                let failure = if plan.may_not_fit(target) { failure.of_long_request() } else { failure };
                return Err(self.failed(failure, reservation, visit));
            }
        };
        visit.accepted();
        if let Some(wait) = exchange.full_for() {
            stop.upstream.gate.close(now() + wait);
        }
        if let Asked::Chat { stream: true, request } = asked {
            if let Err(failure) = exchange.open(request).await {
                return Err(self.failed(failure, reservation, visit));
            }
            let open = Open { exchange, reservation, target: target.clone(), bound: plan.bound, visit };
            return Ok(Answer::Begun(Box::new(open)));
        }
        let read = match exchange.body().await {
            Ok(body) => match target.provider.format.reply(&body) {
                Ok(decoded) => Ok((body.len(), decoded)),
                Err(told) => Err(exchange.no_reply(told, body)),
            },
            Err(failure) => Err(failure),
        };
        match read {
            Ok((len, Decoded { facts, body, raw })) => {
                self.upstream += visit.sent_at().elapsed();
                visit.end(Verdict::Well);
                // Not counted by the provider: a body of so many bytes holds at most so many tokens.
                let counted = plan.bound.counted(len as u64);
                let usage = self.settle(reservation, target, &facts, counted);
                Ok(Answer::Whole { body, raw, usage, upstream: target.name.clone() })
            }
            Err(failure) => Err(self.failed(failure, reservation, visit)),
        }
    }

    /// Settle an attempt that gave no answer.
    fn failed(&mut self, failure: Failure, reservation: Reservation, visit: Visit) -> Failure {
        self.upstream += visit.sent_at().elapsed();
        visit.end(verdict(&failure.error));
        match failure.billing {
            Billing::Free => reservation.release(),
            Billing::InDoubt => {
                reservation.settle_in_doubt();
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
        if settlement == Settlement::InDoubt {
            reservation.settle_in_doubt();
        } else {
            reservation.settle(actual);
        }
        usage
    }
}
