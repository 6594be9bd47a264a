//! Counters of what was received, served and injected.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::Serialize;
use tokio::sync::Notify;

/// What a simulator has done since it started or was last reset; gauges (`connections_open`, `in_progress`) stand.
///
/// Tokens count as served by what a provider would bill: input when a request is accepted for generating, the output of
/// a plain reply whether or not the client waited for it, and of a stream the chunks written to the socket. A refused
/// request (an error, or a fault that refuses) counts no tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted.
    pub connections_opened: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Connections closed as soon as they were accepted, by rule.
    pub connections_refused: u64,
    /// Requests received.
    pub requests: u64,
    /// Requests being answered now: from the head received to the last byte written, or the end of the connection.
    pub in_progress: u64,
    /// Most requests in progress at one time.
    pub max_in_progress: u64,
    /// Replies by status, counted when the head is made.
    pub by_status: BTreeMap<u16, u64>,
    /// Replies of success that were written whole.
    pub served: u64,
    /// Chat completions accepted for generating, streamed or not.
    pub chat_calls: u64,
    /// Streamed ones among them.
    pub stream_calls: u64,
    /// Embedding requests accepted.
    pub embedding_calls: u64,
    /// Vectors asked for by them.
    pub embeddings: u64,
    /// Streams whose client left before their end.
    pub streams_cut: u64,
    /// Plain replies whose client left before they were written.
    pub replies_abandoned: u64,
    /// Input tokens, cached ones and those of embeddings included.
    pub input_tokens: u64,
    /// Input tokens that came from a cache.
    pub cached_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Output tokens that were reasoning.
    pub reasoning_tokens: u64,
    /// Faults injected, by kind.
    pub faults: BTreeMap<String, u64>,
    /// The same by the model's name in the request.
    pub by_model: BTreeMap<String, ModelStats>,
}

/// What was served of one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelStats {
    /// Requests accepted for generating.
    pub calls: u64,
    /// As in [`Stats`].
    pub input_tokens: u64,
    /// As in [`Stats`].
    pub cached_tokens: u64,
    /// As in [`Stats`].
    pub output_tokens: u64,
    /// As in [`Stats`].
    pub reasoning_tokens: u64,
}

/// Tokens of one reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    /// Written to the cache, for however long.
    pub(crate) written: u64,
    pub(crate) written_1h: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

/// Tokens served.
#[derive(Default)]
pub(crate) struct TokenCounters {
    calls: AtomicU64,
    input: AtomicU64,
    cached: AtomicU64,
    output: AtomicU64,
    reasoning: AtomicU64,
}

impl TokenCounters {
    pub(crate) fn add_call(&self, usage: Usage) {
        self.calls.fetch_add(1, Relaxed);
        self.input.fetch_add(usage.input, Relaxed);
        self.cached.fetch_add(usage.cached, Relaxed);
    }

    pub(crate) fn add_output(&self, output: u64, reasoning: u64) {
        self.output.fetch_add(output, Relaxed);
        self.reasoning.fetch_add(reasoning, Relaxed);
    }

    fn snapshot(&self) -> ModelStats {
        ModelStats {
            calls: self.calls.load(Relaxed),
            input_tokens: self.input.load(Relaxed),
            cached_tokens: self.cached.load(Relaxed),
            output_tokens: self.output.load(Relaxed),
            reasoning_tokens: self.reasoning.load(Relaxed),
        }
    }

    fn reset(&self) {
        for counter in [&self.calls, &self.input, &self.cached, &self.output, &self.reasoning] {
            counter.store(0, Relaxed);
        }
    }
}

/// The live counters behind [`Stats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections_opened: AtomicU64,
    pub(crate) connections_open: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) requests: AtomicU64,
    in_progress: AtomicU64,
    max_in_progress: AtomicU64,
    pub(crate) served: AtomicU64,
    pub(crate) chat_calls: AtomicU64,
    pub(crate) stream_calls: AtomicU64,
    pub(crate) embedding_calls: AtomicU64,
    pub(crate) embeddings: AtomicU64,
    pub(crate) streams_cut: AtomicU64,
    pub(crate) replies_abandoned: AtomicU64,
    pub(crate) tokens: TokenCounters,
    ok: AtomicU64,
    /// Statuses other than 200, which is worth a counter without a lock.
    statuses: Mutex<BTreeMap<u16, u64>>,
    faults: Mutex<BTreeMap<&'static str, u64>>,
    models: RwLock<HashMap<String, Arc<TokenCounters>>>,
    quiet: Notify,
}

impl Counters {
    /// Count a request in.
    pub(crate) fn begin(&self) {
        self.requests.fetch_add(1, Relaxed);
        let now = self.in_progress.fetch_add(1, Relaxed) + 1;
        if now > self.max_in_progress.load(Relaxed) {
            self.max_in_progress.fetch_max(now, Relaxed);
        }
    }

    /// Count a request out, after all else about it was counted.
    pub(crate) fn end(&self) {
        // Release, with the acquire in `quiet`: who sees zero sees what was counted before.
        if self.in_progress.fetch_sub(1, std::sync::atomic::Ordering::AcqRel) == 1 {
            self.quiet.notify_waiters();
        }
    }

    /// Wait until nothing is in progress.
    pub(crate) async fn quiet(&self) {
        loop {
            let woken = self.quiet.notified();
            tokio::pin!(woken);
            // Listen before looking, or the last end could fall between.
            woken.as_mut().enable();
            if self.in_progress.load(std::sync::atomic::Ordering::Acquire) == 0 {
                return;
            }
            woken.await;
        }
    }

    pub(crate) fn add_status(&self, status: u16) {
        if status == 200 {
            self.ok.fetch_add(1, Relaxed);
        } else {
            *self.statuses.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
        }
    }

    pub(crate) fn add_fault(&self, kind: &'static str) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }

    pub(crate) fn model(&self, name: &str) -> Arc<TokenCounters> {
        if let Some(known) = self.models.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(known);
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(models.entry(name.to_owned()).or_default())
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let tokens = self.tokens.snapshot();
        let mut by_status = self.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ok = self.ok.load(Relaxed);
        if ok > 0 {
            by_status.insert(200, ok);
        }
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        Stats {
            connections_opened: self.connections_opened.load(Relaxed),
            connections_open: self.connections_open.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
            requests: self.requests.load(Relaxed),
            in_progress: self.in_progress.load(Relaxed),
            max_in_progress: self.max_in_progress.load(Relaxed),
            by_status,
            served: self.served.load(Relaxed),
            chat_calls: self.chat_calls.load(Relaxed),
            stream_calls: self.stream_calls.load(Relaxed),
            embedding_calls: self.embedding_calls.load(Relaxed),
            embeddings: self.embeddings.load(Relaxed),
            streams_cut: self.streams_cut.load(Relaxed),
            replies_abandoned: self.replies_abandoned.load(Relaxed),
            input_tokens: tokens.input_tokens,
            cached_tokens: tokens.cached_tokens,
            output_tokens: tokens.output_tokens,
            reasoning_tokens: tokens.reasoning_tokens,
            faults: faults.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect(),
            by_model: models.iter().map(|(name, counters)| (name.clone(), counters.snapshot())).collect(),
        }
    }

    /// Zero everything but the gauges.
    pub(crate) fn reset(&self) {
        for counter in [
            &self.connections_opened,
            &self.connections_refused,
            &self.requests,
            &self.served,
            &self.chat_calls,
            &self.stream_calls,
            &self.embedding_calls,
            &self.embeddings,
            &self.streams_cut,
            &self.replies_abandoned,
            &self.ok,
        ] {
            counter.store(0, Relaxed);
        }
        self.max_in_progress.store(self.in_progress.load(Relaxed), Relaxed);
        self.tokens.reset();
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.models.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
