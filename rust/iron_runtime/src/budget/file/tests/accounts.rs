//! Where each dollar stands.

use super::*;

#[test]
fn a_bill_beyond_a_lease_is_paid_from_what_is_left() {
    let (_directory, mut process, now) = alone();
    assert!(process.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    process.begin(500, now, &daily());
    process.end(0, Ending::Settled(300));
    process.report(now);
    let accounts = amounts(&mut process.file, now);
    assert_eq!((accounts.settled, accounts.overage), (1_500, 0));
    assert!(process.open(&daily(), Want { least: 8_000, most: 8_000 }, now));
    process.begin(8_500, now, &daily());
    process.end(0, Ending::Settled(200));
    process.report(now);
    let accounts = amounts(&mut process.file, now);
    assert_eq!((accounts.settled, accounts.overage, accounts.available), (18_500, 8_500, 0));
    assert!(accounts.agree());
}

#[test]
fn money_of_a_window_settles_in_it() {
    let (_directory, mut process, now) = alone();
    assert!(process.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    process.begin(300, now, &daily());
    let tomorrow = now + DAY;
    assert!(process.open(&daily(), Want { least: 10, most: 10 }, tomorrow));
    process.end(0, Ending::Settled(100));
    process.report(tomorrow);
    let budgets = process.file.budgets(&calendar(tomorrow)).unwrap();
    let [today, yesterday] = &budgets[0].periods[..] else { panic!("{budgets:?}") };
    assert_eq!((today.amounts.settled, today.amounts.deposited), (0, LIMIT));
    let expected = Amounts { deposited: LIMIT, settled: 300, expired: LIMIT - 300, ..Amounts::default() };
    assert_eq!(yesterday.amounts, expected);
    // The clock was wrong: what had expired is there again, and no more than that.
    let standing = process.file.standing(&daily(), now).unwrap();
    assert_eq!((standing.amounts.available, standing.amounts.expired), (LIMIT - 300, 0));
    process.pool.drain(LeaseEnd::GivenBack);
    process.report(now);
    assert!(!process.open(&daily(), Want { least: LIMIT - 299, most: LIMIT }, now));
    assert!(process.open(&daily(), Want { least: LIMIT - 300, most: LIMIT }, now));
}

#[test]
fn the_file_refuses_accounts_that_do_not_agree() {
    let (_directory, process, _) = alone();
    for change in ["settled = settled + 1", "available = available - 1", "available = -1, open = 10001"] {
        let sql = format!("UPDATE period SET {change}");
        assert!(process.file.connection.execute(&sql, []).is_err(), "{change}");
    }
}

#[test]
fn verify_names_what_is_wrong() {
    let (_directory, mut process, now) = alone();
    assert!(process.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    process.file.connection.execute("UPDATE period SET settled = 500, open = 500", []).unwrap();
    let found = process.file.verify().unwrap();
    assert_eq!(
        found,
        ["budget \"research\" (daily), window 1: 500 nano-dollars are open, and its leases hold 1000"]
    );
}

#[test]
fn a_process_that_waits_is_heard_by_those_who_hold() {
    let (directory, mut holder, now) = alone();
    let mut other = Process::new(&directory);
    assert!(holder.open(&daily(), Want { least: LIMIT, most: LIMIT }, now));
    assert!(!holder.file.standing(&daily(), now).unwrap().claimed);
    assert!(!other.open(&daily(), Want { least: 10, most: 10 }, now));
    assert!(holder.file.standing(&daily(), now).unwrap().claimed);
    assert!(!holder.file.standing(&daily(), now + 3).unwrap().claimed, "for a while");
    holder.pool.drain(LeaseEnd::GivenBack);
    holder.report(now);
    assert!(other.open(&daily(), Want { least: 10, most: 10 }, now));
}

#[test]
fn a_claim_from_a_time_that_has_not_come_is_not_believed() {
    let (directory, mut holder, tomorrow) = alone();
    let lifetime = BudgetKey { name: "all".into(), window: Window::Lifetime };
    holder.file.declare(&lifetime, LIMIT, tomorrow).unwrap();
    let mut other = Process::new(&directory);
    assert!(holder.open(&lifetime, Want { least: LIMIT, most: LIMIT }, tomorrow));
    assert!(!other.open(&lifetime, Want { least: 10, most: 10 }, tomorrow));
    // The clock was wrong, and is set right.
    let now = tomorrow - DAY;
    assert!(!holder.file.standing(&lifetime, now).unwrap().claimed);
    assert!(!other.open(&lifetime, Want { least: 10, most: 10 }, now));
    assert!(holder.file.standing(&lifetime, now).unwrap().claimed, "said again");
}

#[test]
fn processes_that_look_at_midnight_begin_one_window() {
    let (directory, process, now) = alone();
    drop(process);
    let all = std::sync::Barrier::new(8);
    let look = || {
        let mut file = ledger(&directory);
        let days = 1..10;
        days.map(|day| {
            all.wait();
            file.standing(&daily(), now + day * DAY).map(|standing| standing.amounts.available)
        })
        .collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let looking: Vec<_> = (0..8).map(|_| scope.spawn(look)).collect();
        for available in looking.into_iter().flat_map(|thread| thread.join().unwrap()) {
            assert_eq!(available.unwrap(), LIMIT);
        }
    });
}

#[test]
fn a_report_that_is_made_again_changes_nothing() {
    let (_directory, mut process, now) = alone();
    assert!(process.open(&daily(), Want { least: 1_000, most: 1_000 }, now));
    process.begin(300, now, &daily());
    process.begin(200, now, &daily());
    process.end(0, Ending::Settled(50));
    process.end(0, Ending::InDoubt);
    process.pool.drain(LeaseEnd::GivenBack);
    let reports = process.pool.reports(true);
    for _ in 0..2 {
        process.file.report(&reports, now).unwrap();
        let accounts = amounts(&mut process.file, now);
        assert_eq!((accounts.settled, accounts.in_doubt, accounts.open), (150, 200, 0));
        assert_eq!(accounts.available, LIMIT - 350);
    }
}

#[test]
fn the_newest_windows_are_kept_and_no_more() {
    let (directory, mut process, first) = alone();
    assert!(process.open(&daily(), Want { least: 1_000, most: 1_000 }, first));
    process.begin(300, first, &daily());
    process.end(0, Ending::InDoubt);
    for day in 1..=450 {
        process.file.declare(&daily(), LIMIT, first + day * DAY).unwrap();
    }
    let last = first + 450 * DAY;
    let starts = |process: &mut Process| -> Vec<i64> {
        let periods = process.file.budgets(&calendar(last)).unwrap().remove(0).periods;
        periods.iter().map(|period| (period.span.starts - first) / DAY).collect()
    };
    let expected: Vec<i64> = (51..=450).rev().chain([0]).collect();
    assert_eq!(starts(&mut process), expected, "the first has an open lease");
    process.pool.drain(LeaseEnd::GivenBack);
    process.report(last);
    let bytes = || directory.path().join("ledger.db").metadata().unwrap().len();
    process.file.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let before = bytes();
    let pruned = process.file.prune(2, &calendar(last)).unwrap();
    assert_eq!((pruned.windows, pruned.attempts), (399, 1));
    assert_eq!(starts(&mut process), [450, 449]);
    process.file.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    assert!(bytes() < before);
    // By a clock that was set back, none of them is over.
    assert_eq!(process.file.prune(0, &calendar(first)).unwrap().windows, 0);
    assert_eq!(process.file.verify().unwrap(), Vec::<String>::new());
}
