//! The engine: what all calls of one client share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use tokio_util::task::TaskTracker;

use crate::Error;
use crate::audit::Auditor;
use crate::budget::{Budget, Ledger};
use crate::config::Config;
use crate::extension::Extensions;
use crate::limit::Limits;
use crate::output::Form;
use crate::policy::History;
use crate::route::Route;
use crate::schema::Cache;
use crate::upstream::{Http, Pool};
use crate::watch::Watchers;

/// What all calls of one client share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) extensions: Extensions,
    /// Made by the first call that a policy holds; `None` if it is to remember nothing.
    pub(crate) history: OnceLock<Option<History>>,
    pub(crate) http: Http,
    /// What requests ask of their replies.
    pub(crate) forms: Cache<Option<Form>>,
    pub(crate) limits: Limits,
    pub(crate) pool: Pool,
    pub(crate) ledger: Ledger,
    pub(crate) budget: Option<Budget>,
    pub(crate) auditor: Option<Auditor>,
    pub(crate) in_flight: TaskTracker,
    pub(crate) closed: AtomicBool,
    pub(crate) watchers: Arc<Watchers>,
}

impl Engine {
    /// What has been judged, unless nothing is to be remembered.
    pub(super) fn history(&self) -> Option<&History> {
        let bytes = self.config.history_bytes;
        self.history.get_or_init(|| (bytes > 0).then(|| History::new(bytes))).as_ref()
    }

    /// The route of a model, or of the one that calls without a model mean.
    pub(crate) fn route(&self, model: &str) -> Result<Arc<Route>, Error> {
        self.config.routes.resolve(self.config.model(model))
    }
}
