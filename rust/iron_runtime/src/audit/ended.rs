//! A call that has ended, and the records that are made of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use iron_protocol::{ErrorCode, NanoUsd, RequestId};
use serde_json::{Map, Value};

use super::body::{By, Call, Finding, Of, Refusal};
use super::chain::Chain;
use super::content::{self, Prompt};
use super::digest::Key;
use crate::call::{Settlement, Usage};
use crate::config::AuditContent;
use crate::event::Operation;
use crate::policy::Told;
use crate::run::Who;

/// The names of [`Usage::counts`], in its order.
const COUNTS: [&str; 13] = [
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "audio_output_tokens",
    "image_output_tokens",
    "web_searches",
    "file_searches",
    "code_executions",
];

/// How a call ended.
#[derive(Debug)]
pub(super) enum Ending {
    Answered(Usage),
    /// An upstream, or we, failed.
    Failed(ErrorCode),
    /// A rule, a budget or a limit of ours refused it, or its reply.
    Refused(ErrorCode, Option<By>),
    /// Nobody waited for it any more.
    Cancelled,
}

/// A call that has ended.
pub(super) struct Ended {
    pub(super) at: SystemTime,
    pub(super) request_id: RequestId,
    pub(super) who: Arc<Who>,
    pub(super) config: Arc<str>,
    pub(super) operation: Operation,
    pub(super) model: String,
    pub(super) ending: Ending,
    pub(super) upstream: Option<Arc<str>>,
    pub(super) attempts: u32,
    pub(super) cost: NanoUsd,
    pub(super) settlement: Settlement,
    pub(super) duration: Duration,
    pub(super) findings: Vec<Told>,
    pub(super) content: AuditContent,
    pub(super) prompt: Option<Prompt>,
    pub(super) reply: Option<Bytes>,
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the content.
        f.debug_struct("Ended").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

impl Ended {
    /// Append a record for each decision, and one for the call.
    pub(super) fn write(&self, chain: &mut Chain, key: &Key) {
        let of = Of {
            request_id: self.request_id.to_string(),
            agent: self.who.agent.as_deref(),
            tags: self.who.tags.iter().map(|tag| &**tag).collect(),
            config: &self.config,
        };
        for finding in findings(&of, &self.findings) {
            chain.append(self.at, &finding);
        }
        let (outcome, code) = match &self.ending {
            Ending::Answered(_) => ("answered", None),
            Ending::Failed(code) => ("failed", Some(*code)),
            Ending::Refused(code, by) => {
                if let Some(by) = by {
                    chain.append(self.at, &Refusal { of: &of, code: code.as_str(), by });
                }
                ("refused", Some(*code))
            }
            Ending::Cancelled => ("cancelled", None),
        };
        let usage = match &self.ending {
            Ending::Answered(usage) => Some(counts(usage)),
            _ => None,
        };
        let content = |json: Option<Vec<u8>>| json.and_then(|json| content::of(json, self.content, key));
        let call = Call {
            of: &of,
            operation: self.operation.as_str(),
            model: &self.model,
            outcome,
            code: code.map(ErrorCode::as_str),
            upstream: self.upstream.as_deref(),
            attempts: self.attempts,
            cost_usd: self.cost,
            settlement: (self.attempts > 0).then(|| self.settlement.as_str()),
            usage,
            duration_ms: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            prompt: content(self.prompt.as_ref().map(Prompt::json)),
            reply: content(self.reply.as_deref().and_then(content::messages)),
        };
        chain.append(self.at, &call);
    }
}

/// Equal decisions as one, with how many there were.
fn findings<'c>(of: &'c Of<'c>, told: &'c [Told]) -> impl Iterator<Item = Finding<'c>> {
    let mut equal = BTreeMap::<_, (f32, u64)>::new();
    for Told { entity, direction, action, rule, score } in told {
        let key = (&**rule, *direction as usize, entity.to_string(), *action);
        let (highest, count) = equal.entry(key).or_default();
        *highest = highest.max(*score);
        *count += 1;
    }
    equal.into_iter().map(move |((rule, direction, entity, action), (score, count))| Finding {
        of,
        direction: crate::policy::Direction::ALL[direction].as_str(),
        entity,
        action: action.as_str(),
        rule,
        score,
        count,
    })
}

/// What there was of anything.
fn counts(usage: &Usage) -> Map<String, Value> {
    let counts = COUNTS.iter().zip(usage.counts()).filter(|(_, count)| *count > 0);
    counts.map(|(name, count)| ((*name).to_owned(), count.into())).collect()
}
