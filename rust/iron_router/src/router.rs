//! A running router.

use std::net::SocketAddr;
use std::time::Duration;

use iron_runtime::budget::Ledger;
use iron_runtime::config::RouterConfig;
use iron_runtime::{Client, Error};

use crate::app::{self, State};
use crate::auth::Tokens;
use crate::body::Bounds;
use crate::server::{self, Limits};
use crate::tasks::Tasks;

/// A server for programs that speak to a provider by HTTP: their calls are governed as those of the client. Dropping it
/// stops it.
#[derive(Debug)]
pub struct Router {
    address: SocketAddr,
    client: Client,
    drain: Duration,
    tasks: Tasks,
}

impl Router {
    /// Listen, and serve on the tokio runtime that this is called on.
    ///
    /// # Errors
    /// [`Error::Config`] if the address cannot be listened on, [`Error::Ledger`] if the ledger file of a token's budget
    /// cannot be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Nothing is left behind if the future is dropped.
    #[expect(clippy::unused_async, reason = "it needs a runtime, and `async` says so to its callers")]
    pub async fn start(config: &RouterConfig, client: Client, ledger: &Ledger) -> Result<Self, Error> {
        let tokens = Tokens::new(config, ledger)?;
        let wrong =
            |error| Error::config(format!("router.listen: cannot listen on {}: {error}", config.listen));
        let listener = server::listen(config.listen).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let body = Bounds { bytes: config.max_body_bytes, time: config.body_timeout };
        let app = app::app(State::new(client.clone(), tokens, body));
        let limits = Limits { connections: config.max_connections, header_timeout: config.header_timeout };
        let tasks = Tasks::default();
        tasks.spawn(server::accept(listener, app, limits, tasks.clone()));
        Ok(Self { address, client, drain: config.drain, tasks })
    }

    /// The address listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What OpenAI's clients take as their base URL: `http://127.0.0.1:8080/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Take no more requests, let those under way end for as long as the configuration says, and stop: whether all of
    /// them had ended. What is cut is settled as a call whose caller has left.
    ///
    /// # Cancel safety
    /// The router stops at once if the future is dropped.
    pub async fn shutdown(self) -> bool {
        let ended = self.tasks.drained(self.drain).await;
        self.client.close();
        self.client.drained().await;
        ended
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}
