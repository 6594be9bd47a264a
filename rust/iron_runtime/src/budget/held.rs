//! The journals that this process holds locked, for the child of a fork to let go of.
//!
//! The lock on a file is that of the opening, which a child of a fork shares with its parent. A child that kept it would
//! make its dead parent look alive, and what that had leased would come back only once both have ended.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

static HELD: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// The descriptors of all journals at this instant; none is begun while this is.
#[derive(Debug)]
pub struct HeldJournals(MutexGuard<'static, BTreeSet<RawFd>>);

impl HeldJournals {
    /// Look at them, and keep them as they are until this is dropped.
    pub fn keep() -> Self {
        Self(HELD.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The descriptors.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.0.iter().copied()
    }
}

/// Open a journal, noted from its first instant on.
pub(super) fn begin(open: impl FnOnce() -> io::Result<File>) -> io::Result<File> {
    let mut held = HeldJournals::keep();
    let file = open()?;
    held.0.insert(file.as_raw_fd());
    Ok(file)
}

/// A journal is about to be closed: its lease is over, or its owner is at its end.
pub(super) fn end(file: &File) {
    HeldJournals::keep().0.remove(&file.as_raw_fd());
}
