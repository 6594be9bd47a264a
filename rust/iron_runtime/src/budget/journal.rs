//! The journal of a lease: each attempt is written down before its request leaves, and again when it is settled.
//!
//! One `write` a record, without a buffer and without waiting for the disk: what is written survives the death of the
//! process, which is what journals are read after. A machine that loses power may lose the end of it; the lease's rest
//! is then a loss (see `file/recover.rs`). The owner holds a lock on the file for as long as it lives, so that others
//! can tell whether it does.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use iron_protocol::{LeaseId, RequestId};

use super::attempt::{Doubt, Ending, Part};

const MAGIC: &[u8; 8] = b"ironjrn1";
const HEADER_BYTES: usize = 24;
const RECORD_BYTES: usize = 40;

const ADMITTED: u8 = 1;
const SETTLED: u8 = 2;
const IN_DOUBT: u8 = 3;

/// A journal that is written. Dropped, it is no longer locked.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    lease: LeaseId,
    /// A record may be torn: nothing that follows it could be read.
    torn: AtomicBool,
}

impl Journal {
    /// Begin the journal of a new lease, and lock it.
    pub(crate) fn create(path: &Path, lease: LeaseId) -> io::Result<Self> {
        let journal = Self { file: open_new(path)?, path: path.into(), lease, torn: AtomicBool::new(false) };
        journal.file.try_lock()?;
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..].copy_from_slice(lease.as_bytes());
        (&journal.file).write_all(&header)?;
        Ok(journal)
    }

    pub(crate) fn lease(&self) -> LeaseId {
        self.lease
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Write down that an attempt is about to be made. Without that it must not be.
    pub(crate) fn admit<J>(&self, part: &Part<J>, request: RequestId) -> io::Result<()> {
        self.append(ADMITTED, part.attempt, part.amount, request)
    }

    /// Write down what came of it. Without that it counts as in doubt, should this process die before it reports.
    pub(crate) fn end<J>(&self, part: &Part<J>, ending: Ending, request: RequestId) -> io::Result<()> {
        match ending {
            Ending::Settled(actual) => self.append(SETTLED, part.attempt, actual, request),
            Ending::InDoubt => self.append(IN_DOUBT, part.attempt, part.amount, request),
        }
    }

    fn append(&self, kind: u8, attempt: u64, amount: i64, request: RequestId) -> io::Result<()> {
        if self.torn.load(Ordering::Acquire) {
            return Err(io::Error::other("a record before could not be written"));
        }
        let record = Record { kind, attempt, amount, request }.encode(self.lease);
        let written = (&self.file).write(&record);
        if !matches!(written, Ok(RECORD_BYTES)) {
            self.torn.store(true, Ordering::Release);
        }
        match written {
            Ok(RECORD_BYTES) => Ok(()),
            Ok(_) => Err(io::ErrorKind::StorageFull.into()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        #[cfg(unix)]
        super::held::end(&self.file);
    }
}

fn open_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).read(true).create_new(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        super::held::begin(|| options.open(path))
    }
    #[cfg(not(unix))]
    options.open(path)
}

/// A journal that somebody has left.
#[derive(Debug)]
pub(crate) enum Left {
    /// Its owner lives.
    Owned,
    /// Nobody has it: what it says. Locked, so that nobody else settles it at the same time.
    Dead(Replay, File),
    /// It is gone.
    Missing,
}

/// Read the journal of a lease whose owner is dead.
pub(crate) fn read_left(path: &Path, lease: LeaseId) -> io::Result<Left> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Left::Missing),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Left::Owned),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Left::Dead(Replay::of(&bytes, lease), file))
}

/// Whether the owner of a journal lives.
pub(crate) fn is_owned(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Read a journal as it is, its owner alive or not.
pub(crate) fn read(path: &Path, lease: LeaseId) -> io::Result<Replay> {
    Ok(Replay::of(&std::fs::read(path)?, lease))
}

/// What a journal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replay {
    /// Settled, within reservations.
    pub(crate) settled: i64,
    /// Settled beyond them.
    pub(crate) overage: i64,
    /// In doubt, as its owner said.
    pub(crate) doubts: Vec<Doubt>,
    /// Admitted, and not ended.
    pub(crate) in_flight: Vec<Doubt>,
    /// Every record can be read, but for one that was being written.
    pub(crate) intact: bool,
}

impl Replay {
    pub(crate) fn of(bytes: &[u8], lease: LeaseId) -> Self {
        let mut replay =
            Self { settled: 0, overage: 0, doubts: Vec::new(), in_flight: Vec::new(), intact: false };
        let Some((header, records)) = bytes.split_at_checked(HEADER_BYTES) else { return replay };
        if &header[..8] != MAGIC || header[8..] != lease.as_bytes()[..] {
            return replay;
        }
        let mut attempts = BTreeMap::new();
        let (records, _torn) = records.as_chunks::<RECORD_BYTES>();
        replay.intact = records.iter().all(|bytes| {
            Record::decode(bytes, lease).is_some_and(|record| replay.take(&record, &mut attempts))
        });
        replay.in_flight = attempts.into_values().flatten().collect();
        replay
    }

    /// Whether the record makes sense after those before it: each attempt begins once and ends once.
    fn take(&mut self, record: &Record, attempts: &mut BTreeMap<u64, Option<Doubt>>) -> bool {
        let &Record { kind, attempt, amount, request } = record;
        if kind == ADMITTED {
            let Entry::Vacant(place) = attempts.entry(attempt) else { return false };
            place.insert(Some(Doubt { attempt, amount, request }));
            return amount >= 0;
        }
        let Some(admitted) = attempts.get_mut(&attempt).and_then(Option::take) else { return false };
        match kind {
            SETTLED if amount >= 0 => {
                let within = amount.min(admitted.amount);
                self.settled = self.settled.saturating_add(within);
                self.overage = self.overage.saturating_add(amount - within);
            }
            IN_DOUBT => self.doubts.push(admitted),
            _ => return false,
        }
        true
    }
}

/// One line of a journal.
struct Record {
    kind: u8,
    attempt: u64,
    amount: i64,
    request: RequestId,
}

impl Record {
    /// Kind, three bytes of nothing, checksum, attempt, amount, request: little-endian.
    fn encode(&self, lease: LeaseId) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[0] = self.kind;
        bytes[8..16].copy_from_slice(&self.attempt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.amount.to_le_bytes());
        bytes[24..].copy_from_slice(self.request.as_bytes());
        let sum = checksum(&bytes, lease);
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; RECORD_BYTES], lease: LeaseId) -> Option<Self> {
        let mut bare = *bytes;
        bare[4..8].fill(0);
        let sum = u32::from_le_bytes(*bytes[4..8].first_chunk()?);
        if sum != checksum(&bare, lease) {
            return None;
        }
        Some(Self {
            kind: bytes[0],
            attempt: u64::from_le_bytes(*bytes[8..16].first_chunk()?),
            amount: i64::from_le_bytes(*bytes[16..24].first_chunk()?),
            request: RequestId::from_bytes(*bytes[24..].first_chunk()?),
        })
    }
}

/// With the lease in it, so that a record of another journal is none of this one.
fn checksum(bytes: &[u8; RECORD_BYTES], lease: LeaseId) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(lease.as_bytes());
    sum.update(bytes);
    sum.finalize()
}

#[cfg(test)]
mod tests;
