//! The files of a chain: one ends when it is large or its day is over, and the oldest go.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::time::SystemTime;

use super::Chain;
use crate::audit::body::Note;
use crate::audit::fault::AuditFault;
use crate::audit::place::{self, Segment};
use crate::audit::record::{self, Envelope};

impl Chain {
    /// Begin the next file if this one is full, or of another day.
    pub(in crate::audit) fn make_room(&mut self, now: SystemTime) -> Result<(), AuditFault> {
        let written = self.len + self.pending.len() as u64;
        let now = record::time(now);
        let is_full = written >= self.options.rotate_bytes || self.day != record::day(&now);
        if written == 0 || !is_full {
            return Ok(());
        }
        self.flush()?;
        if self.options.sync != super::Sync::Never {
            self.sync()?;
        }
        let next = place::segment(&self.options.directory, &self.name, self.segment + 1);
        self.file = create(&next.path).map_err(|error| self.fault("beginning the next file", error))?;
        (self.segment, self.len, self.torn) = (next.number, 0, false);
        self.begin(&now);
        place::sync(&self.options.directory).map_err(|error| self.fault("beginning the next file", error))?;
        self.prune()
    }

    /// The first record of a file.
    pub(super) fn begin(&mut self, now: &str) {
        record::day(now).clone_into(&mut self.day);
        self.note(&Note::Segment { segment: self.segment });
    }

    /// Delete the oldest files, each after a record that says so.
    fn prune(&mut self) -> Result<(), AuditFault> {
        let Some(keep) = self.options.keep else { return Ok(()) };
        let files = place::segments(&self.options.directory, &self.name)
            .map_err(|error| self.fault("looking for old files", error))?;
        for pair in files.windows(2) {
            let [old, next] = pair else { continue };
            if old.number + keep >= self.segment {
                break;
            }
            // One that cannot be read stays, for whoever looks into that.
            let Ok(Some(Envelope { seq, prev, .. })) = first(&next.path) else { break };
            self.note(&Note::Pruned { segment: old.number, last_seq: seq - 1, last_hash: prev });
            self.flush()?;
            if self.options.sync != super::Sync::Never {
                self.sync()?;
            }
            remove(old).map_err(|error| self.fault("deleting an old file", error))?;
        }
        Ok(())
    }
}

/// Both a file and what was torn from it.
fn remove(segment: &Segment) -> io::Result<()> {
    match std::fs::remove_file(place::torn(&segment.path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::remove_file(&segment.path)
}

pub(super) fn create(path: &Path) -> io::Result<File> {
    place::private(OpenOptions::new().read(true).append(true).create_new(true)).open(path)
}

/// The first record of a file.
pub(super) fn first(path: &Path) -> io::Result<Option<Envelope>> {
    let mut line = Vec::new();
    BufReader::new(File::open(path)?).read_until(b'\n', &mut line)?;
    line.pop_if(|last| *last == b'\n');
    Ok(record::sound(&line).map(|(envelope, _)| envelope))
}
