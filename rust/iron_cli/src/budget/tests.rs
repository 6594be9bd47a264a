use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use iron_protocol::{LeaseId, NanoUsd};
use iron_runtime::budget::file::{Amounts, BudgetState, DoubtState, LeaseState, LossState, PeriodState};
use iron_runtime::budget::{Budget, Calendar, Ledger, Shared, Span, Window};

use super::*;

fn state() -> BudgetState {
    let amounts = Amounts {
        deposited: 20_000_000_000,
        settled: 12_345_678_901,
        in_doubt: 250_000_000,
        open: 1_000_000_000,
        loss: 500_000_000,
        available: 5_904_321_099,
        ..Amounts::default()
    };
    let lease = LeaseState {
        id: LeaseId::from_bytes([1; 16]),
        pid: 4_194_303,
        is_alive: true,
        age_seconds: 6_100,
        granted: 1_000_000_000,
        spent: 123_456_789,
        held: 20_000_000,
    };
    let doubt = DoubtState {
        id: 7,
        amount: 250_000_000,
        request: iron_protocol::RequestId::from_bytes([2; 16]),
        noticed_at: 0,
    };
    let loss = LossState { id: 3, amount: 500_000_000, pid: 77, may_live: false, noticed_at: 0 };
    let span = Span { starts: 1_795_478_400, ends: 1_795_564_800 };
    let leases = vec![lease.clone(), LeaseState { is_alive: false, ..lease }];
    let period =
        PeriodState { span, is_current: true, amounts, leases, doubts: vec![doubt], losses: vec![loss] };
    BudgetState {
        name: "research".into(),
        window: Window::Daily,
        limit: 20_000_000_000,
        periods: vec![period],
    }
}

#[test]
fn the_table_fits_eighty_columns() {
    let shown = show::table(Path::new("/home/ada/.local/state/iron/ledger.db"), &[state()]);
    assert_eq!(
        shown,
        "/home/ada/.local/state/iron/ledger.db

research (daily, 2026-11-24 to 2026-11-25)
  limit              20.000000
  settled            12.345679
  in doubt            0.250000
  loss                0.500000  perhaps spent: it has no trace
  open                1.000000  in 2 leases
  available           5.904322
    lease of 1.000000: 0.123457 spent, 0.020000 held, pid 4194303, 101 min
    lease of 1.000000: 0.123457 spent, 0.020000 held, dead, was pid 4194303, 101 min
    in doubt #7: 0.250000, call 02020202-0202-0202-0202-020202020202
    loss #3: 0.500000, dead, was pid 77
"
    );
    assert!(shown.lines().all(|line| line.chars().count() <= 84), "{shown}");
}

#[test]
fn amounts_are_rounded_up() {
    assert_eq!((dollars(1).as_str(), dollars(0).as_str()), ("0.000001", "0.000000"));
    assert_eq!(dollars(20_000_000_000), "20.000000");
}

fn iron(line: &[&str]) -> u8 {
    match crate::run(line.iter().map(|word| (*word).into())) {
        crate::Outcome::Exit(code) => code,
        crate::Outcome::Demo(_) => panic!("the demo"),
    }
}

#[test]
fn commands_exit_by_what_they_find() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("ledger.db");
    let ledger = path.to_str().unwrap();
    assert_eq!(iron(&["budget", "show", "--ledger", ledger]), 0);
    assert_eq!(iron(&["budget", "verify", "--ledger", ledger]), 0);
    assert_eq!(iron(&["budget", "release", "--ledger", ledger]), 1, "there is nothing to release in");
    assert!(!path.exists(), "looking makes no file");
    let budgets = Ledger::with_calendar(Calendar::set_by(Arc::new(AtomicI64::new(0))));
    let shared = Shared { ledger: path.clone(), window: Window::Lifetime };
    drop(Budget::shared(&budgets, "research", NanoUsd::from_nanos(1_000), shared).unwrap());
    assert_eq!(iron(&["budget", "show", "research", "--json", "--ledger", ledger]), 0);
    assert_eq!(iron(&["budget", "show", "other", "--ledger", ledger]), 1);
    assert_eq!(iron(&["budget", "release", "--ledger", ledger]), 0);
    assert_eq!(
        iron(&["budget", "release", "--in-doubt", "1", "--ledger", ledger]),
        2,
        "it has to be confirmed"
    );
    assert_eq!(iron(&["budget", "release", "--in-doubt", "1", "--not-billed", "--ledger", ledger]), 1);
    assert_eq!(iron(&["budget", "release", "--loss", "1", "--ledger", ledger]), 2, "it has to be confirmed");
    assert_eq!(iron(&["budget", "release", "--loss", "1", "--not-spent", "--ledger", ledger]), 1);
    assert_eq!(iron(&["budget", "prune", "--ledger", ledger]), 2, "how many to keep has to be said");
    assert_eq!(iron(&["budget", "prune", "--keep", "2", "--ledger", ledger]), 0);
    std::fs::write(&path, "no database, but long enough to be taken for one".repeat(90)).unwrap();
    assert_eq!(iron(&["budget", "verify", "--ledger", ledger]), 1);
}
