//! The script: rules made ready, with how often each was used, giving a plan for each request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use wildmatch::WildMatch;

use crate::draw::{Draw, Purpose};
use crate::error::Error;
use crate::fault::{Fault, RetryAfter};
use crate::rule::{Match, Reply, Rule, Text};
use crate::settings::{Millis, check_rate};

/// The rules in force.
#[derive(Default)]
pub(crate) struct Script {
    lines: Vec<Line>,
    refuses: bool,
}

/// A rule and its counts.
struct Line {
    rule: Rule,
    headers: Vec<(HeaderName, HeaderValue)>,
    model: Option<WildMatch>,
    path: Option<WildMatch>,
    seen: AtomicU64,
    used: AtomicU64,
}

/// What of a request rules can ask about.
pub(crate) struct Facts<'a> {
    pub(crate) chat: bool,
    pub(crate) stream: bool,
    pub(crate) model: &'a str,
    pub(crate) text: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// What is to be done with one request.
pub(crate) struct Plan {
    script: Arc<Script>,
    line: Option<usize>,
    /// How many requests the rule took before this one.
    pub(crate) turn: u64,
}

impl Script {
    pub(crate) fn new(rules: Vec<Rule>) -> Result<Self, Error> {
        let lines = rules
            .into_iter()
            .enumerate()
            .map(|(nth, rule)| Line::new(rule, &format!("rules[{nth}]")))
            .collect::<Result<Vec<_>, _>>()?;
        let refuses = lines.iter().any(Line::refuses);
        Ok(Self { lines, refuses })
    }

    /// The plan for a request: what the first rule that takes it says.
    pub(crate) fn plan(self: &Arc<Self>, facts: &Facts<'_>, seed: u64) -> Plan {
        // Every rule sees every request, so that `nth` and `every` count requests and not what earlier rules left.
        let mut taken = None;
        for (nth, line) in self.lines.iter().enumerate() {
            if !line.refuses() && line.holds(facts) && line.sees(seed, nth) && taken.is_none() {
                taken = line.take().map(|turn| (nth, turn));
            }
        }
        let (line, turn) = taken.unzip();
        Plan { script: Arc::clone(self), line, turn: turn.unwrap_or(0) }
    }

    /// Whether a new connection is to be closed at once.
    pub(crate) fn refuses(&self, seed: u64) -> bool {
        self.refuses
            && self
                .lines
                .iter()
                .enumerate()
                .any(|(nth, line)| line.refuses() && line.sees(seed, nth) && line.take().is_some())
    }

    /// Forget how often each rule was used.
    pub(crate) fn reset(&self) {
        for line in &self.lines {
            line.seen.store(0, Ordering::Relaxed);
            line.used.store(0, Ordering::Relaxed);
        }
    }
}

impl Plan {
    fn rule(&self) -> Option<&Rule> {
        self.line.and_then(|nth| self.script.lines.get(nth)).map(|line| &line.rule)
    }

    pub(crate) fn reply(&self) -> Option<&Reply> {
        self.rule()?.reply.as_ref()
    }

    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.rule()?.fault.as_ref()
    }

    pub(crate) fn latency(&self) -> Option<Millis> {
        self.rule()?.latency_ms
    }

    pub(crate) fn tokens_per_second(&self) -> Option<f64> {
        self.rule()?.tokens_per_second
    }
}

impl Line {
    fn new(rule: Rule, name: &str) -> Result<Self, Error> {
        check(&rule, name)?;
        let headers = rule
            .when
            .headers
            .iter()
            .map(|(header, value)| match (header.parse(), value.parse()) {
                (Ok(header), Ok(value)) => Ok((header, value)),
                _ => Err(Error::config(
                    format!("{name}.when.headers"),
                    format!("{header:?} cannot be a header"),
                )),
            })
            .collect::<Result<_, _>>()?;
        let glob = |glob: &Option<String>| glob.as_deref().map(WildMatch::new);
        let (model, path) = (glob(&rule.when.model), glob(&rule.when.path));
        Ok(Self { rule, headers, model, path, seen: AtomicU64::new(0), used: AtomicU64::new(0) })
    }

    fn refuses(&self) -> bool {
        matches!(self.rule.fault, Some(Fault::Refuse(_)))
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        let when = &self.rule.when;
        (self.rule.reply.is_none() || facts.chat)
            && self.rule.fault.as_ref().is_none_or(|fault| fault.applies(facts.stream))
            && when.stream.is_none_or(|stream| stream == facts.stream)
            && self.model.as_ref().is_none_or(|glob| glob.matches(facts.model))
            && self.path.as_ref().is_none_or(|glob| glob.matches(facts.path))
            && when.text.as_deref().is_none_or(|text| facts.text.contains(text))
            && self.headers.iter().all(|(name, value)| facts.headers.get(name) == Some(value))
    }

    /// Count a request for which the conditions hold: whether count and chance are for it.
    fn sees(&self, seed: u64, place: usize) -> bool {
        let rule = &self.rule;
        let count = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        rule.when.nth.is_none_or(|nth| nth == count)
            && rule.every.is_none_or(|every| count.is_multiple_of(every))
            && rule.probability.is_none_or(|probability| {
                Draw::new(seed ^ (place as u64).rotate_left(48), Purpose::Chance, count).unit() < probability
            })
    }

    /// Use the rule for a request, unless it is used up: how often it was used before.
    fn take(&self) -> Option<u64> {
        let times = self.rule.times.unwrap_or(u64::MAX);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| (used < times).then_some(used + 1))
            .ok()
    }
}

fn check(rule: &Rule, name: &str) -> Result<(), Error> {
    let wrong = |field: &str, problem: &str| Err(Error::config(format!("{name}.{field}"), problem));
    if rule.probability.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
        return wrong("probability", "must be from 0 to 1");
    }
    if rule.every == Some(0) || rule.when.nth == Some(0) {
        return wrong(if rule.every == Some(0) { "every" } else { "when.nth" }, "counts from 1");
    }
    if let Some(latency) = rule.latency_ms {
        latency.check(&format!("{name}.latency_ms"))?;
    }
    check_rate(rule.tokens_per_second, &format!("{name}.tokens_per_second"))?;
    if let Some(reply) = &rule.reply {
        check_reply(reply, &format!("{name}.reply"))?;
    }
    match &rule.fault {
        Some(Fault::Refuse(_)) if rule.when != (Match { nth: rule.when.nth, ..Match::default() }) => {
            wrong("when", "a refusal comes before any request is read: only `nth` can be a condition")
        }
        Some(Fault::Refuse(_)) if rule.reply.is_some() => wrong("reply", "nothing is sent when refused"),
        Some(Fault::Status(fault)) if !(400..=999).contains(&fault.status) => {
            wrong("fault.status", "must be from 400 to 999")
        }
        Some(Fault::Status(fault)) => match &fault.retry_after {
            Some(RetryAfter::Text(text)) if HeaderValue::from_str(text).is_err() => {
                wrong("fault.retry_after", "cannot be a header")
            }
            Some(RetryAfter::Date { date_in_s }) if *date_in_s > 1 << 32 => {
                wrong("fault.retry_after", "is beyond the dates that HTTP can write")
            }
            _ => Ok(()),
        },
        Some(Fault::Redirect(fault))
            if !StatusCode::from_u16(fault.status).is_ok_and(|status| status.is_redirection()) =>
        {
            wrong("fault.status", "must be from 300 to 399")
        }
        Some(Fault::Redirect(fault)) if HeaderValue::from_str(&fault.to).is_err() => {
            wrong("fault.to", "cannot be a header")
        }
        _ => Ok(()),
    }
}

fn check_reply(reply: &Reply, name: &str) -> Result<(), Error> {
    let texts = usize::from(reply.text.is_some()) + usize::from(reply.output_tokens.is_some());
    if texts > 1 {
        return Err(Error::config(name, "has both `text` and `output_tokens`"));
    }
    if reply.refusal.is_some() && (texts > 0 || !reply.tool_calls.is_empty()) {
        return Err(Error::config(name, "has a `refusal` beside another reply"));
    }
    if reply.output_tokens.is_some_and(|tokens| tokens > 1 << 24) {
        return Err(Error::config(format!("{name}.output_tokens"), "must be at most 16777216"));
    }
    if matches!(&reply.text, Some(Text::Cycle(texts)) if texts.is_empty()) {
        return Err(Error::config(format!("{name}.text"), "must not be an empty list"));
    }
    if reply.tool_calls.iter().any(|call| call.name.is_empty()) {
        return Err(Error::config(format!("{name}.tool_calls"), "every call needs a `name`"));
    }
    Ok(())
}
