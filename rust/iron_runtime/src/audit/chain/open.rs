//! Going on with a chain: a process that died may have left a torn line, or less than it had counted.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::{Chain, Options, rotate};
use crate::audit::body::Note;
use crate::audit::digest::Digest;
use crate::audit::fault::AuditFault;
use crate::audit::head::Head;
use crate::audit::place::{self, MOST_CHAINS, Segment};
use crate::audit::record::{self, Link};
use crate::clock::calendar_now;

/// The end of a file is looked for a record in pieces of this size, then of twice, and so on.
const WINDOW: u64 = 1 << 18;

impl Chain {
    /// Go on with the first chain that nobody writes, or begin one.
    pub(in crate::audit) fn open(options: &Options) -> Result<Self, AuditFault> {
        let directory = &options.directory;
        let wrong = |doing: &'static str| move |error| AuditFault::io(directory, doing, error);
        place::make(directory).map_err(wrong("making its directory"))?;
        for number in 0..MOST_CHAINS {
            let name = place::chain(number);
            let mut open = OpenOptions::new();
            let open = place::private(open.read(true).write(true).create(true).truncate(false));
            let head = open.open(place::head(directory, &name)).map_err(wrong("opening its head"))?;
            match head.try_lock() {
                Ok(()) => return Self::resume(options, name, head),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(wrong("locking its head")(error)),
            }
        }
        Err(AuditFault::new(directory, format!("is written by {MOST_CHAINS} processes, which is the most")))
    }

    fn resume(options: &Options, name: String, head: File) -> Result<Self, AuditFault> {
        let wrong = |error| AuditFault::io(&options.directory, "reading where it ends", error);
        let counted = Head::read(&head).map_err(wrong)?;
        let files = place::segments(&options.directory, &name).map_err(wrong)?;
        let had_records = counted.is_some() || !files.is_empty();
        let left = Left::of(&files).map_err(wrong)?;
        let counted = counted.map_or(Link::BEGINNING, |head| head.link());
        let segment = files.last().map_or(1, |last| last.number);
        let path = place::segment(&options.directory, &name, segment).path;
        let (file, is_new) = match files.last() {
            Some(last) => {
                (OpenOptions::new().read(true).append(true).open(&last.path).map_err(wrong)?, false)
            }
            None => (rotate::create(&path).map_err(wrong)?, true),
        };
        let mut notes = Vec::new();
        if let Some(torn) = put_aside(&file, &path, left.len).map_err(wrong)? {
            notes.push(torn);
        }
        let last = if counted.seq > left.last.seq { counted } else { left.last };
        if last != left.last {
            notes.push(Note::Gap { first: left.last.seq + 1, last: last.seq });
        }
        let day = record::day(&left.began).to_owned();
        let (options, pending) = (options.clone(), Vec::new());
        let mut chain = Self {
            options,
            name,
            head,
            file,
            segment,
            day,
            len: left.len,
            torn: false,
            pending,
            last,
            unsynced: true,
        };
        if is_new || left.len == 0 {
            chain.begin(&record::time(calendar_now()));
        }
        chain.note(&Note::opened(chain.options.key.as_ref(), had_records));
        for note in &notes {
            chain.note(note);
        }
        chain.flush()?;
        place::sync(&chain.options.directory)
            .map_err(|error| chain.fault("seeing that its files last", error))?;
        Ok(chain)
    }
}

/// What was left of a chain.
struct Left {
    last: Link,
    /// So much of the last file is whole records.
    len: u64,
    /// When the last file was begun.
    began: String,
}

impl Left {
    fn of(files: &[Segment]) -> io::Result<Self> {
        let mut left = Self { last: Link::BEGINNING, len: 0, began: String::new() };
        let [before @ .., newest] = files else { return Ok(left) };
        if let Some((last, len)) = end(&newest.path)? {
            (left.last, left.len) = (last, len);
            left.began = rotate::first(&newest.path)?.map(|first| first.at).unwrap_or_default();
        } else if let Some(before) = before.last() {
            // It was begun, and nothing written.
            left.last = end(&before.path)?.map_or(Link::BEGINNING, |(last, _)| last);
        }
        Ok(left)
    }
}

/// The last sound record of a file, and where it ends.
fn end(path: &Path) -> io::Result<Option<(Link, u64)>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut window = WINDOW;
    loop {
        let start = len.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&file).take(len - start).read_to_end(&mut bytes)?;
        if let Some((last, end)) = last_sound(&bytes, start == 0) {
            return Ok(Some((last, start + end)));
        }
        if start == 0 {
            return Ok(None);
        }
        window *= 2;
    }
}

fn last_sound(bytes: &[u8], from_the_start: bool) -> Option<(Link, u64)> {
    let mut end = memchr::memrchr(b'\n', bytes)?;
    loop {
        let start = match memchr::memrchr(b'\n', &bytes[..end]) {
            Some(before) => before + 1,
            None if from_the_start => 0,
            None => return None,
        };
        if let Some((envelope, hash)) = record::sound(&bytes[start..end]) {
            return Some((Link { seq: envelope.seq, hash }, end as u64 + 1));
        }
        end = start.checked_sub(1)?;
    }
}

/// Move what follows the last record of a file into one of its own, and tell of it.
fn put_aside(mut file: &File, path: &Path, len: u64) -> io::Result<Option<Note>> {
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(len))?;
    file.read_to_end(&mut rest)?;
    if rest.is_empty() {
        return Ok(None);
    }
    let aside = place::torn(path);
    let mut kept = place::private(OpenOptions::new().append(true).create(true)).open(&aside)?;
    kept.write_all(&rest)?;
    kept.sync_all()?;
    file.set_len(len)?;
    let name = aside.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Some(Note::Torn { file: name, bytes: rest.len() as u64, sha256: Digest::of(&rest) }))
}
