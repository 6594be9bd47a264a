//! A reply on its way in.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use tokio::time::timeout_at;

use super::failure::{Billing, Failure, Retry, connection};
use super::http::Deadlines;
use super::retry::retry_after;
use crate::Error;
use crate::clock::{calendar_now, now};
use crate::config::Target;
use crate::error::TimeoutPhase;
use crate::provider::WireFormat;

/// The largest reply body that is read into memory.
const MOST_REPLY_BYTES: usize = 64 * 1024 * 1024;
/// How much of an error body is kept.
const MOST_ERROR_BYTES: usize = 64 * 1024;
/// The end of a body comes with the end of what it holds, or at once after it.
const END_OF_BODY: Duration = Duration::from_millis(50);

/// A reply whose headers are in and whose body is not read.
#[derive(Debug)]
pub(crate) struct Exchange {
    upstream: String,
    format: WireFormat,
    response: Response,
    deadlines: Deadlines,
    /// A piece of the body has come.
    begun: bool,
}

impl Exchange {
    /// Of a reply whose headers have come, if they say that it succeeded.
    pub(super) async fn begin(
        target: &Target,
        response: Response,
        deadlines: Deadlines,
    ) -> Result<Self, Failure> {
        let (upstream, format) = (target.name.to_string(), target.provider.format);
        let exchange = Self { upstream, format, response, deadlines, begun: false };
        if exchange.response.status().is_success() {
            Ok(exchange)
        } else {
            Err(exchange.into_failure().await)
        }
    }

    fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call goes on where this one was.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        // A stream's headers may come long before its first event.
        let (phase, timeout) = if self.begun {
            (TimeoutPhase::Idle, self.deadlines.timeouts.idle)
        } else {
            (TimeoutPhase::FirstByte, self.deadlines.timeouts.first_byte)
        };
        match timeout_at(self.deadlines.phase(timeout), self.response.chunk()).await {
            Ok(Ok(piece)) => {
                self.begun = true;
                Ok(piece)
            }
            Ok(Err(error)) => {
                let error = connection(&self.upstream, "the reply broke off", error);
                Err(Failure::in_doubt(error, Retry::After(None)))
            }
            Err(_) => {
                let error = self.deadlines.passed(&self.upstream, phase, timeout);
                Err(Failure::in_doubt(error, Retry::Elsewhere))
            }
        }
    }

    /// Read past the end of a reply that is complete, so that its connection can be used again.
    pub(crate) async fn drain(mut self) {
        let end = async { while let Ok(Some(_)) = self.response.chunk().await {} };
        // A connection that goes on for longer is not worth the wait.
        drop(timeout_at(now() + END_OF_BODY, end).await);
    }

    /// The whole body.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Failure> {
        let Some(first) = self.piece().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.piece().await? else { return Ok(first) };
        let mut body = BytesMut::with_capacity((first.len() + second.len()) * 2);
        body.extend_from_slice(&first);
        body.extend_from_slice(&second);
        while let Some(piece) = self.piece().await? {
            if body.len() + piece.len() > MOST_REPLY_BYTES {
                let error =
                    self.malformed(format!("its body is larger than {MOST_REPLY_BYTES} bytes"), Bytes::new());
                return Err(Failure::in_doubt(error, Retry::Never));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// A reply that succeeded by its status and is none by its body.
    pub(crate) fn malformed(&self, message: String, body: Bytes) -> Error {
        Error::UpstreamStatus {
            upstream: self.upstream.clone(),
            status: self.status(),
            message,
            body: kept(body),
        }
    }

    async fn into_failure(mut self) -> Failure {
        let status = self.status();
        let asked = retry_after(self.response.headers(), calendar_now());
        let mut body = BytesMut::new();
        // What of an error body cannot be read is not worth another error.
        while let Ok(Some(piece)) = self.piece().await {
            body.extend_from_slice(&piece[..piece.len().min(MOST_ERROR_BYTES - body.len())]);
            if body.len() == MOST_ERROR_BYTES {
                break;
            }
        }
        let body = body.freeze();
        let told = self.format.error(&body);
        let message = told.message.unwrap_or_else(|| "no message".to_owned());
        let retry = match status {
            // A quota that is used up is not there again a moment later.
            429 if told.out_of_quota => Retry::Elsewhere,
            429 => Retry::Throttled(asked),
            408 | 409 | 425 | 500..=599 => Retry::After(asked),
            // Another upstream has another address, other keys, models and rules.
            300..=399 | 401 | 403 | 404 => Retry::Elsewhere,
            _ if told.too_long => Retry::Longer,
            _ => Retry::Never,
        };
        let upstream = self.upstream;
        let error = if status == 429 {
            let message = format!("{upstream} answered 429: {message}");
            Error::RateLimited {
                message,
                retry_after: asked,
                upstream: Some(upstream),
                out_of_quota: told.out_of_quota,
            }
        } else {
            Error::UpstreamStatus { upstream, status, message, body }
        };
        Failure { error, billing: Billing::Free, retry }
    }
}

fn kept(body: Bytes) -> Bytes {
    if body.len() > MOST_ERROR_BYTES { Bytes::copy_from_slice(&body[..MOST_ERROR_BYTES]) } else { body }
}
