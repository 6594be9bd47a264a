use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn request(nth: u8) -> RequestId {
    RequestId::from_bytes([nth; 16])
}

fn part(lease: LeaseId, attempt: u64, amount: i64) -> Part<()> {
    Part { lease, attempt, amount, journal: () }
}

fn begin(directory: &TempDir) -> (PathBuf, Journal) {
    let path = directory.path().join("one.journal");
    let journal = Journal::create(&path, LeaseId::new()).unwrap();
    (path, journal)
}

/// What is done to a journal, one record each.
#[derive(Clone, Copy, Debug)]
enum Line {
    Admit(u64, i64),
    End(u64, i64, Ending),
}

/// Ten attempts, some overlapping: settled below, at and above what was reserved, in doubt, and never ended.
fn entries() -> Vec<Line> {
    let mut entries = Vec::new();
    for attempt in 0..10_u64 {
        let amount = 100 + i64::try_from(attempt).unwrap();
        entries.push(Line::Admit(attempt, amount));
        let ended = attempt.saturating_sub(attempt % 3);
        let ending = match attempt % 5 {
            0 => Ending::Settled(40),
            1 => Ending::Settled(amount),
            2 => Ending::InDoubt,
            3 => Ending::Settled(amount + 7),
            _ => continue,
        };
        if ended == attempt || attempt % 2 == 0 {
            entries.push(Line::End(attempt, amount, ending));
        }
    }
    entries
}

fn write(journal: &Journal, entry: Line) {
    let lease = journal.lease();
    match entry {
        Line::Admit(attempt, amount) => journal.admit(&part(lease, attempt, amount), request(1)),
        Line::End(attempt, amount, ending) => journal.end(&part(lease, attempt, amount), ending, request(1)),
    }
    .unwrap();
}

/// What a journal of those entries says.
fn expected(entries: &[Line]) -> Replay {
    let mut replay =
        Replay { settled: 0, overage: 0, doubts: Vec::new(), in_flight: Vec::new(), intact: true };
    for entry in entries {
        match *entry {
            Line::Admit(attempt, amount) => {
                replay.in_flight.push(Doubt { attempt, amount, request: request(1) });
            }
            Line::End(attempt, amount, ending) => {
                replay.in_flight.retain(|open| open.attempt != attempt);
                match ending {
                    Ending::Settled(actual) => {
                        replay.settled += actual.min(amount);
                        replay.overage += (actual - amount).max(0);
                    }
                    Ending::InDoubt => replay.doubts.push(Doubt { attempt, amount, request: request(1) }),
                }
            }
        }
    }
    replay
}

fn written() -> (LeaseId, Vec<u8>, Vec<Line>) {
    let directory = TempDir::new().unwrap();
    let (path, journal) = begin(&directory);
    let entries = entries();
    for entry in &entries {
        write(&journal, *entry);
    }
    (journal.lease(), std::fs::read(path).unwrap(), entries)
}

#[test]
fn a_journal_says_what_was_written() {
    let (lease, bytes, entries) = written();
    let replay = Replay::of(&bytes, lease);
    assert_eq!(replay, expected(&entries));
    assert!(!replay.in_flight.is_empty() && !replay.doubts.is_empty() && replay.overage > 0);
}

#[test]
fn cut_anywhere_it_says_what_stood_before_the_cut() {
    let (lease, bytes, entries) = written();
    for cut in 0..=bytes.len() {
        let replay = Replay::of(&bytes[..cut], lease);
        let Some(whole) = cut.checked_sub(HEADER_BYTES).map(|bytes| bytes / RECORD_BYTES) else {
            assert!(!replay.intact, "without its header it is no journal");
            continue;
        };
        assert_eq!(replay, expected(&entries[..whole]), "cut at {cut}");
    }
}

/// A changed byte is noticed wherever it is, and nothing that follows it is believed.
#[test]
fn a_changed_byte_ends_what_is_believed() {
    let (lease, bytes, entries) = written();
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            let replay = Replay::of(&changed, lease);
            assert!(!replay.intact, "byte {at}");
            let before = at.saturating_sub(HEADER_BYTES) / RECORD_BYTES;
            let expected = if at < HEADER_BYTES { expected(&[]) } else { expected(&entries[..before]) };
            assert_eq!(Replay { intact: true, ..replay }, expected, "byte {at}");
        }
    }
}

#[test]
fn zeros_and_records_of_another_journal_are_not_believed() {
    let (lease, bytes, entries) = written();
    let (_, other, _) = written();
    for tail in [vec![0; 400], other[HEADER_BYTES..].to_vec(), bytes[HEADER_BYTES..].to_vec()] {
        let replay = Replay::of(&[bytes.as_slice(), &tail].concat(), lease);
        assert_eq!(replay, Replay { intact: false, ..expected(&entries) });
    }
    assert!(!Replay::of(&bytes, LeaseId::new()).intact);
}

#[test]
fn its_owner_holds_it_while_it_lives() {
    let directory = TempDir::new().unwrap();
    let (path, journal) = begin(&directory);
    let lease = journal.lease();
    assert!(matches!(read_left(&path, lease).unwrap(), Left::Owned) && is_owned(&path));
    drop(journal);
    assert!(!is_owned(&path));
    let Left::Dead(replay, locked) = read_left(&path, lease).unwrap() else { panic!("not dead") };
    assert_eq!(replay, expected(&[]));
    assert!(matches!(read_left(&path, lease).unwrap(), Left::Owned), "one settles it at a time");
    drop(locked);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(read_left(&path, lease).unwrap(), Left::Missing));
}

#[test]
fn threads_write_whole_records() {
    let directory = TempDir::new().unwrap();
    let (path, journal) = begin(&directory);
    let journal = Arc::new(journal);
    let threads: Vec<_> = (0..4_u64)
        .map(|thread| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                for attempt in (0..2_000).map(|nth| nth * 4 + thread) {
                    write(&journal, Line::Admit(attempt, 3));
                    write(&journal, Line::End(attempt, 3, Ending::Settled(2)));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let replay = read(&path, journal.lease()).unwrap();
    assert_eq!((replay.settled, replay.in_flight.len(), replay.intact), (16_000, 0, true));
}

proptest! {
    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let lease = LeaseId::from_bytes([7; 16]);
        let mut journal = [MAGIC.as_slice(), lease.as_bytes()].concat();
        journal.extend(&bytes);
        let replay = Replay::of(&journal, lease);
        prop_assert!(replay.settled == 0 && replay.in_flight.is_empty());
    }
}
