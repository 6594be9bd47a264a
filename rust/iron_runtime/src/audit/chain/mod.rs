//! A chain: records one after another in files that one process at a time writes.
//!
//! Who writes it holds an exclusive lock on its head, which the kernel releases with the process: whoever begins next
//! goes on from the last record. A second process finds the lock taken, and takes the next chain.

mod open;
mod rotate;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::body::Note;
use super::digest::Key;
use super::fault::AuditFault;
use super::head::Head;
use super::record::{self, Link};
use crate::clock::calendar_now;

/// When records are made to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Before the call ends that they are of.
    Always,
    /// So often.
    Interval(Duration),
    /// When the system likes.
    Never,
}

/// How a log is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) directory: PathBuf,
    pub(crate) sync: Sync,
    /// A file that would grow larger ends.
    pub(crate) rotate_bytes: u64,
    /// So many files that have ended stay; all where absent.
    pub(crate) keep: Option<u64>,
    /// Seals heads.
    pub(crate) key: Option<Key>,
}

/// A chain that is written.
#[derive(Debug)]
pub(super) struct Chain {
    options: Options,
    name: String,
    /// Locked for as long as it is open.
    head: File,
    file: File,
    segment: u64,
    /// The day that the file is of.
    day: String,
    /// So much of the file is whole records.
    len: u64,
    /// More may be in it, which is none.
    torn: bool,
    /// Lines that are not written yet.
    pending: Vec<u8>,
    /// The last record, written or pending.
    last: Link,
    unsynced: bool,
}

impl Chain {
    /// Append a record, which stays pending until [`Chain::flush`].
    pub(super) fn append(&mut self, at: SystemTime, body: &impl Serialize) {
        self.last = record::write(&mut self.pending, &self.name, self.last, at, body);
    }

    /// The same for what the log tells of itself.
    pub(super) fn note(&mut self, note: &Note) {
        self.append(calendar_now(), note);
    }

    /// Bytes that are not written yet.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Write what is pending. What cannot be written stays pending, whole.
    pub(super) fn flush(&mut self) -> Result<(), AuditFault> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.write() {
            return Err(self.fault("writing", error));
        }
        self.len += self.pending.len() as u64;
        self.pending.clear();
        self.unsynced = true;
        let head = Head::new(&self.name, self.segment, self.last, self.options.key.as_ref());
        head.write(&self.head).map_err(|error| self.fault("writing its head", error))
    }

    fn write(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.len)?;
        }
        self.torn = true;
        self.file.write_all(&self.pending)?;
        self.torn = false;
        Ok(())
    }

    /// Wait until what is written lasts.
    ///
    /// # Errors
    /// Whether it does cannot be known any more: a system that fails once forgets what it did not write, and says
    /// next time that all is well.
    pub(super) fn sync(&mut self) -> Result<(), AuditFault> {
        if !self.unsynced {
            return Ok(());
        }
        let synced = self.file.sync_data().and_then(|()| self.head.sync_data());
        synced.map_err(|error| {
            let doing = "waiting for the disk; check it, run `iron audit verify`, and restart this process";
            self.fault(doing, error)
        })?;
        self.unsynced = false;
        Ok(())
    }

    pub(super) fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    fn fault(&self, doing: &str, error: io::Error) -> AuditFault {
        AuditFault::io(&self.options.directory, doing, error)
    }
}

#[cfg(test)]
mod tests;
