//! Verification: whether a log is as it was written, and if not, where.
//!
//! It reads each file once, line by line, in memory that does not grow with the log.

mod problem;
mod walk;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use self::problem::{Problem, Wrong};
use self::walk::Walk;
use super::digest::{Digest, Key};
use super::fault::AuditFault;
use super::head::{Head, Seal};
use super::place::{self, Segment};
use super::record::Link;

/// No record is longer: a request holds 64 MiB at most, and so does a reply.
const MOST_LINE_BYTES: u64 = 1 << 28;
/// So many problems are told of; the others are counted.
const MOST_PROBLEMS: usize = 1_000;

/// What verification found.
#[derive(Debug, Default, Serialize)]
pub struct Verified {
    /// The chains.
    pub chains: Vec<VerifiedChain>,
    /// What is wrong, the first thousand.
    pub problems: Vec<Problem>,
    /// How much is wrong.
    pub problem_count: u64,
    /// What is not wrong, and worth knowing.
    pub notes: Vec<String>,
}

/// One chain.
#[derive(Debug, Serialize)]
pub struct VerifiedChain {
    /// Its name.
    pub chain: String,
    /// Its files.
    pub files: usize,
    /// Records that were read.
    pub records: u64,
    /// The number of the last one.
    pub last_seq: u64,
    /// The hash of that: keep it elsewhere, and give it to the next verification.
    pub head: Digest,
    /// Whether a key seals that end.
    pub sealed: bool,
}

impl Verified {
    fn tell(&mut self, problem: Problem) -> Option<usize> {
        self.problem_count += 1;
        let told = self.problems.len();
        (told < MOST_PROBLEMS).then(|| {
            self.problems.push(problem);
            told
        })
    }
}

/// Check the log of a directory, or one file by itself.
///
/// `pins` are hashes of records that have to be there.
///
/// # Errors
/// [`AuditFault`] if something cannot be read.
pub fn verify(path: &Path, key: Option<&Key>, pins: &[Digest]) -> Result<Verified, AuditFault> {
    let unread = |error| AuditFault::unreadable(path, error);
    let mut verified = Verified::default();
    let mut pins = pins.to_vec();
    if std::fs::metadata(path).map_err(unread)?.is_dir() {
        for (chain, files) in place::chains(path).map_err(unread)? {
            verify_chain(path, &chain, &files, key, &mut pins, &mut verified).map_err(unread)?;
        }
    } else {
        verify_file(path, &mut pins, &mut verified).map_err(unread)?;
    }
    for pin in pins {
        verified.tell(Problem::of(path, Wrong::Unpinned { hash: pin }));
    }
    Ok(verified)
}

fn verify_chain(
    directory: &Path,
    chain: &str,
    files: &[Segment],
    key: Option<&Key>,
    pins: &mut Vec<Digest>,
    verified: &mut Verified,
) -> io::Result<()> {
    let head_path = place::head(directory, chain);
    // Before the records: whoever writes them writes it after them.
    let head = Head::look(&head_path)?;
    if head.is_none() && files.is_empty() {
        // It was just begun.
        return Ok(());
    }
    let mut walk = Walk::new(chain.to_owned(), head.as_ref().map(Head::link), pins, verified);
    let mut torn = None;
    for (at, Segment { number, path }) in files.iter().enumerate() {
        walk.enter(path, *number, |number| place::segment(directory, chain, number).path);
        let is_last = at + 1 == files.len();
        torn = read(path, &mut walk, is_last)?;
    }
    let last = walk.end();
    let records = walk.records();
    let sealed = end(&head_path, head.as_ref(), key, last, verified);
    let ends_before = |head: &Head| head.seq > last.seq;
    if let Some(head) = head.filter(ends_before) {
        let at = place::segment(directory, chain, head.segment).path;
        verified.tell(Problem::of(&at, Wrong::Cut { first: last.seq + 1, last: head.seq }));
    } else if let Some((path, bytes)) = torn {
        verified.notes.push(format!(
            "{}: {bytes} bytes at its end are no record: a process died as it wrote them; the next one puts them aside",
            path.display()
        ));
    }
    let (files, chain) = (files.len(), chain.to_owned());
    verified.chains.push(VerifiedChain {
        chain,
        files,
        records,
        last_seq: last.seq,
        head: last.hash,
        sealed,
    });
    Ok(())
}

/// What the head says of the end: whether a key seals it.
fn end(path: &Path, head: Option<&Head>, key: Option<&Key>, last: Link, verified: &mut Verified) -> bool {
    let Some(head) = head else {
        verified.tell(Problem::of(path, Wrong::Headless));
        return false;
    };
    match head.seal(key) {
        Seal::Good => {
            if last.seq > head.seq {
                let more = last.seq - head.seq;
                verified.notes.push(format!("{}: {more} records follow the seal", path.display()));
            }
            return true;
        }
        Seal::Bad => drop(verified.tell(Problem::of(path, Wrong::Unsealed))),
        Seal::Unchecked if head.key_id.is_some() => verified
            .notes
            .push(format!("{}: its seal was not checked: give the key by audit.key_env", path.display())),
        Seal::Unchecked => {}
    }
    false
}

fn verify_file(path: &Path, pins: &mut Vec<Digest>, verified: &mut Verified) -> io::Result<()> {
    let mut walk = Walk::of_a_part(pins, verified);
    walk.enter(path, 0, |_| PathBuf::new());
    let torn = read(path, &mut walk, false)?;
    let (last, records, chain) = (walk.end(), walk.records(), walk.chain());
    debug_assert!(torn.is_none(), "told as a problem");
    let (last_seq, head) = (last.seq, last.hash);
    verified.chains.push(VerifiedChain { chain, files: 1, records, last_seq, head, sealed: false });
    verified
        .notes
        .push("one file by itself: whether others, or its end, are missing is not known".to_owned());
    Ok(())
}

/// Walk through a file; what is left of a line at the end of the last one.
fn read(path: &Path, walk: &mut Walk<'_>, is_last: bool) -> io::Result<Option<(PathBuf, u64)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        // Deleted as the configuration says, since the directory was read: a record later on tells of it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut file = BufReader::with_capacity(1 << 18, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let bytes = (&mut file).take(MOST_LINE_BYTES).read_until(b'\n', &mut line)? as u64;
        if bytes == 0 {
            return Ok(None);
        }
        if line.pop_if(|last| *last == b'\n').is_some() {
            walk.line(&line);
        } else if is_last && bytes < MOST_LINE_BYTES {
            return Ok(Some((path.to_owned(), bytes)));
        } else {
            walk.broken_line();
            return Ok(None);
        }
    }
}
