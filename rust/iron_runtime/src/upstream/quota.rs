//! What a provider says of the quota that is left: with none, it refuses every request until there is one again.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName};
use jiff::{SignedDuration, Timestamp};

/// What is left of a quota, and when it is whole again: the names of OpenAI, which most vendors use, and of Anthropic.
static QUOTAS: [(HeaderName, HeaderName); 6] = [
    (
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ),
    (
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ),
    (
        HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    ),
    (
        HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    ),
    (
        HeaderName::from_static("anthropic-ratelimit-input-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-input-tokens-reset"),
    ),
    (
        HeaderName::from_static("anthropic-ratelimit-output-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-output-tokens-reset"),
    ),
];
/// Nobody waits for longer, and every clock's arithmetic bears it.
const MOST: Duration = Duration::from_secs(86_400);

/// How long every further request would be refused for, if a quota is used up.
pub(super) fn used_up(headers: &HeaderMap, now: impl Fn() -> SystemTime) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let resets = QUOTAS.iter().filter_map(|(remaining, reset)| {
        let none_left = text(remaining)?.parse::<f64>().is_ok_and(|left| left <= 0.0);
        if none_left { wait(text(reset)?, &now) } else { None }
    });
    resets.max().filter(|wait| !wait.is_zero())
}

/// Seconds, a duration such as `6m0s` or `20ms`, or a time of the calendar.
fn wait(text: &str, now: impl Fn() -> SystemTime) -> Option<Duration> {
    let wait = if let Ok(seconds) = text.parse::<f64>() {
        Duration::try_from_secs_f64(seconds).ok()?
    } else if let Ok(at) = text.parse::<Timestamp>() {
        at.duration_since(Timestamp::try_from(now()).ok()?).try_into().unwrap_or_default()
    } else {
        text.parse::<SignedDuration>().ok()?.try_into().ok()?
    };
    Some(wait.min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        used_up(&headers.collect(), || now)
    }

    fn reset(text: &str) -> Option<u128> {
        read(&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", text)])
            .map(|wait| wait.as_millis())
    }

    #[test]
    fn a_quota_that_is_used_up_says_when_it_is_there_again() {
        for (text, millis) in [
            ("6m0s", 360_000),
            ("1h2m3s", 3_723_000),
            ("1m12.5s", 72_500),
            ("20ms", 20),
            ("7.66s", 7_660),
            ("12", 12_000),
            ("0.25", 250),
            ("2001-09-09T01:47:00Z", 20_000),
            ("2001-09-09T03:47:00.5+02:00", 20_500),
            ("900h", 86_400_000),
        ] {
            assert_eq!(reset(text), Some(millis), "{text}");
        }
        for nothing in ["", "soon", "-5", "-5s", "NaN", "1e300", "2001-09-09T01:46:39Z", "0s", "2001-09-09"] {
            assert_eq!(reset(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn the_longest_wait_stands_and_what_is_left_is_no_reason_to_wait() {
        let of = |requests, tokens, input| {
            read(&[
                ("anthropic-ratelimit-requests-remaining", requests),
                ("anthropic-ratelimit-requests-reset", "2001-09-09T01:46:50Z"),
                ("anthropic-ratelimit-tokens-remaining", tokens),
                ("anthropic-ratelimit-tokens-reset", "2001-09-09T01:47:10Z"),
                ("anthropic-ratelimit-input-tokens-remaining", input),
                ("anthropic-ratelimit-input-tokens-reset", "2001-09-09T01:46:41Z"),
            ])
            .map(|wait| wait.as_secs())
        };
        assert_eq!(of("0", "0", "0"), Some(30));
        assert_eq!(of("0", "9", "0"), Some(10));
        assert_eq!(of("1", "9", "0"), Some(1));
        assert_eq!(of("1", "9", "5"), None);
        assert_eq!(read(&[("x-ratelimit-remaining-requests", "0")]), None);
        assert_eq!(read(&[]), None);
    }
}
