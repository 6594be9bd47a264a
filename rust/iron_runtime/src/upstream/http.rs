//! The only HTTP client.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Request, Url};
use tokio::time::timeout_at;

use super::body::RequestBody;
use super::exchange::Exchange;
use super::failure::{Billing, Failure, Retry, send_failure};
use crate::Error;
use crate::budget::Sent;
use crate::clock::{Instant, now};
use crate::config::{Target, Timeouts};
use crate::error::TimeoutPhase;

/// Keep connections for reuse a little shorter than the minute after which most servers close them.
const IDLE_CONNECTION: Duration = Duration::from_secs(55);

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
        *request.body_mut() = Some(reqwest::Body::wrap(RequestBody::new(body, sent.clone())));
        let sent_at = now();
        let until = deadlines.call.min(sent_at + deadlines.timeouts.first_byte);
        let response = match timeout_at(until, self.client.execute(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(send_failure(upstream, error, &sent, &deadlines.timeouts)),
            Err(_) => {
                let error =
                    deadlines.passed(upstream, TimeoutPhase::FirstByte, deadlines.timeouts.first_byte);
                return Err(Failure { error, billing: Billing::of(&sent), retry: Retry::Elsewhere });
            }
        };
        Exchange::begin(target, response, deadlines, sent_at.elapsed()).await
    }
}

impl Deadlines {
    pub(super) fn passed(&self, upstream: &str, phase: TimeoutPhase, timeout: Duration) -> Error {
        let (phase, after) =
            if now() >= self.call { (TimeoutPhase::Total, self.total) } else { (phase, timeout) };
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        Error::UpstreamTimeout { upstream: upstream.to_owned(), phase, after_ms }
    }
}
