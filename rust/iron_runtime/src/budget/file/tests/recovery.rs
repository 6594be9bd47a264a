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
