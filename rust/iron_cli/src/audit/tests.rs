//! Times, as they may be given.

use super::filter::since;

#[test]
fn a_time_is_a_day_a_moment_or_so_long_ago() {
    for (given, expected) in [
        ("2026-11-24", "2026-11-24"),
        ("2026-11-24T16:00", "2026-11-24T16:00"),
        ("2026-11-24T16:00:00.5Z", "2026-11-24T16:00:00.5"),
    ] {
        assert_eq!(since(given), Ok(expected.to_owned()));
    }
    let [hours, days] = ["48h", "1d"].map(|given| since(given).unwrap());
    assert!(hours < days && days.ends_with('Z'), "{hours} {days}");
    for wrong in ["", "yesterday", "24.11.2026", "2026-11", "5y", "-3d"] {
        assert!(since(wrong).is_err(), "{wrong}");
    }
}
