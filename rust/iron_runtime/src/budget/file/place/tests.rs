use tempfile::TempDir;

use super::*;
use crate::budget::file::LedgerFile;

#[test]
fn many_may_begin_a_file_at_once() {
    for _ in 0..20 {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("ledger.db");
        let all = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            let open = || {
                all.wait();
                LedgerFile::open(&path).map(drop)
            };
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            for thread in opened {
                thread.join().unwrap().unwrap();
            }
        });
    }
}

/// The locks of a process on a file end when it closes any descriptor of it, however many others it has.
#[cfg(target_os = "linux")]
#[test]
fn looking_for_the_file_does_not_unlock_it() {
    use std::os::unix::fs::MetadataExt;
    let directory = TempDir::new().unwrap();
    let file = LedgerFile::open(&directory.path().join("ledger.db")).unwrap();
    let inode = std::fs::metadata(file.path()).unwrap().ino();
    let locks = || {
        let all = std::fs::read_to_string("/proc/locks").unwrap();
        let ours = format!(":{inode} ");
        all.lines().filter(|line| line.contains("POSIX") && line.contains(&ours)).count()
    };
    let held = locks();
    assert!(held > 0, "a connection with a write-ahead log holds its file");
    prepare(file.path()).unwrap();
    assert_eq!(locks(), held);
}
