//! The headers of an answer.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};

use super::Answer;
use crate::clock;
use crate::dialect::Dialect;
use crate::settings::RateLimitHeaders;
use crate::stats::Usage;

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream; charset=utf-8";

/// How long a quota takes to be whole again.
const RESET: Duration = Duration::from_secs(1);

impl Answer<'_> {
    /// The headers that the provider sends with every reply.
    pub(super) fn headers(&self, content_type: &str, processing: Duration, usage: Usage) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(12);
        put(&mut headers, CONTENT_TYPE, content_type);
        if content_type != JSON {
            put(&mut headers, CACHE_CONTROL, "no-cache");
        }
        let id = self.request_id();
        let limits = self.service.settings.rate_limit_headers;
        if self.dialect() == Dialect::Anthropic {
            put(&mut headers, HeaderName::from_static("request-id"), &id);
            if let Some(limits) = limits {
                anthropic_limits(&mut headers, limits, usage);
            }
            return headers;
        }
        put(&mut headers, HeaderName::from_static("x-request-id"), &id);
        put(&mut headers, HeaderName::from_static("openai-version"), "2020-10-01");
        let processing = processing.as_millis().to_string();
        put(&mut headers, HeaderName::from_static("openai-processing-ms"), &processing);
        if let Some(limits) = limits {
            openai_limits(&mut headers, limits, usage);
        }
        headers
    }
}

fn openai_limits(headers: &mut HeaderMap, limits: RateLimitHeaders, usage: Usage) {
    let tokens = usage.input.saturating_add(usage.output);
    for (name, value) in [
        ("x-ratelimit-limit-requests", limits.requests),
        ("x-ratelimit-limit-tokens", limits.tokens),
        ("x-ratelimit-remaining-requests", limits.requests.saturating_sub(1)),
        ("x-ratelimit-remaining-tokens", limits.tokens.saturating_sub(tokens)),
    ] {
        put(headers, HeaderName::from_static(name), &value.to_string());
    }
    let reset = format!("{}s", RESET.as_secs());
    put(headers, HeaderName::from_static("x-ratelimit-reset-requests"), &reset);
    put(headers, HeaderName::from_static("x-ratelimit-reset-tokens"), &reset);
}

/// <https://platform.claude.com/docs/en/api/rate-limits#response-headers>
fn anthropic_limits(headers: &mut HeaderMap, limits: RateLimitHeaders, usage: Usage) {
    // A time of the calendar, which has no fractions: one that has begun counts as whole.
    let reset = clock::calendar(RESET + Duration::from_secs(1));
    for (quota, limit, used) in [
        ("requests", limits.requests, 1),
        ("tokens", limits.tokens, usage.input.saturating_add(usage.output)),
        ("input-tokens", limits.tokens, usage.input),
        ("output-tokens", limits.tokens, usage.output),
    ] {
        let told = [("limit", limit.to_string()), ("remaining", limit.saturating_sub(used).to_string())];
        for (what, value) in told.into_iter().chain([("reset", reset.clone())]) {
            if let Ok(name) = HeaderName::try_from(format!("anthropic-ratelimit-{quota}-{what}")) {
                put(headers, name, &value);
            }
        }
    }
}

/// Set a header. Texts that come from settings were checked when those were taken.
pub(crate) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
