//! Detectors of the user's own: what they are asked, and what they may answer.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::{Entity, Finding};
use crate::Cause;
use crate::call::Text;
use crate::policy::Direction;

/// Labels are told in errors and records: none is longer.
const LONGEST_LABEL_BYTES: usize = 64;

/// A detector of the user's own, which rules name as `detector:NAME`.
///
/// It is asked before the rules of a call are, once for each text that such a rule speaks of, and may take its time: what
/// it waits for is not on the way of other calls.
pub trait Detector: Send + Sync {
    /// What the text holds.
    ///
    /// # Errors
    /// Whatever kept it from judging: the text is then refused.
    ///
    /// # Cancel safety
    /// Dropping the future, as a timeout and the end of the call do, gives the question up.
    fn inspect(&self, text: Text, direction: Direction) -> BoxFuture<'static, Result<Vec<Match>, Cause>>;
}

impl<F> Detector for F
where
    F: Fn(Text, Direction) -> BoxFuture<'static, Result<Vec<Match>, Cause>> + Send + Sync,
{
    fn inspect(&self, text: Text, direction: Direction) -> BoxFuture<'static, Result<Vec<Match>, Cause>> {
        self(text, direction)
    }
}

/// Something that a detector of the user's own found.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Its bytes in the text.
    pub span: Range<usize>,
    /// How sure that is, from 0 to 1.
    pub score: f32,
    /// What it is, where the detector tells several things apart: letters, digits, `_`, `-` and `.`, at most 64 of them.
    pub label: Option<Arc<str>>,
}

impl Match {
    /// The whole of a text.
    pub fn whole(text: &str, score: f32) -> Self {
        Self { span: 0..text.len(), score, label: None }
    }

    /// As a finding of `detector`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn found(self, detector: &Arc<str>, text: &str) -> Result<Finding, Fault> {
        let Self { span, score, label } = self;
        if span.is_empty() || text.get(span.clone()).is_none() {
            return Err(Fault::Span);
        }
        if !(0.0..=1.0).contains(&score) {
            return Err(Fault::Score);
        }
        if label.as_deref().is_some_and(|label| !is_label(label)) {
            return Err(Fault::Label);
        }
        let entity = Entity::Detector(detector.clone(), label);
        Ok(Finding { entity, span, score, reason: "a detector of your own".into() })
    }
}

/// Whether a detector or a label may have that name.
pub(crate) fn is_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=LONGEST_LABEL_BYTES).contains(&name.len()) && name.bytes().all(plain)
}

/// A detector's failure to judge a text, which is refused for it.
#[derive(Debug, thiserror::Error)]
#[error("detector {detector:?} {fault}: the {} is refused because nobody has judged it", direction.as_str().replace('_', " "))]
pub struct DetectorFault {
    /// Its name.
    pub detector: Arc<str>,
    /// Where the text would have gone.
    pub direction: Direction,
    /// What it did.
    pub fault: Fault,
    /// What it said of it.
    #[source]
    pub source: Option<Cause>,
}

/// What a detector did instead of judging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It failed.
    #[error("failed")]
    Failed,
    /// It took too long.
    #[error("took longer than {} ms (policy.detector_timeout_ms, or what was left of the call's time)", .0.as_millis())]
    TimedOut(Duration),
    /// It found something where the text has nothing.
    #[error("gave a span that is empty, outside of the text, or cuts a character")]
    Span,
    /// It gave a score that is none.
    #[error("gave a score that is not from 0 to 1")]
    Score,
    /// It gave a label that is none.
    #[error("gave a label that is not 1 to 64 letters, digits, \"_\", \"-\" and \".\"")]
    Label,
}
