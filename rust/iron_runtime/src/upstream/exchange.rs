//! A reply on its way in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use reqwest::Response;
use tokio::time::timeout_at;

use super::failure::{Billing, Failure, Retry, cause, connection};
use super::http::Deadlines;
use super::quota::used_up;
use super::quoted::{text_without_secrets, without_secrets};
use super::retry::retry_after;
use crate::Error;
use crate::clock::{Instant, calendar_now, now};
use crate::config::{Provider, Target};
use crate::error::TimeoutPhase;
use crate::provider::Told;

/// The largest reply body that is read into memory, decompressed.
const MOST_REPLY_BYTES: usize = 64 * 1024 * 1024;
/// How much of an error body is kept.
pub(super) const MOST_ERROR_BYTES: usize = 64 * 1024;
/// The end of a body comes with the end of what it holds, or at once after it.
const END_OF_BODY: Duration = Duration::from_millis(50);

/// A reply whose headers are in and whose body is not read.
#[derive(Debug)]
pub(crate) struct Exchange {
    upstream: Arc<str>,
    pub(super) provider: Arc<Provider>,
    pub(super) response: Response,
    deadlines: Deadlines,
    /// A part of the reply has come.
    begun: bool,
    /// How long has been waited for the headers, unless a part has come since.
    waited: Duration,
    /// Since when the next part is waited for, unless nobody waits.
    since: Option<Instant>,
    /// The most that the body may be, and how much of that has not come.
    pub(super) most: usize,
    pub(super) left: usize,
    /// Looked at, and not read.
    pub(super) ahead: VecDeque<Bytes>,
}

impl Exchange {
    /// Of a reply whose headers have come, so long after the request, if they say that it succeeded.
    pub(super) async fn begin(
        target: &Target,
        response: Response,
        deadlines: Deadlines,
        waited: Duration,
    ) -> Result<Self, Failure> {
        let exchange = Self {
            upstream: Arc::clone(&target.name),
            provider: Arc::clone(&target.provider),
            response,
            deadlines,
            begun: false,
            waited,
            since: None,
            most: MOST_REPLY_BYTES,
            left: MOST_REPLY_BYTES,
            ahead: VecDeque::new(),
        };
        match exchange.response.status() {
            // Nobody asked for a part, and a part is never taken for the whole.
            StatusCode::PARTIAL_CONTENT => Err(exchange.empty("it sent a part of a reply")),
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT => Err(exchange.empty("it sent no reply")),
            status if status.is_success() => Ok(exchange),
            _ => Err(exchange.into_failure().await),
        }
    }

    /// How long the provider would refuse every further request for, by what it says of its quota.
    pub(crate) fn full_for(&self) -> Option<Duration> {
        used_up(self.response.headers(), calendar_now)
    }

    fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// Whoever reads says by [`Exchange::progressed`] when there was a part of the reply in it: pieces that are none,
    /// such as a stream's comments, keep a connection alive and not a timeout.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call goes on where this one was.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        if let Some(piece) = self.ahead.pop_front() {
            return Ok(Some(piece));
        }
        // A body that comes without a pause must not keep a thread to itself.
        tokio::task::consume_budget().await;
        // A stream's headers may come long before its first event.
        let (phase, timeout) = if self.begun {
            (TimeoutPhase::Idle, self.deadlines.timeouts.idle)
        } else {
            (TimeoutPhase::FirstByte, self.deadlines.timeouts.first_byte)
        };
        let began = now();
        // Taken for as long as this waits: who stops waiting and comes back later begins anew.
        let since = self.since.take().unwrap_or_else(|| began.checked_sub(self.waited).unwrap_or(began));
        let until = self.deadlines.call.min(since + timeout);
        // A timer looks at what it bounds before it looks at the clock, and there may always be a piece.
        let piece = if began >= until { None } else { timeout_at(until, self.response.chunk()).await.ok() };
        self.since = Some(since);
        match piece {
            Some(Ok(Some(piece))) => match self.left.checked_sub(piece.len()) {
                Some(left) => {
                    self.left = left;
                    Ok(Some(piece))
                }
                None => Err(self.too_large()),
            },
            Some(Ok(None)) => Ok(None),
            Some(Err(error)) => Err(self.broken(error)),
            None => {
                let error = self.deadlines.passed(&self.upstream, phase, timeout);
                Err(Failure::in_doubt(error, Retry::Elsewhere))
            }
        }
    }

    /// A part of the reply has come: the wait for the next one begins.
    pub(crate) fn progressed(&mut self) {
        self.begun = true;
        self.waited = Duration::ZERO;
        self.since = None;
    }

    /// Read past the end of a reply that is complete, so that its connection can be used again.
    pub(crate) async fn drain(mut self) {
        let end = async {
            let mut left = MOST_ERROR_BYTES;
            while let Ok(Some(piece)) = self.response.chunk().await {
                let Some(rest) = left.checked_sub(piece.len()) else { break };
                left = rest;
            }
        };
        // A connection that goes on for longer is not worth the wait.
        drop(timeout_at(now() + END_OF_BODY, end).await);
    }

    /// The whole body.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Failure> {
        if self.response.content_length().is_some_and(|length| length > self.most as u64) {
            return Err(self.too_large());
        }
        let Some(first) = self.part().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.part().await? else { return Ok(first) };
        let mut body = BytesMut::with_capacity((first.len() + second.len()) * 2);
        body.extend_from_slice(&first);
        body.extend_from_slice(&second);
        while let Some(piece) = self.part().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// The next piece of a body of which every piece is a part of the reply.
    async fn part(&mut self) -> Result<Option<Bytes>, Failure> {
        let piece = self.piece().await?;
        self.progressed();
        Ok(piece)
    }

    /// A reply that succeeded by its status and is none by its body.
    pub(crate) fn malformed(&self, told: Told, body: Bytes) -> Error {
        let message = told.message.unwrap_or_else(|| "an error without a message".to_owned());
        let secrets = &self.provider.headers;
        Error::UpstreamStatus {
            upstream: self.upstream.to_string(),
            status: self.status(),
            meant: told.status,
            message: text_without_secrets(message, secrets),
            body: kept(without_secrets(body, secrets)),
        }
    }

    /// Such a reply, of which nothing has been delivered.
    pub(crate) fn no_reply(&self, told: Told, body: Bytes) -> Failure {
        let retry = match told.status.map(|status| retry(status, &told, None)) {
            // An error that passes is one wherever it is told.
            Some(passing @ (Retry::After(_) | Retry::Throttled(_))) => passing,
            // Whoever answered so once would do so again.
            _ => Retry::Elsewhere,
        };
        Failure::in_doubt(self.malformed(told, body), retry)
    }

    fn too_large(&self) -> Failure {
        self.empty(format!("its body is larger than {} bytes", self.most))
    }

    /// It succeeded by its status, and there is nothing in it.
    fn empty(&self, message: impl Into<String>) -> Failure {
        self.no_reply(Told::wrong(message), Bytes::new())
    }

    /// The body cannot be read to its end.
    fn broken(&self, error: reqwest::Error) -> Failure {
        if cause::<hyper::Error>(&error).is_none() {
            return self.empty("its body is compressed, and cannot be decompressed");
        }
        let error = connection(&self.upstream, "the reply broke off", error);
        Failure::in_doubt(error, Retry::After(None))
    }

    async fn into_failure(mut self) -> Failure {
        let status = self.status();
        let asked = retry_after(self.response.headers(), calendar_now()).or_else(|| self.full_for());
        let mut body = BytesMut::new();
        // What of an error body cannot be read is not worth another error.
        while let Ok(Some(piece)) = self.part().await {
            body.extend_from_slice(&piece[..piece.len().min(MOST_ERROR_BYTES - body.len())]);
            if body.len() == MOST_ERROR_BYTES {
                break;
            }
        }
        let body = without_secrets(body.freeze(), &self.provider.headers);
        let told = self.provider.format.error(&body);
        let retry = retry(status, &told, asked);
        let message = told.message.unwrap_or_else(|| "no message".to_owned());
        let message = text_without_secrets(message, &self.provider.headers);
        let upstream = self.upstream.to_string();
        let error = if status == 429 {
            let message = format!("{upstream} answered 429: {message}");
            Error::RateLimited {
                message,
                retry_after: asked,
                upstream: Some(upstream),
                out_of_quota: told.out_of_quota,
            }
        } else {
            Error::UpstreamStatus { upstream, status, meant: None, message, body }
        };
        Failure { error, billing: Billing::Free, retry }
    }
}

/// What may be done about a refusal with that status.
fn retry(status: u16, told: &Told, asked: Option<Duration>) -> Retry {
    match status {
        // A quota that is used up is not there again a moment later.
        429 if told.out_of_quota => Retry::Elsewhere,
        429 => Retry::Throttled(asked),
        408 | 409 | 425 | 500..=599 => Retry::After(asked),
        // Another upstream has another address, other keys, models and rules, and another account to pay from.
        300..=399 | 401 | 402 | 403 | 404 => Retry::Elsewhere,
        _ if told.too_long => Retry::Longer,
        _ => Retry::Never,
    }
}

fn kept(body: Bytes) -> Bytes {
    if body.len() > MOST_ERROR_BYTES { Bytes::copy_from_slice(&body[..MOST_ERROR_BYTES]) } else { body }
}
