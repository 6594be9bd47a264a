//! The circuit breaker of one upstream: `Closed` passes calls, `Open` refuses them, `HalfOpen` probes.
//!
//! A state machine that is told the time: it neither waits nor reads a clock, and its lock is never held across an
//! await.

mod window;

use std::sync::{Mutex, MutexGuard, PoisonError};

use self::window::Window;
use crate::clock::Instant;
use crate::config::BreakerPolicy;

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// It passes calls.
    Closed,
    /// It refuses calls.
    Open,
    /// It passes a few calls to see whether the upstream is well again.
    HalfOpen,
}

impl BreakerState {
    /// The stable `snake_case` text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What a call says about the upstream's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answered.
    Well,
    /// It did not, or said that it cannot.
    Ill,
    /// Nothing: the call was dropped, or ended for reasons of its own.
    Unknown,
}

/// A call that a breaker has passed; its verdict is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The breaker's generation when it passed.
    generation: u64,
    probe: bool,
}

impl Pass {
    /// Whether other calls wait for its verdict.
    pub(crate) fn is_probe(self) -> bool {
        self.probe
    }
}

#[derive(Debug)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    circuit: Mutex<Circuit>,
}

#[derive(Debug)]
struct Circuit {
    state: State,
    /// Counts the changes of state: a verdict on a call that an earlier state had passed tells nothing about this one.
    generation: u64,
}

#[derive(Debug)]
enum State {
    Closed { in_row: u32, window: Window },
    Open { until: Instant },
    HalfOpen { probing: u32, well: u32 },
}

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        let circuit = Circuit { state: State::closed(policy), generation: 0 };
        Self { policy, circuit: Mutex::new(circuit) }
    }

    /// Pass a call, or say when the next probe may go. `now` is asked for only where it matters.
    ///
    /// # Errors
    /// When a call may pass at the earliest. While probes are out that is not known: then it is now.
    pub(crate) fn pass(&self, now: impl Fn() -> Instant) -> Result<Pass, Instant> {
        if !self.policy.enabled {
            return Ok(Pass { generation: 0, probe: false });
        }
        let mut circuit = self.lock();
        let probing = match circuit.state {
            State::Closed { .. } => return Ok(Pass { generation: circuit.generation, probe: false }),
            State::Open { until } if until > now() => return Err(until),
            State::Open { .. } => {
                circuit.turn(State::HalfOpen { probing: 0, well: 0 });
                0
            }
            State::HalfOpen { probing, .. } if probing >= self.policy.probes => return Err(now()),
            State::HalfOpen { probing, .. } => probing,
        };
        if let State::HalfOpen { probing: places, .. } = &mut circuit.state {
            *places = probing + 1;
        }
        Ok(Pass { generation: circuit.generation, probe: true })
    }

    /// Whether [`Breaker::pass`] would refuse, and until when; takes no probe's place.
    pub(crate) fn refuses(&self, now: impl Fn() -> Instant) -> Option<Instant> {
        let circuit = self.lock();
        match circuit.state {
            State::Closed { .. } => None,
            State::Open { until } => (until > now()).then_some(until),
            State::HalfOpen { probing, .. } => (probing >= self.policy.probes).then(now),
        }
    }

    /// Take the verdict on a call that was passed, and tell the state that it brought about.
    pub(crate) fn judge(
        &self,
        pass: Pass,
        verdict: Verdict,
        now: impl Fn() -> Instant,
    ) -> Option<BreakerState> {
        if !self.policy.enabled {
            return None;
        }
        let mut circuit = self.lock();
        if pass.generation != circuit.generation {
            return None;
        }
        let next = match (&mut circuit.state, verdict) {
            (State::HalfOpen { probing, .. }, Verdict::Unknown) => {
                *probing = probing.saturating_sub(1);
                None
            }
            (State::HalfOpen { probing, well }, Verdict::Well) => {
                *probing = probing.saturating_sub(1);
                *well += 1;
                (*well >= self.policy.probes).then(|| State::closed(self.policy))
            }
            (State::HalfOpen { .. }, Verdict::Ill) => Some(State::Open { until: now() + self.policy.open }),
            (State::Closed { in_row, window }, Verdict::Well) => {
                *in_row = 0;
                window.add(now(), true);
                None
            }
            (State::Closed { in_row, window }, Verdict::Ill) => {
                *in_row += 1;
                let now = now();
                window.add(now, false);
                let opens = *in_row >= self.policy.failures || window.is_ill(self.policy);
                opens.then(|| State::Open { until: now + self.policy.open })
            }
            // Nothing that passed is judged while it is open, because opening has begun a new generation.
            (State::Closed { .. }, Verdict::Unknown) | (State::Open { .. }, _) => None,
        };
        let next = next?;
        let told = next.told();
        circuit.turn(next);
        Some(told)
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.lock().state.told()
    }

    fn lock(&self) -> MutexGuard<'_, Circuit> {
        // Nothing panics under it; were it to happen, the counts are still counts.
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Circuit {
    fn turn(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

impl State {
    fn closed(policy: BreakerPolicy) -> Self {
        Self::Closed { in_row: 0, window: Window::new(policy.window) }
    }

    fn told(&self) -> BreakerState {
        match self {
            Self::Closed { .. } => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests;
