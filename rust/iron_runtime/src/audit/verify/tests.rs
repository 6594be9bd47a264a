//! What verification makes of a log that somebody has been at.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use super::*;
use crate::audit::chain::{Chain, Options, Sync};
use crate::audit::record;
use crate::clock::calendar_now;

/// A log of one chain in several files.
struct Written {
    directory: TempDir,
    lines: Vec<Vec<u8>>,
    /// Where each line stands.
    places: Vec<(PathBuf, u64)>,
}

fn options(directory: &Path) -> Options {
    let key = Key::new(b"secret");
    Options { directory: directory.into(), sync: Sync::Never, rotate_bytes: 4_096, keep: None, key }
}

fn append(options: &Options, records: usize) {
    let mut chain = Chain::open(options).unwrap();
    for nth in 0..records {
        chain.make_room(calendar_now()).unwrap();
        chain.append(
            calendar_now(),
            &serde_json::json!({"kind": "call", "nth": nth, "text": "x".repeat(nth % 90)}),
        );
        chain.flush().unwrap();
    }
}

impl Written {
    fn new(records: usize) -> Self {
        let directory = TempDir::new().unwrap();
        append(&options(directory.path()), records);
        let mut written = Self { directory, lines: Vec::new(), places: Vec::new() };
        for file in written.files() {
            let text = fs::read(&file).unwrap();
            let lines = text.split_inclusive(|byte| *byte == b'\n');
            for (at, line) in (1..).zip(lines) {
                written.lines.push(line.to_vec());
                written.places.push((file.clone(), at));
            }
        }
        written
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = place::segments(self.directory.path(), "000").unwrap();
        files.into_iter().map(|file| file.path).collect()
    }

    /// Write `lines` in place of the log's, all but those before `place` into the file of that place.
    fn rewrite(&self, file: &Path, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let mut lines: Vec<_> = self
            .places
            .iter()
            .zip(&self.lines)
            .filter(|((of, _), _)| of == file)
            .map(|(_, line)| line.clone())
            .collect();
        change(&mut lines);
        fs::write(file, lines.concat()).unwrap();
    }

    fn verify(&self) -> Verified {
        verify(self.directory.path(), Key::new(b"secret").as_ref(), &[]).unwrap()
    }

    fn problems(&self) -> Vec<(Option<u64>, Option<u64>, Wrong)> {
        self.verify().problems.into_iter().map(|problem| (problem.line, problem.seq, problem.wrong)).collect()
    }

    /// The place of the record of that number, from 1: its file, its index there, and whether it is the file's last.
    fn place(&self, seq: u64) -> (PathBuf, usize, bool) {
        let at = usize::try_from(seq).unwrap() - 1;
        let (file, line) = &self.places[at];
        let is_last = self.places.get(at + 1).is_none_or(|(next, _)| next != file);
        (file.clone(), usize::try_from(*line).unwrap() - 1, is_last)
    }

    fn last(&self) -> u64 {
        self.lines.len() as u64
    }
}

#[test]
fn a_log_that_nobody_has_been_at_is_sound() {
    let written = Written::new(60);
    assert!(written.files().len() > 3, "several files");
    let verified = written.verify();
    assert_eq!((verified.problems, verified.notes), (vec![], Vec::<String>::new()));
    let [chain] = &verified.chains[..] else { panic!("one chain") };
    assert_eq!((chain.records, chain.last_seq, chain.sealed), (written.last(), written.last(), true));
    let alone = verify(&written.files()[1], None, &[]).unwrap();
    assert_eq!((alone.problem_count, alone.notes.len()), (0, 1));
    let pinned = verify(written.directory.path(), None, &[chain.head]).unwrap();
    assert_eq!((pinned.problem_count, pinned.notes.len()), (0, 1), "the seal was not checked");
    let other = verify(written.directory.path(), Key::new(b"other").as_ref(), &[Digest::of(b"x")]).unwrap();
    let wrong: Vec<_> = other.problems.into_iter().map(|problem| problem.wrong).collect();
    assert_eq!(wrong, [Wrong::Unsealed, Wrong::Unpinned { hash: Digest::of(b"x") }]);
}

#[test]
fn a_missing_file_is_named_with_its_records() {
    let written = Written::new(60);
    let files = written.files();
    fs::remove_file(&files[1]).unwrap();
    let first = written.places.iter().position(|(file, _)| *file == files[1]).unwrap() as u64 + 1;
    let last = written.places.iter().rposition(|(file, _)| *file == files[1]).unwrap() as u64 + 1;
    let missing = Problem::of(&files[1], Wrong::FileMissing { first, last });
    assert_eq!(written.verify().problems, [missing]);
    fs::remove_file(&files[0]).unwrap();
    let [(_, _, Wrong::BeginningMissing { first })] = written.problems()[..] else { panic!() };
    assert_eq!(first, last + 1);
}

#[test]
fn the_newest_file_is_missed() {
    let written = Written::new(60);
    let newest = written.files().pop().unwrap();
    fs::remove_file(&newest).unwrap();
    let first = written.places.iter().position(|(file, _)| *file == newest).unwrap() as u64 + 1;
    assert_eq!(written.problems(), [(None, None, Wrong::Cut { first, last: written.last() })]);
}

#[test]
fn an_old_file_that_was_deleted_as_configured_is_not() {
    let directory = TempDir::new().unwrap();
    append(&Options { keep: Some(2), ..options(directory.path()) }, 200);
    let files = place::segments(directory.path(), "000").unwrap();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files[0].number > 1);
    let verified = verify(directory.path(), None, &[]).unwrap();
    assert_eq!(verified.problems, []);
}

#[test]
fn a_log_that_was_written_anew_is_not_sealed() {
    let written = Written::new(5);
    for file in fs::read_dir(written.directory.path()).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    append(&Options { key: None, ..options(written.directory.path()) }, 5);
    assert_eq!(written.problems(), [(None, None, Wrong::Unsealed)]);
    fs::remove_file(place::head(written.directory.path(), "000")).unwrap();
    assert_eq!(written.problems(), [(None, None, Wrong::Headless)]);
}

#[test]
fn an_inserted_record_stands_beside_the_one_of_its_number() {
    let written = Written::new(10);
    let (file, at, _) = written.place(5);
    let (before, _) =
        record::sound(written.lines[3].strip_suffix(b"\n").unwrap()).map(|(e, hash)| (hash, e)).unwrap();
    let mut forged = Vec::new();
    let after = Link { seq: 4, hash: before };
    record::write(&mut forged, "000", after, calendar_now(), &serde_json::json!({"kind": "call"}));
    written.rewrite(&file, |lines| lines.insert(at, forged));
    assert_eq!(written.problems(), [(Some(6), Some(5), Wrong::Inserted)]);
}

/// One way of being at a log.
#[derive(Clone, Debug)]
enum Tampering {
    Flip { byte: Index, bit: u8 },
    Drop,
    SwapWithNext,
    Duplicate,
    CopyToTheEnd,
    Insert,
    Truncate,
}

fn tampering() -> impl Strategy<Value = Tampering> {
    prop_oneof![
        3 => (any::<Index>(), 0..8_u8).prop_map(|(byte, bit)| Tampering::Flip { byte, bit }),
        2 => Just(Tampering::Drop),
        2 => Just(Tampering::SwapWithNext),
        1 => Just(Tampering::Duplicate),
        1 => Just(Tampering::CopyToTheEnd),
        1 => Just(Tampering::Insert),
        2 => Just(Tampering::Truncate),
    ]
}

/// The log that every case begins with: it is copied, because making one waits for the disk.
fn case() -> Written {
    static FIRST: std::sync::OnceLock<Written> = std::sync::OnceLock::new();
    let first = FIRST.get_or_init(|| Written::new(60));
    let directory = TempDir::new().unwrap();
    for file in fs::read_dir(first.directory.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
    }
    let moved = |(file, line): &(PathBuf, u64)| (directory.path().join(file.file_name().unwrap()), *line);
    let places = first.places.iter().map(moved).collect();
    Written { lines: first.lines.clone(), places, directory }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn whoever_has_been_at_it_is_told_where(record in any::<Index>(), how in tampering()) {
        let written = case();
        let seq = record.index(written.lines.len()) as u64 + 1;
        let (file, at, is_last) = written.place(seq);
        let line = at as u64 + 1;
        let is_newest = file == *written.files().last().unwrap();
        let problems = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            written.rewrite(&file, |lines| change(lines));
            written.problems()
        };
        match how {
            Tampering::Flip { byte, bit } => {
                let found = problems(&|lines| {
                    let byte = byte.index(lines[at].len());
                    lines[at][byte] ^= 1 << bit;
                });
                // A flip may make two lines of one, or one of two.
                prop_assert!(!found.is_empty());
                prop_assert!(
                    found.iter().all(|(at, ..)| at.is_none_or(|at| (line..=line + 2).contains(&at))),
                    "{seq} at {line}: {found:?}"
                );
                prop_assert!(found.len() <= 3, "{found:?}");
            }
            Tampering::Drop if seq == written.last() => {
                let found = problems(&|lines| drop(lines.remove(at)));
                prop_assert_eq!(found, [(None, None, Wrong::Cut { first: seq, last: seq })]);
            }
            Tampering::Drop if seq == 1 => {
                let found = problems(&|lines| drop(lines.remove(at)));
                prop_assert_eq!(found, [(Some(1), None, Wrong::BeginningMissing { first: 2 })]);
            }
            Tampering::Drop => {
                let found = problems(&|lines| drop(lines.remove(at)));
                let missing = Wrong::Missing { first: seq, last: seq };
                prop_assert_eq!(found, [(Some(if is_last { 1 } else { line }), Some(seq + 1), missing)]);
            }
            Tampering::SwapWithNext if !is_last && seq > 1 => {
                let found = problems(&|lines| lines.swap(at, at + 1));
                if seq + 1 == written.last() {
                    // The end is what it should be, but for its place.
                    prop_assert_eq!(found[0].clone(), (Some(line), Some(seq + 1), Wrong::Moved));
                } else {
                    prop_assert_eq!(found, [(Some(line), Some(seq + 1), Wrong::Moved)]);
                }
            }
            Tampering::Duplicate => {
                let found = problems(&|lines| lines.insert(at, lines[at].clone()));
                prop_assert_eq!(found, [(Some(line + 1), Some(seq), Wrong::Copied)]);
            }
            Tampering::CopyToTheEnd => {
                let found = problems(&|lines| lines.push(lines[at].clone()));
                prop_assert_eq!(found.len(), 1, "{:?}", found);
                prop_assert_eq!((found[0].1, found[0].2.clone()), (Some(seq), Wrong::Copied));
            }
            Tampering::Insert => {
                let found = problems(&|lines| lines.insert(at, b"{\"kind\":\"call\"}\n".to_vec()));
                prop_assert_eq!(found, [(Some(line), None, Wrong::Foreign)]);
            }
            Tampering::Truncate if is_newest => {
                let found = problems(&|lines| lines.truncate(at));
                prop_assert_eq!(found, [(None, None, Wrong::Cut { first: seq, last: written.last() })]);
                let found = problems(&|lines| {
                    lines.truncate(at + 1);
                    let half = lines[at].len() / 2;
                    lines[at].truncate(half);
                });
                prop_assert_eq!(found, [(None, None, Wrong::Cut { first: seq, last: written.last() })]);
            }
            Tampering::Truncate | Tampering::SwapWithNext => {}
        }
    }
}
