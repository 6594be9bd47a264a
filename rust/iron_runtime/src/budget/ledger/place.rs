//! A reservation that waits, and its place in the queue.

use tokio::sync::oneshot;

use super::{Ledger, Stop};
use crate::budget::book::{NodeId, Ticket};
use crate::budget::reservation::Reservation;

/// What came of asking, where it is not granted at once.
pub(super) enum Asked {
    Refused(NodeId),
    Parked(Parked),
}

/// A reservation that waits.
pub(super) struct Parked {
    pub(super) answer: oneshot::Receiver<Result<Reservation, Stop>>,
    pub(super) place: Place,
}

/// A place in the queue, left on drop. Its owner keeps the chain for longer, so that leaving never drops a budget's
/// last owner under the lock.
pub(super) struct Place {
    pub(super) ledger: Ledger,
    pub(super) ticket: Ticket,
}

impl Drop for Place {
    fn drop(&mut self) {
        let turns = self.ledger.lock().leave(self.ticket);
        self.ledger.hand_on(turns);
    }
}
