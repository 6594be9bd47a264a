//! A running simulator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::record::RecordedRequest;
use crate::rule::Rule;
use crate::script::Script;
use crate::server;
use crate::service::Service;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::tasks::Tasks;

/// A running simulator. Dropping it stops it.
pub struct Simulator {
    address: SocketAddr,
    service: Arc<Service>,
    tasks: Tasks,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Listen, and serve on the tokio runtime that this is called on.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names a setting that cannot be obeyed; [`Error::Bind`] an address that cannot be listened on.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind if the future is dropped.
    #[expect(clippy::unused_async, reason = "it needs a runtime, and `async` says so to its callers")]
    pub async fn start(mut settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let script = Script::new(std::mem::take(&mut settings.rules))?;
        let failed = |source| Error::Bind { address: settings.bind, source };
        let listener = server::listen(settings.bind).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let service = Arc::new(Service::new(settings, script));
        let tasks = Tasks::new();
        let accept = server::accept(listener, Arc::clone(&service), tasks.spawner());
        tasks.spawner().spawn(accept);
        Ok(Self { address, service, tasks })
    }

    /// What a client takes as its base URL: `http://127.0.0.1:PORT/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The address listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was received, served and injected so far.
    pub fn stats(&self) -> Stats {
        self.service.counters.snapshot()
    }

    /// The last requests, oldest first; at most `record_limit`.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.service.journal.requests()
    }

    /// Put other rules in force, none of them used yet. Requests that have their reply planned keep it.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names a value that cannot be obeyed; the rules in force stay.
    pub fn set_rules(&self, rules: Vec<Rule>) -> Result<(), Error> {
        self.service.set_script(Script::new(rules)?);
        Ok(())
    }

    /// Zero the counters, forget the recorded requests and how often rules were used, and start the sequence of
    /// requests again.
    pub fn reset(&self) {
        self.service.reset();
    }

    /// Wait until no request is in progress: whether that came within the time given.
    ///
    /// After it the counters hold all that was received. A request still on its way here is not seen.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only looks.
    pub async fn quiet(&self, within: Duration) -> bool {
        tokio::time::timeout(within, self.service.counters.quiet()).await.is_ok()
    }

    /// Stop listening, drop every connection where it stands, and wait until that is done.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped the simulator stops all the same.
    pub async fn shutdown(self) {
        self.tasks.stopped().await;
    }
}
