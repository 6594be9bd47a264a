//! What the dead leave, where their journals do not say all of it.

use super::*;

#[test]
fn across_a_boot_what_a_journal_does_not_say_is_lost() {
    let (directory, mut dead, now) = alone();
    assert!(dead.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    dead.begin(300, now, &daily());
    dead.begin(200, now, &daily());
    dead.end(0, Ending::Settled(50));
    drop(dead);
    let mut other = Process::new(&directory);
    other.file.boot = Some("another".to_owned());
    let recovered = other.file.recover(&calendar(now)).unwrap();
    let expected = Recovered { leases: 1, settled: 150, in_doubt: 200, returned: 0, loss: 650 };
    assert_eq!(recovered, expected);
    let accounts = amounts(&mut other.file, now);
    assert_eq!((accounts.loss, accounts.available), (650, LIMIT - 1_000));
}

#[test]
fn what_a_damaged_or_deleted_journal_does_not_say_is_lost() {
    for deleted in [false, true] {
        let (directory, mut dead, now) = alone();
        assert!(dead.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
        dead.begin(300, now, &daily());
        dead.end(0, Ending::Settled(50));
        dead.report(now);
        dead.begin(200, now, &daily());
        let path = std::fs::read_dir(&dead.file.journals).unwrap().next().unwrap().unwrap().path();
        drop(dead);
        if deleted {
            std::fs::remove_file(&path).unwrap();
        } else {
            let mut bytes = std::fs::read(&path).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        let mut other = Process::new(&directory);
        assert_eq!(other.file.verify().unwrap().len(), 1);
        let recovered = other.file.recover(&calendar(now)).unwrap();
        assert_eq!(
            (recovered.settled, recovered.in_doubt, recovered.loss),
            (0, 0, 850),
            "deleted: {deleted}"
        );
        assert_eq!(amounts(&mut other.file, now).settled, 150);
    }
}

/// A process that has spent 100 of 1000, and the accounts after its journal was deleted.
fn lost() -> (TempDir, Process, LossState, i64) {
    let (directory, mut process, now) = alone();
    assert!(process.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    process.begin(100, now, &daily());
    process.end(0, Ending::Settled(100));
    process.report(now);
    let path = std::fs::read_dir(&process.file.journals).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(path).unwrap();
    assert_eq!(process.file.recover(&calendar(now)).unwrap().loss, 900);
    let loss = process.file.budgets(&calendar(now)).unwrap()[0].periods[0].losses[0].clone();
    (directory, process, loss, now)
}

#[test]
fn a_loss_is_released_once_its_holder_has_ended() {
    let (_directory, mut process, loss, now) = lost();
    let me = std::process::id();
    assert_eq!((loss.amount, loss.pid, loss.may_live), (900, me, true));
    let mut release = |id| process.file.release_loss(id, &calendar(now)).unwrap();
    assert_eq!(release(loss.id), LossRelease::HolderLives(me));
    assert_eq!(release(loss.id + 1), LossRelease::Unknown);
    // No process has an id beyond the largest.
    process.file.connection.execute("UPDATE loss SET pid = 2147483647", []).unwrap();
    let mut release = |id| process.file.release_loss(id, &calendar(now)).unwrap();
    assert_eq!(release(loss.id), LossRelease::Released(900));
    assert_eq!(release(loss.id), LossRelease::Unknown, "once");
    let accounts = amounts(&mut process.file, now);
    assert_eq!((accounts.loss, accounts.settled, accounts.available), (0, 100, LIMIT - 100));
    assert_eq!(process.file.verify().unwrap(), Vec::<String>::new());
}

#[test]
fn the_holders_of_another_boot_are_dead() {
    let (_directory, mut process, loss, now) = lost();
    process.file.boot = Some("another".to_owned());
    assert_eq!(process.file.release_loss(loss.id, &calendar(now)).unwrap(), LossRelease::Released(900));
}

#[test]
fn what_was_lost_before_losses_were_noted_can_be_released() {
    let (directory, process, loss, now) = lost();
    process.file.connection.execute_batch("DROP TABLE loss; PRAGMA user_version = 1").unwrap();
    let mut file = ledger(&directory);
    assert_eq!(file.verify().unwrap(), Vec::<String>::new());
    assert_eq!(file.release_loss(loss.id, &calendar(now)).unwrap(), LossRelease::Released(900));
}

/// A process that is killed while its grant waits for the disk has written it to SQLite's log, and has not said so to
/// others. They do not see it, and yet it counts once all of them have ended and the log is read anew, unless something was
/// written over it meanwhile.
#[test]
fn a_grant_that_others_have_not_seen_does_not_come_back_without_its_journal() {
    let (directory, mut process, now) = alone();
    let place = |directory: &TempDir| directory.path().join("ledger.db");
    let log = |directory: &TempDir| directory.path().join("ledger.db-wal");
    let copy = |from: &TempDir, to: &TempDir| {
        std::fs::copy(place(from), place(to)).unwrap();
        std::fs::copy(log(from), log(to)).unwrap();
    };
    // The grant of a twin, written to the log of the first where its own would be.
    let twin = TempDir::new().unwrap();
    copy(&directory, &twin);
    let seen = std::fs::metadata(log(&directory)).unwrap().len();
    let mut killed = Process::new(&twin);
    assert!(killed.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    let written = std::fs::read(log(&twin)).unwrap();
    let (_, unseen) = written.split_at(usize::try_from(seen).unwrap());
    assert!(!unseen.is_empty());
    let mut end = std::fs::OpenOptions::new().append(true).open(log(&directory)).unwrap();
    std::io::Write::write_all(&mut end, unseen).unwrap();
    let journal = std::fs::read_dir(&killed.file.journals).unwrap().next().unwrap().unwrap();
    let left = process.file.journals.join(journal.file_name());
    std::fs::copy(journal.path(), &left).unwrap();

    assert_eq!(process.file.recover(&calendar(now)).unwrap(), Recovered::default(), "nobody sees the grant");
    // All processes end, killed: what is on the disk is all there is.
    let after = TempDir::new().unwrap();
    copy(&directory, &after);
    if left.exists() {
        let journals = after.path().join("ledger.db-journals");
        std::fs::create_dir(&journals).unwrap();
        std::fs::copy(&left, journals.join(journal.file_name())).unwrap();
    }
    let mut next = Process::new(&after);
    let found = next.file.recover(&calendar(now)).unwrap();
    assert_eq!(found.loss, 0, "{found:?}");
    assert_eq!(amounts(&mut next.file, now).available, LIMIT);
}
