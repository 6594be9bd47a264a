//! The form of a stream's events.

use crate::fault::{EndlessFault, Fault};

/// How events are written; the default is what OpenAI writes.
#[expect(clippy::struct_excessive_bools, reason = "each is a way of its own in which a form may differ")]
pub(crate) struct Form {
    pub(crate) line_end: &'static str,
    pub(crate) comments: bool,
    pub(crate) finish_reason: bool,
    pub(crate) done: bool,
    /// Before the first event.
    pub(crate) bom: bool,
    /// Events before the one that is wrong.
    pub(crate) malformed: Option<u64>,
    pub(crate) error: Option<u64>,
    /// The event that is wrong is named one.
    pub(crate) named: bool,
    /// Instead of the finish reason and all after it.
    pub(crate) endless: Option<EndlessFault>,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            line_end: "\n",
            comments: false,
            finish_reason: true,
            done: true,
            bom: false,
            malformed: None,
            error: None,
            named: false,
            endless: None,
        }
    }
}

impl Form {
    /// The form that `fault` gives to events, if it is one that is done to them.
    pub(crate) fn of(fault: &Fault) -> Self {
        let usual = Self::default();
        match fault {
            Fault::Crlf(_) => Self { line_end: "\r\n", ..usual },
            Fault::Comments(_) => Self { comments: true, ..usual },
            Fault::NoFinishReason(_) => Self { finish_reason: false, ..usual },
            Fault::NoDone(_) => Self { done: false, ..usual },
            Fault::Bom(_) => Self { bom: true, ..usual },
            Fault::MalformedEvent(event) => {
                Self { malformed: Some(event.after_chunks), named: event.named, ..usual }
            }
            Fault::ErrorEvent(event) => Self { error: Some(event.after_chunks), named: event.named, ..usual },
            Fault::Endless(endless) => Self { endless: Some(*endless), ..usual },
            _ => usual,
        }
    }
}
