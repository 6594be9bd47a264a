//! The clock: the only place that reads time. It is tokio's, so that a test can pause it.

use tokio::time::{Duration, Instant};

/// Now, on tokio's clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock in seconds since 1970, for a date that a client compares with its own clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn unix_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Milliseconds as a duration; what is not a length of time is zero.
pub(crate) fn millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}
