use super::*;

const TODAY: Span = Span { starts: 0, ends: 100 };
const TOMORROW: Span = Span { starts: 100, ends: 200 };
const REQUEST: RequestId = RequestId::from_bytes([1; 16]);

fn id(nth: u8) -> LeaseId {
    LeaseId::from_bytes([nth; 16])
}

/// A process with one lease of 1,000, of today.
fn pool() -> Pool<()> {
    let mut pool = Pool::new();
    pool.enter(TODAY);
    pool.grant(id(1), TODAY, 1_000, ());
    pool
}

fn settle(pool: &mut Pool<()>, parts: &[Part<()>], actual: i64) {
    let amounts: Vec<i64> = parts.iter().map(|part| part.amount).collect();
    for (part, ending) in parts.iter().zip(Ending::Settled(actual).share_out(&amounts)) {
        pool.end(part, ending, REQUEST);
    }
}

fn whys(pool: &mut Pool<()>) -> Vec<(LeaseId, LeaseEnd, i64)> {
    let reports = pool.reports(true);
    pool.reported(&reports).into_iter().map(|closed| (closed.id, closed.why, closed.returned)).collect()
}

#[test]
fn the_next_lease_is_wanted_once_before_the_first_runs_out_and_is_beside_it() {
    let mut pool = pool();
    let first = pool.take(500);
    assert_eq!(pool.wants(None), None, "half of it is left");
    let second = pool.take(1);
    assert!(pool.calls());
    assert_eq!(pool.wants(None), Some(Want::AHEAD));
    assert_eq!(pool.wants(None), None, "asked for, and not again before there is an answer");
    assert_eq!(pool.free(), 499, "calls go on meanwhile");
    pool.grant(id(2), TODAY, 600, ());
    assert_eq!(pool.free(), 1_099, "beside the first, whose grant stays as it was");
    settle(&mut pool, &first, 0);
    settle(&mut pool, &second, 0);
    assert_eq!(pool.free(), 1_600);
}

#[test]
fn a_reservation_may_straddle_two_leases_and_leaves_no_cent_between_them() {
    let mut pool = pool();
    pool.grant(id(2), TODAY, 500, ());
    let parts = pool.take(1_200);
    let told: Vec<_> = parts.iter().map(|part| (part.lease, part.amount)).collect();
    assert_eq!(told, [(id(1), 1_000), (id(2), 200)]);
    settle(&mut pool, &parts, 1_100);
    assert_eq!(pool.free(), 400);
    assert_eq!(whys(&mut pool), [(id(1), LeaseEnd::Spent, 0)]);
}

#[test]
fn a_lease_never_crosses_a_window() {
    let mut pool = pool();
    let running = pool.take(300);
    pool.enter(TOMORROW);
    assert_eq!((pool.free(), pool.held()), (0, 0), "nothing of today pays for calls of tomorrow");
    let [report] = &pool.reports(true)[..] else { panic!("one lease") };
    assert_eq!(report.open, 300, "what no call holds goes back at once");
    assert!(whys(&mut pool).is_empty());
    settle(&mut pool, &running, 200);
    assert_eq!(pool.free(), 0);
    assert_eq!(
        whys(&mut pool),
        [(id(1), LeaseEnd::WindowOver, 800)],
        "what is under way settles in its window"
    );
    // A grant that comes when its window is over pays for nothing.
    pool.grant(id(2), TODAY, 1_000, ());
    assert_eq!(pool.free(), 0);
    assert_eq!(whys(&mut pool), [(id(2), LeaseEnd::WindowOver, 1_000)]);
}

#[test]
fn a_lease_with_a_long_journal_gives_way_to_the_next() {
    let mut pool = pool();
    for _ in 0..49_999 {
        let parts = pool.take(1);
        settle(&mut pool, &parts, 0);
    }
    assert!(!pool.calls());
    let parts = pool.take(1);
    settle(&mut pool, &parts, 0);
    assert_eq!(pool.wants(None), Some(Want::AHEAD));
    pool.grant(id(2), TODAY, 600, ());
    assert_eq!(pool.free(), 600);
    assert_eq!(whys(&mut pool), [(id(1), LeaseEnd::Worn, 1_000)]);
}

#[test]
fn what_is_in_doubt_stays_spent_and_is_reported_by_its_call() {
    let mut pool = pool();
    let parts = pool.take(300);
    pool.end(&parts[0], Ending::InDoubt, REQUEST);
    assert_eq!((pool.free(), pool.unreported()), (700, 300));
    let [report] = &pool.reports(true)[..] else { panic!("one lease") };
    assert_eq!((report.open, report.spent, report.settled), (700, 300, 0));
    let [doubt] = &report.doubts[..] else { panic!("{report:?}") };
    assert_eq!((doubt.amount, doubt.request), (300, REQUEST));
}

#[test]
fn more_than_its_least_is_waited_for_only_while_there_may_be_more() {
    let mut pool = pool();
    assert!(!pool.pays(500, 1_500));
    assert_eq!(pool.wants(Some(Want { least: 500, most: 1_500 })), Some(Want { least: 0, most: 500 }));
    pool.refused();
    assert!(pool.pays(500, 1_500));
    pool.may_ask(true);
    assert!(!pool.pays(500, 1_500));
}
