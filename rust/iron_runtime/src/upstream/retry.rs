//! When to ask the same upstream again: full jitter, and never before the upstream itself said.

use std::time::{Duration, SystemTime};

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::config::RetryPolicy;

/// The waits between the attempts of one call.
#[derive(Debug)]
pub(crate) struct Backoff(ExponentialBackoff);

impl Backoff {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        // `backoff` draws from `interval × (1 ± factor)`: half the interval with factor 1 is the whole of [0, interval].
        Self(ExponentialBackoff {
            current_interval: policy.initial / 2,
            initial_interval: policy.initial / 2,
            randomization_factor: 1.0,
            multiplier: 2.0,
            max_interval: policy.max / 2,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// The next wait: at least `asked`, and random beyond it, so that calls told the same do not come back together.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let random = self.0.next_backoff().unwrap_or_default();
        asked.map_or(random, |asked| asked.saturating_add(random))
    }
}

/// What `Retry-After` asks for: seconds, or an HTTP date; or `retry-after-ms`, which `OpenAI` sends beside it and is
/// finer.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let fine = headers.get("retry-after-ms").and_then(|ms| ms.to_str().ok()?.trim().parse::<u64>().ok());
    if let Some(ms) = fine {
        return Some(Duration::from_millis(ms.min(86_400_000)));
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<f64>() {
        // Some providers send fractions. Beyond a day nobody waits, and `from_secs_f64` is spared its panics.
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => {
            Some(Duration::from_secs_f64(seconds.min(86_400.0)))
        }
        Ok(_) => None,
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_attempts: 9,
            initial: Duration::from_millis(100),
            max: Duration::from_millis(400),
            budget_percent: 0,
            budget_per_second: 0,
        }
    }

    #[test]
    fn waits_are_drawn_from_zero_to_a_growing_end() {
        let ends = [100, 200, 400, 400];
        let mut longest = [Duration::ZERO; 4];
        let mut shortest = [Duration::MAX; 4];
        for _ in 0..2_000 {
            let mut backoff = Backoff::new(policy());
            for (nth, end) in ends.iter().enumerate() {
                let wait = backoff.next(None);
                assert!(wait <= Duration::from_millis(*end), "{wait:?} at {nth}");
                longest[nth] = longest[nth].max(wait);
                shortest[nth] = shortest[nth].min(wait);
            }
        }
        for (nth, end) in ends.iter().enumerate() {
            assert!(longest[nth] > Duration::from_millis(end * 9 / 10), "{longest:?}");
            assert!(shortest[nth] < Duration::from_millis(end / 10), "{shortest:?}");
        }
    }

    #[test]
    fn retry_after_is_never_cut_short() {
        let asked = Duration::from_secs(30);
        assert!(Backoff::new(policy()).next(Some(asked)) >= asked);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(read("Sun, 09 Sep 2001 01:47:00 GMT"), Some(Duration::from_secs(20)));
        assert_eq!(read("Sun, 09 Sep 2001 01:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["-1", "NaN", "soon", "1e999"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
