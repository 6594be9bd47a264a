//! Files that are no ledger, or are one no longer.

use super::*;

#[test]
fn files_that_are_no_ledger_are_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("other.db");
    let refused = |path: &Path| LedgerFile::open(path).unwrap_err().to_string();
    std::fs::write(&path, b"This is a text, and no database at all. ".repeat(100)).unwrap();
    assert!(
        refused(&path)
            .ends_with("is damaged or no ledger: restore it from a backup, or move it away to begin anew")
    );
    std::fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE cats (name TEXT)").unwrap();
    assert!(refused(&path).contains("is a database of another program"));
    drop(other);
    let newer = directory.path().join("newer.db");
    LedgerFile::open(&newer).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(refused(&newer).contains("has version 99, and this iron-sdk knows up to 2"));
    let inside = directory.path().join("newer.db/ledger.db");
    assert!(refused(&inside).contains("cannot be used (making its directory)"));
}

#[test]
fn a_file_that_is_taken_away_grants_nothing_more() {
    let (directory, mut process, now) = alone();
    let path = directory.path().join("ledger.db");
    let aside = directory.path().join("aside.db");
    std::fs::rename(&path, &aside).unwrap();
    let want = Want { least: 1, most: 1 };
    let refused =
        |process: &mut Process| process.file.open_lease(&daily(), want, now).unwrap_err().to_string();
    assert!(refused(&mut process).contains("was deleted while it was in use"));
    std::fs::write(&path, "").unwrap();
    assert!(refused(&mut process).contains("was replaced by another file"));
    std::fs::rename(&aside, &path).unwrap();
    assert!(process.open(&daily(), want, now));
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("new/state/ledger.db");
    let mut file = LedgerFile::open(&path).unwrap();
    file.declare(&daily(), LIMIT, 0).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(&directory.path().join("new/state/ledger.db-wal")), 0o600);
}

/// A ledger in use, with money spent, as it is on the disk at that moment.
fn in_use() -> (TempDir, Process, std::path::PathBuf, i64) {
    let (directory, mut process, now) = alone();
    assert!(process.open(&daily(), Want { least: 9_000, most: 9_000 }, now));
    process.begin(9_000, now, &daily());
    process.end(0, Ending::Settled(100));
    process.report(now);
    let path = directory.path().join("ledger.db");
    (directory, process, path, now)
}

fn truncate(path: &Path, bytes: u64) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

#[test]
fn a_ledger_that_has_been_emptied_is_not_begun_anew() {
    let (_directory, process, path, _) = in_use();
    assert!(path.metadata().unwrap().len() > 0);
    truncate(&path, 0);
    let refused = LedgerFile::open(&path).unwrap_err().to_string();
    assert!(
        refused.contains("is empty, and what belongs to it is not: restore it from a backup"),
        "{refused}"
    );
    drop(process);
}

#[test]
fn a_ledger_that_has_been_cut_short_is_refused() {
    let (_directory, process, path, now) = in_use();
    // The last to close it leaves all of it in the one file.
    drop(process);
    assert!(!path.with_extension("db-wal").exists());
    let whole = path.metadata().unwrap().len();
    for bytes in [whole - 4_096, whole / 2, 4_096, 100, 1] {
        truncate(&path, bytes);
        let opened = LedgerFile::open(&path).and_then(|mut file| file.declare(&daily(), LIMIT, now));
        let refused = opened.expect_err(&bytes.to_string()).to_string();
        assert!(refused.contains("is damaged or no ledger: restore it"), "{bytes}: {refused}");
    }
}
