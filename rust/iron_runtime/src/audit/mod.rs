//! The audit log: a record of each decision and of each call, each chained to the one before.
//!
//! A call takes a place in a bounded queue before anything is sent, and is refused where there is none, or where the log
//! cannot be written. At its end it hands over what was gathered of it; one thread encodes, chains and writes.

mod body;
mod chain;
mod content;
mod digest;
mod ended;
mod fault;
mod head;
mod log;
mod place;
mod queue;
mod read;
mod record;
mod trail;
mod verify;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use iron_protocol::RequestId;

pub(crate) use self::chain::{Options, Sync};
pub(crate) use self::content::Prompt;
pub use self::digest::{Digest, Key};
pub use self::fault::AuditFault;
pub use self::head::Head;
use self::log::Log;
pub use self::log::stop_all;
pub use self::read::{Line, Records};
pub use self::record::{Envelope, time};
use self::trail::Begun;
pub(crate) use self::trail::{Receipt, Sum, Trail};
pub use self::verify::{Problem, Verified, VerifiedChain, Wrong, verify};
use crate::Error;
use crate::config::{AuditPolicy, OnFailure};
use crate::event::Operation;
use crate::run::Who;

/// The calls of one client, as its configuration has them recorded.
#[derive(Debug)]
pub(crate) struct Auditor {
    log: Arc<Log>,
    policy: AuditPolicy,
}

impl Auditor {
    pub(crate) fn new(policy: &AuditPolicy) -> Result<Self, Error> {
        if let Some(missing) = &policy.missing_key {
            return Err(Error::config(missing.as_str()));
        }
        Ok(Self { log: Log::shared(policy.options.clone())?, policy: policy.clone() })
    }

    /// A place for a call; `None` where it goes unrecorded, as the configuration allows.
    ///
    /// # Errors
    /// The log cannot be written, or has no place.
    pub(crate) fn admit(
        &self,
        request_id: RequestId,
        operation: Operation,
        model: &str,
        who: &Arc<Who>,
    ) -> Result<Option<Trail>, AuditFault> {
        let AuditPolicy { content, on_failure, config, options, .. } = &self.policy;
        let entered = self.log.queue().and_then(|queue| match queue.fault() {
            Some(fault) if *on_failure == OnFailure::Block => Err(fault),
            _ => queue.enter(),
        });
        let missed = self.log.missed();
        match entered {
            Ok(place) => {
                let (waits, may_fail) = (options.sync == Sync::Always, *on_failure == OnFailure::Allow);
                let content = *content;
                let begun = Begun { request_id, operation, model, who, config, content, waits, may_fail };
                Ok(Some(Trail::new(place, &begun)))
            }
            Err(fault) if *on_failure == OnFailure::Block => {
                missed.refused.fetch_add(1, Ordering::Relaxed);
                Err(fault)
            }
            Err(_) => {
                missed.calls.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
        }
    }

    /// Wait until everything told so far is written, as far as it can be.
    pub(crate) async fn flush(&self) {
        self.log.flush().await;
    }
}
