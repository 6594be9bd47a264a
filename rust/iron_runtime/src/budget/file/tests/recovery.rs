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
