//! The only HTTP client.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use reqwest::{Request, Response, Url};
use tokio::time::timeout_at;

use super::failure::{Billing, Failure, Retry};
use super::retry::retry_after;
use crate::budget::Sent;
use crate::clock::{Instant, calendar_now, now};
use crate::config::{Target, Timeouts};
use crate::error::TimeoutPhase;
use crate::provider::WireFormat;
use crate::{Cause, Error};

/// The largest reply body that is read into memory.
const MOST_REPLY_BYTES: usize = 64 * 1024 * 1024;
/// How much of an error body is kept.
const MOST_ERROR_BYTES: usize = 64 * 1024;
/// Keep connections for reuse a little shorter than the minute after which most servers close them.
const IDLE_CONNECTION: Duration = Duration::from_secs(55);

/// The end of a body comes with the end of what it holds, or at once after it.
const END_OF_BODY: Duration = Duration::from_millis(50);

/// A pool of connections.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
}

/// When to give up on one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    pub(crate) timeouts: Timeouts,
    /// The whole call's own bound, which began earlier.
    pub(crate) total: Duration,
    pub(crate) call: Instant,
}

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

/// A body that marks the moment when the connection takes it, and is not given once nobody pays for it.
struct RequestBody {
    bytes: Option<Bytes>,
    sent: Sent,
}

#[derive(Debug, thiserror::Error)]
#[error("the call has ended")]
struct CallEnded;

impl Body for RequestBody {
    type Data = Bytes;
    type Error = CallEnded;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallEnded>>> {
        if !self.sent.mark() {
            return Poll::Ready(Some(Err(CallEnded)));
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

impl Http {
    /// Build the pool.
    ///
    /// # Errors
    /// [`Error::Config`] if TLS or the system's proxy settings cannot be set up.
    #[expect(clippy::disallowed_methods, reason = "this is where the client is built")]
    pub(crate) fn new(timeouts: &Timeouts) -> Result<Self, Error> {
        // Another part of the process may have chosen a provider already; then that one stands.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .user_agent(concat!("iron-sdk/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            .pool_idle_timeout(IDLE_CONNECTION)
            .tcp_nodelay(true)
            // A redirect could carry the key to another host.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::config(format!("the HTTP client cannot be set up: {error}")))?;
        Ok(Self { client })
    }

    /// Send one request; ready when the reply's headers say that it succeeded.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection if the request is on its way.
    pub(crate) async fn post(
        &self,
        target: &Target,
        url: Url,
        body: Bytes,
        sent: Sent,
        deadlines: Deadlines,
    ) -> Result<Exchange, Failure> {
        let upstream = &*target.name;
        // A timer looks at what it bounds before it looks at the clock.
        if now() >= deadlines.call {
            let error = deadlines.passed(upstream, TimeoutPhase::Total, deadlines.total);
            return Err(Failure::unsent(error));
        }
        let mut request = Request::new(Method::POST, url);
        request.headers_mut().clone_from(&target.provider.headers);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() =
            Some(reqwest::Body::wrap(RequestBody { bytes: Some(body), sent: sent.clone() }));
        let until = deadlines.phase(deadlines.timeouts.first_byte);
        let response = match timeout_at(until, self.client.execute(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(send_failure(upstream, error, &sent, &deadlines.timeouts)),
            Err(_) => {
                let error =
                    deadlines.passed(upstream, TimeoutPhase::FirstByte, deadlines.timeouts.first_byte);
                return Err(Failure { error, billing: Billing::of(&sent), retry: Retry::Elsewhere });
            }
        };
        let format = target.provider.format;
        let exchange = Exchange { upstream: upstream.to_owned(), format, response, deadlines, begun: false };
        if exchange.response.status().is_success() {
            Ok(exchange)
        } else {
            Err(exchange.into_failure().await)
        }
    }
}

impl Deadlines {
    fn phase(&self, timeout: Duration) -> Instant {
        self.call.min(now() + timeout)
    }

    fn passed(&self, upstream: &str, phase: TimeoutPhase, timeout: Duration) -> Error {
        let (phase, after) =
            if now() >= self.call { (TimeoutPhase::Total, self.total) } else { (phase, timeout) };
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        Error::UpstreamTimeout { upstream: upstream.to_owned(), phase, after_ms }
    }
}

impl Exchange {
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
            408 | 409 | 425 | 429 | 500..=599 => Retry::After(asked),
            // Another upstream has another address, other keys, models and rules.
            300..=399 | 401 | 403 | 404 => Retry::Elsewhere,
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

fn send_failure(upstream: &str, error: reqwest::Error, sent: &Sent, timeouts: &Timeouts) -> Failure {
    if error.is_connect() {
        let error = if error.is_timeout() {
            let after_ms = u64::try_from(timeouts.connect.as_millis()).unwrap_or(u64::MAX);
            Error::UpstreamTimeout { upstream: upstream.to_owned(), phase: TimeoutPhase::Connect, after_ms }
        } else {
            connection(upstream, "could not connect", error)
        };
        return Failure { error, billing: Billing::Free, retry: Retry::After(None) };
    }
    if error.is_builder() {
        return Failure::unsent(connection(upstream, "the request could not be built", error));
    }
    let error = connection(upstream, "the connection broke before the reply", error);
    Failure { error, billing: Billing::of(sent), retry: Retry::After(None) }
}

fn connection(upstream: &str, what: &'static str, error: reqwest::Error) -> Error {
    // Without the URL: it may hold what a user put into a query.
    let source: Cause = Box::new(error.without_url());
    Error::UpstreamConnection { upstream: upstream.to_owned(), what, source: Some(source) }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn frame(body: &mut RequestBody) -> Option<Result<Bytes, CallEnded>> {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).now_or_never().unwrap();
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    #[test]
    fn a_request_leaves_only_while_somebody_pays_for_it() {
        let sent = Sent::default();
        let mut body = RequestBody { bytes: Some(Bytes::from_static(b"{}")), sent: sent.clone() };
        assert_eq!(Billing::of(&sent), Billing::Free);
        assert!(frame(&mut body).unwrap().is_err(), "the call has ended for free");

        let sent = Sent::default();
        let mut body = RequestBody { bytes: Some(Bytes::from_static(b"{}")), sent: sent.clone() };
        assert_eq!(frame(&mut body).unwrap().unwrap(), "{}");
        assert_eq!(Billing::of(&sent), Billing::InDoubt);
        assert!(frame(&mut body).is_none());
    }
}
