//! One limit per minute, passed in the order of arrival.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::{sleep_until, timeout_at};

use super::Full;
use crate::clock::{Instant, RateClock, RateInstant, now};

#[derive(Debug)]
pub(super) struct Rate {
    /// The setting's name.
    key: String,
    limiter: RateLimiter<NotKeyed, InMemoryState, RateClock, NoOpMiddleware<RateInstant>>,
    per_minute: NonZeroU32,
    /// `governor` lets whoever asks at the right moment pass; whoever holds this lock is the one that asks.
    turn: tokio::sync::Mutex<()>,
    /// Until when there was no room, the last time that somebody asked.
    full: Mutex<Option<Instant>>,
}

impl Rate {
    pub(super) fn new(key: String, per_minute: NonZeroU32) -> Self {
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(per_minute), RateClock);
        Self { key, limiter, per_minute, turn: tokio::sync::Mutex::new(()), full: Mutex::new(None) }
    }

    /// Why a call would have to wait, as far as that is known without counting it.
    pub(super) fn full(&self) -> Option<Full> {
        if self.turn.try_lock().is_err() {
            return Some(self.busy(None));
        }
        let full = *self.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.filter(|until| *until > now()).map(|until| self.busy(Some(until)))
    }

    /// Pass if there is room now.
    pub(super) fn pass_now(&self, cells: u64) -> Result<(), Full> {
        let Some(cells) = self.cells(cells) else { return Ok(()) };
        // Calls that wait are before this one.
        let Ok(_turn) = self.turn.try_lock() else { return Err(self.busy(None)) };
        self.ask(cells).map_err(|ready| self.busy(Some(ready)))
    }

    /// Pass once there is room, after all that came before.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in line, and nothing is counted.
    pub(super) async fn pass(&self, cells: u64, deadline: Instant) -> Result<(), Full> {
        let Some(cells) = self.cells(cells) else { return Ok(()) };
        // Without a line there is nothing to time.
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => timeout_at(deadline, self.turn.lock()).await.map_err(|_| self.late(None))?,
        };
        while let Err(ready) = self.ask(cells) {
            if ready > deadline {
                return Err(self.late(Some(ready)));
            }
            sleep_until(ready).await;
        }
        Ok(())
    }

    fn cells(&self, cells: u64) -> Option<NonZeroU32> {
        // A call larger than a whole minute passes when the minute is all its own.
        NonZeroU32::new(u32::try_from(cells).unwrap_or(u32::MAX).min(self.per_minute.get()))
    }

    /// Count so many, or say when there is room for them.
    fn ask(&self, cells: NonZeroU32) -> Result<(), Instant> {
        // The outer error is of more cells than a minute has, which `cells` leaves none of.
        let Ok(Err(not_until)) = self.limiter.check_n(cells) else { return Ok(()) };
        let ready = now() + not_until.wait_time_from(governor::clock::Clock::now(&RateClock));
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = Some(ready);
        Err(ready)
    }

    fn busy(&self, ready: Option<Instant>) -> Full {
        Full { message: format!("{} is reached", self.key), ready, own: false }
    }

    fn late(&self, ready: Option<Instant>) -> Full {
        Full { message: format!("{} leaves no room before the call's deadline", self.key), ready, own: false }
    }
}
