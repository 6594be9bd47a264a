//! SIGINT and SIGTERM.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// The signals that ask a command to end, caught from the moment that this is made.
pub(crate) struct Interrupt {
    int: Signal,
    term: Signal,
}

impl Interrupt {
    pub(crate) fn new() -> Result<Self, Failure> {
        let caught = |kind| {
            signal(kind).map_err(|error| Failure::Error {
                code: "internal",
                message: format!("signals cannot be caught: {error}"),
            })
        };
        Ok(Self { int: caught(SignalKind::interrupt())?, term: caught(SignalKind::terminate())? })
    }

    /// Wait for one of them: the code that a shell shows for a program that it ended.
    ///
    /// # Cancel safety
    /// A signal that comes while nobody waits is seen by the next who does.
    pub(crate) async fn caught(&mut self) -> u8 {
        tokio::select! {
            _ = self.int.recv() => 130,
            _ = self.term.recv() => 143,
        }
    }
}
