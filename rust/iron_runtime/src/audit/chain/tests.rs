//! What a process leaves, and how the next goes on.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::audit::place;
use crate::audit::verify::{Problem, Wrong, verify};

fn options(directory: &Path) -> Options {
    Options { directory: directory.into(), sync: Sync::Never, rotate_bytes: 1 << 20, keep: None, key: None }
}

/// Open, append so many records, and leave without a word.
fn append(directory: &Path, records: u64) {
    let mut chain = Chain::open(&options(directory)).unwrap();
    for nth in 0..records {
        chain.append(calendar_now(), &json!({"kind": "call", "nth": nth}));
    }
    chain.flush().unwrap();
}

fn records(directory: &Path) -> Vec<Value> {
    let files = place::segments(directory, "000").unwrap();
    let text: String = files.iter().map(|file| fs::read_to_string(&file.path).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(directory: &Path) -> Vec<String> {
    records(directory).iter().map(|record| record["kind"].as_str().unwrap().to_owned()).collect()
}

fn problems(directory: &Path) -> Vec<Problem> {
    verify(directory, None, &[]).unwrap().problems
}

fn newest(directory: &Path) -> std::path::PathBuf {
    place::segments(directory, "000").unwrap().pop().unwrap().path
}

#[test]
fn the_next_process_goes_on_with_the_chain() {
    let directory = TempDir::new().unwrap();
    append(directory.path(), 2);
    append(directory.path(), 1);
    assert_eq!(kinds(directory.path()), ["segment", "opened", "call", "call", "opened", "call"]);
    let resumed: Vec<_> =
        records(directory.path()).iter().filter_map(|record| record["resumed"].as_bool()).collect();
    assert_eq!(resumed, [false, true]);
    assert_eq!(problems(directory.path()), []);
}

#[test]
fn two_at_once_write_two_chains() {
    let directory = TempDir::new().unwrap();
    let first = Chain::open(&options(directory.path())).unwrap();
    let second = Chain::open(&options(directory.path())).unwrap();
    assert_eq!((first.name.as_str(), second.name.as_str()), ("000", "001"));
    drop(first);
    assert_eq!(Chain::open(&options(directory.path())).unwrap().name, "000");
}

#[test]
fn what_is_torn_is_put_aside_and_told() {
    // Half a record; what a filesystem may leave after a loss of power; whole lines that are none.
    for torn in [&b"{\"v\":1,\"chain\":\"000\",\"se"[..], &[0; 9_000], b"\0\0\n\0\n{}\n"] {
        let directory = TempDir::new().unwrap();
        append(directory.path(), 2);
        let file = newest(directory.path());
        let whole = fs::read(&file).unwrap();
        fs::write(&file, [&whole, torn].concat()).unwrap();
        append(directory.path(), 1);
        assert_eq!(kinds(directory.path())[4..], ["opened", "torn", "call"]);
        let told = records(directory.path()).remove(5);
        assert_eq!(told["bytes"], torn.len());
        let aside = directory.path().join(told["file"].as_str().unwrap());
        assert_eq!(fs::read(aside).unwrap(), torn);
        assert_eq!(problems(directory.path()), []);
    }
}

#[test]
fn what_had_been_counted_and_is_gone_is_told_and_stays_a_problem() {
    let directory = TempDir::new().unwrap();
    append(directory.path(), 3);
    let file = newest(directory.path());
    let text = fs::read_to_string(&file).unwrap();
    let left: String = text.split_inclusive('\n').take(3).collect();
    fs::write(&file, left).unwrap();
    append(directory.path(), 1);
    let told = records(directory.path());
    assert_eq!(
        (&told[4]["kind"], &told[4]["first"], &told[4]["last"]),
        (&json!("gap"), &json!(4), &json!(5))
    );
    assert_eq!(told[3]["seq"], 6);
    let [problem] = &problems(directory.path())[..] else { panic!("one problem") };
    assert_eq!((problem.line, &problem.wrong), (Some(4), &Wrong::Missing { first: 4, last: 5 }));
}

#[test]
fn a_file_that_was_only_begun_is_gone_on_with() {
    let directory = TempDir::new().unwrap();
    append(directory.path(), 1);
    fs::write(place::segment(directory.path(), "000", 2).path, "").unwrap();
    append(directory.path(), 1);
    assert_eq!(kinds(directory.path())[3..], ["segment", "opened", "call"]);
    assert_eq!(problems(directory.path()), []);
}

#[test]
fn a_file_is_of_one_day() {
    let directory = TempDir::new().unwrap();
    let mut chain = Chain::open(&options(directory.path())).unwrap();
    chain.make_room(calendar_now()).unwrap();
    let tomorrow = calendar_now() + Duration::from_secs(86_400);
    chain.make_room(tomorrow).unwrap();
    chain.make_room(tomorrow).unwrap();
    chain.append(tomorrow, &json!({"kind": "call"}));
    chain.flush().unwrap();
    assert_eq!(chain.segment, 2);
    assert_eq!(problems(directory.path()), []);
}

#[test]
fn what_cannot_be_written_stays_pending_and_whole() {
    let directory = TempDir::new().unwrap();
    let mut chain = Chain::open(&options(directory.path())).unwrap();
    // Open for reading alone, as after a filesystem has become so.
    let writable = std::mem::replace(&mut chain.file, fs::File::open(newest(directory.path())).unwrap());
    chain.append(calendar_now(), &json!({"kind": "call"}));
    assert!(chain.flush().is_err());
    assert!(chain.flush().is_err());
    chain.file = writable;
    chain.append(calendar_now(), &json!({"kind": "call"}));
    chain.flush().unwrap();
    assert_eq!(kinds(directory.path()), ["segment", "opened", "call", "call"]);
    assert_eq!(problems(directory.path()), []);
}
