//! What is expected of each fault of the simulator.

use iron_protocol::ErrorCode;
use iron_simulator::{At, EventFault, Fault, StatusFault};

use super::{Form, Outcome, Paid};
use crate::rig::Wire;

/// What comes of a fault that strikes every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) outcome: Outcome,
    pub(super) tries: Tries,
    pub(super) paid: Paid,
}

/// How many requests the upstream sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tries {
    /// One, however many attempts a call may make.
    Once,
    /// As many as a call may make.
    All,
    /// None: the connection does not come to one, though as many are opened.
    Unread,
}

/// The longest line of a stream that is buffered.
const MOST_EVENT_BYTES: u64 = 16 << 20;
/// The longest body that is read.
const MOST_REPLY_BYTES: u64 = 64 << 20;

const CONNECTION: Outcome = Outcome::Told(ErrorCode::UpstreamConnection);
const TIMEOUT: Outcome = Outcome::Told(ErrorCode::UpstreamTimeout);
const MALFORMED: Outcome = Outcome::Status(200);

/// Without a wildcard: a fault that the simulator gains does not compile before it is in this table.
pub(super) fn expected(fault: &Fault, form: Form, wire: Wire) -> Expected {
    match fault {
        Fault::Status(fault) => of_status(fault),
        Fault::Redirect(fault) => once(Outcome::Status(fault.status), Paid::Nothing),
        Fault::Refuse(_) => Expected { outcome: CONNECTION, tries: Tries::Unread, paid: Paid::InDoubt },
        // Before a reply began it is asked again, and each request may be billed.
        Fault::Reset(fault) | Fault::Close(fault) if fault.at == At::BeforeHeaders => all(CONNECTION),
        // A reply that broke off before any content was delivered is asked for again; a stream that began is not.
        Fault::Reset(fault) | Fault::Close(fault) => match form {
            Form::Stream if after_content(fault.at) => in_doubt(CONNECTION),
            _ => all(CONNECTION),
        },
        // An error that passes is one wherever it is told.
        Fault::ErrorInOk(_) | Fault::ErrorEvent(EventFault { after_chunks: 0, .. }) => all(MALFORMED),
        Fault::TruncatedChunks(_) => all(CONNECTION),
        Fault::WrongLength(fault) if fault.by > 0 => all(CONNECTION),
        // Somebody who does not answer in time is not asked again.
        Fault::Stall(_) | Fault::Endless(_) => in_doubt(TIMEOUT),
        // Whoever answered so once would do so again.
        Fault::WrongLength(_)
        | Fault::EmptyBody(_)
        | Fault::Page(_)
        | Fault::MalformedJson(_)
        | Fault::MalformedEvent(_)
        | Fault::ErrorEvent(_) => in_doubt(MALFORMED),
        Fault::EmptyStream(fault) => in_doubt(if fault.done { MALFORMED } else { CONNECTION }),
        Fault::NoFinishReason(_) => match wire {
            // Its usage came, so what it cost is known.
            Wire::OpenAi => once(MALFORMED, Paid::Served),
            // Anthropic tells both in one event.
            Wire::Anthropic => in_doubt(MALFORMED),
        },
        Fault::Padded(fault) => {
            let most = if form == Form::Plain { MOST_REPLY_BYTES } else { MOST_EVENT_BYTES };
            if fault.bytes > most { in_doubt(MALFORMED) } else { whole() }
        }
        Fault::NoDone(_)
        | Fault::SplitBytes(_)
        | Fault::Crlf(_)
        | Fault::Comments(_)
        | Fault::MultiLineData(_)
        | Fault::Bom(_) => whole(),
    }
}

/// Whether content has come by then, in either format.
pub(super) fn after_content(at: At) -> bool {
    match at {
        At::BeforeHeaders | At::AfterHeaders | At::AfterChunks(0) | At::AfterBytes(..=20) => false,
        At::AfterChunks(_) | At::AfterBytes(_) => true,
    }
}

fn of_status(fault: &StatusFault) -> Expected {
    let outcome = match fault.status {
        429 => Outcome::Told(ErrorCode::RateLimited),
        status => Outcome::Status(status),
    };
    let lasting = fault.code.is_some();
    let tries = match fault.status {
        408 | 409 | 425 | 429 | 500..=599 if !lasting => Tries::All,
        _ => Tries::Once,
    };
    Expected { outcome, tries, paid: Paid::Nothing }
}

fn once(outcome: Outcome, paid: Paid) -> Expected {
    Expected { outcome, tries: Tries::Once, paid }
}

fn in_doubt(outcome: Outcome) -> Expected {
    once(outcome, Paid::InDoubt)
}

fn all(outcome: Outcome) -> Expected {
    Expected { outcome, tries: Tries::All, paid: Paid::InDoubt }
}

fn whole() -> Expected {
    once(Outcome::Reply, Paid::Served)
}
