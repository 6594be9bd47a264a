//! What is expected of each fault of the simulator.

use iron_protocol::ErrorCode;
use iron_simulator::{At, Fault, StatusFault};

use super::{Form, Outcome, Paid};

/// What comes of a fault that strikes every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) outcome: Outcome,
    pub(super) tries: Tries,
    pub(super) paid: Paid,
}

/// How many requests the upstream sees.
#[derive(Clone, Copy, Debug)]
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
pub(super) fn expected(fault: &Fault, form: Form) -> Expected {
    match fault {
        Fault::Status(fault) => of_status(fault),
        Fault::Redirect(fault) => once(Outcome::Status(fault.status), Paid::Nothing),
        Fault::Refuse(_) => Expected { outcome: CONNECTION, tries: Tries::Unread, paid: Paid::InDoubt },
        // Before a reply began it is asked again, and each request may be billed.
        Fault::Reset(fault) | Fault::Close(fault) if fault.at == At::BeforeHeaders => all(CONNECTION),
        // A plain reply that broke off was not delivered, so it is asked for again; a stream that began is not.
        Fault::Reset(_) | Fault::Close(_) => match form {
            Form::Plain => all(CONNECTION),
            Form::Stream => in_doubt(CONNECTION),
        },
        Fault::TruncatedChunks(_) => all(CONNECTION),
        Fault::WrongLength(fault) if fault.by > 0 => all(CONNECTION),
        // Somebody who does not answer in time is not asked again.
        Fault::Stall(_) | Fault::Endless(_) => in_doubt(TIMEOUT),
        // Whoever answered so once would do so again.
        Fault::WrongLength(_)
        | Fault::ErrorInOk(_)
        | Fault::EmptyBody(_)
        | Fault::Page(_)
        | Fault::MalformedJson(_)
        | Fault::MalformedEvent(_)
        | Fault::ErrorEvent(_) => in_doubt(MALFORMED),
        Fault::EmptyStream(fault) => in_doubt(if fault.done { MALFORMED } else { CONNECTION }),
        // Its usage came, so what it cost is known.
        Fault::NoFinishReason(_) => once(MALFORMED, Paid::Served),
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

fn of_status(fault: &StatusFault) -> Expected {
    let outcome = match fault.status {
        429 => Outcome::Told(ErrorCode::RateLimited),
        status => Outcome::Status(status),
    };
    let lasting = fault.code.as_deref() == Some("insufficient_quota");
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
