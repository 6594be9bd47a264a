//! Where a ledger file is: its directory, its mode, its filesystem, and whether it is still there.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BUSY;
use crate::budget::fault::LedgerFault;

/// How often a directory is looked at that another process holds.
const LOOK: Duration = Duration::from_millis(10);
/// The smallest page of SQLite's, and so the smallest file.
const SMALLEST_BYTES: u64 = 512;

/// Make the file and the directory of its journals, for this user alone: the latter.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, LedgerFault> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_directory(parent).map_err(|error| LedgerFault::io(path, "making its directory", error))?;
    refuse_network(path, parent)?;
    // One that is there is not opened here: to close it again would end the locks that SQLite holds on it for this
    // process (https://www.sqlite.org/howtocorrupt.html, 2.2).
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(LedgerFault::io(path, "opening it for writing", error)),
    }
    let journals = beside(path, "-journals");
    make_directory(&journals)
        .map_err(|error| LedgerFault::io(path, "making the directory of its journals", error))?;
    Ok(journals)
}

/// Hold the directory of a ledger's journals until the file that is returned is dropped. Others hold it for moments;
/// one that is stopped in such a moment is not waited for without end.
pub(super) fn lock(path: &Path, directory: &Path) -> Result<File, LedgerFault> {
    let wrong = |error| LedgerFault::io(path, "locking the directory of its journals", error);
    let held = File::open(directory).map_err(wrong)?;
    for _ in 0..BUSY.as_millis() / LOOK.as_millis() {
        match held.try_lock() {
            Ok(()) => return Ok(held),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
    }
    Err(LedgerFault::busy(path))
}

/// Refuse what SQLite would take for a new file, and forget all that was spent: one that is too short to be any, and one
/// without a byte beside a log or journals that have some.
pub(super) fn refuse_emptied(path: &Path, journals: &Path) -> Result<(), LedgerFault> {
    let wrong = |error| LedgerFault::io(path, "looking at it", error);
    let bytes = path.metadata().map_err(wrong)?.len();
    if (1..SMALLEST_BYTES).contains(&bytes) {
        return Err(LedgerFault::damaged(path));
    }
    let log = beside(path, "-wal").metadata().map_or(0, |found| found.len());
    if bytes == 0 && (log > 0 || std::fs::read_dir(journals).map_err(wrong)?.next().is_some()) {
        return Err(LedgerFault::new(
            path,
            "is empty, and what belongs to it is not: restore it from a backup, or delete its -wal, -shm and \
             -journals too to begin anew",
        ));
    }
    Ok(())
}

/// What belongs to the ledger, beside it.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Refuse filesystems on which another machine could hold the same file: neither its locks nor its shared memory
/// reach there.
///
/// # Errors
/// [`LedgerFault`] that names the filesystem.
#[cfg(target_os = "linux")]
pub fn refuse_network(path: &Path, directory: &Path) -> Result<(), LedgerFault> {
    // Numbers of statfs(2).
    const NETWORK: [(u32, &str); 7] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x0102_1997, "9P"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
    ];
    let stat = rustix::fs::statfs(directory)
        .map_err(|error| LedgerFault::io(path, "looking at its filesystem", error.into()))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the kernel's numbers have 32 bits"
    )]
    let kind = stat.f_type as u32;
    match NETWORK.iter().find(|(number, _)| *number == kind) {
        Some((_, name)) => Err(LedgerFault::new(
            path,
            format!(
                "is on a network filesystem ({name}), whose locks other machines do not see: name a local file in budget.ledger"
            ),
        )),
        None => Ok(()),
    }
}

/// Other systems do not say.
#[cfg(not(target_os = "linux"))]
pub fn refuse_network(_: &Path, _: &Path) -> Result<(), LedgerFault> {
    Ok(())
}

/// Which file it is, whatever its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
}

impl Identity {
    pub(super) fn of(path: &Path) -> Result<Self, LedgerFault> {
        Self::look(path).map_err(|error| LedgerFault::io(path, "looking at it", error))
    }

    pub(super) fn check(&self, path: &Path) -> Result<(), LedgerFault> {
        match Self::look(path) {
            Ok(now) if now == *self => Ok(()),
            Ok(_) => Err(LedgerFault::new(path, "was replaced by another file: restart this process")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LedgerFault::new(
                path,
                "was deleted while it was in use: put it back, or restart this process to begin anew",
            )),
            Err(error) => Err(LedgerFault::io(path, "looking at it", error)),
        }
    }

    #[cfg(unix)]
    fn look(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(path)?;
        Ok(Self { device_and_inode: (found.dev(), found.ino()) })
    }

    #[cfg(not(unix))]
    fn look(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|_| Self {})
    }
}

/// This boot of the machine. What was written before it may be incomplete; where it is not known, all of it may be.
pub(super) fn boot() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(boot.trim().to_owned()).filter(|boot| !boot.is_empty())
}

#[cfg(test)]
mod tests;
