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

/// The time of the calendar so long from now, in whole seconds, as RFC 3339 writes it.
pub(crate) fn calendar(from_now: Duration) -> String {
    let seconds = i64::try_from(unix_seconds().saturating_add(from_now.as_secs())).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

/// Milliseconds as a duration; what is not a length of time is zero.
pub(crate) fn millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}
