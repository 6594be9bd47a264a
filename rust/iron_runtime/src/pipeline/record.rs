//! The record of a call: made at its end, however that comes, and once.

use bytes::Bytes;

use super::Call;
use crate::Error;
use crate::audit::{Prompt, Receipt, Sum, Trail};
use crate::call::Settlement;

impl Call {
    /// Note what is asked, as the policies left it. What they refuse is not noted.
    pub(super) fn note(&mut self, prompt: impl FnOnce() -> Prompt) {
        if let Some(trail) = self.watch.trail.as_mut().filter(|trail| trail.wants_content()) {
            trail.prompt(prompt());
        }
    }

    /// Whether what is said is to be noted.
    pub(crate) fn is_noted(&self) -> bool {
        self.watch.trail.as_ref().is_some_and(Trail::wants_content)
    }

    /// Note what is said, as it is handed over.
    pub(crate) fn note_reply(&mut self, body: Bytes) {
        if let Some(trail) = &mut self.watch.trail {
            trail.reply(body);
        }
    }

    /// Hand over the record of the call, which has ended.
    pub(crate) fn record(&mut self) -> Option<Receipt> {
        let trail = self.watch.trail.take()?;
        let bill = self.watch.bill();
        trail.end(&Sum {
            attempts: self.watch.attempts(),
            cost: bill.cost(),
            settlement: if bill.is_in_doubt() { Settlement::InDoubt } else { self.settlement },
            duration: self.began.elapsed(),
            findings: &self.findings,
        })
    }

    /// Record the call, and hand over its outcome once that is done as the configuration asks.
    pub(super) async fn recorded<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        let written = match self.record() {
            Some(mut receipt) => receipt.written().await,
            None => Ok(()),
        };
        // Why a call failed says more than that it is not recorded yet.
        let reply = outcome?;
        written.map_err(Error::Audit).map(|()| reply)
    }
}
