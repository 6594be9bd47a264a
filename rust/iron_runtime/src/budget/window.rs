//! The windows of a budget: after which time its limit begins anew.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400;

/// After which time a budget begins anew. Days are those of UTC, weeks begin on Monday.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Never.
    #[default]
    Lifetime,
    /// At midnight.
    Daily,
    /// At midnight before Monday.
    Weekly,
    /// At midnight before the first of the month.
    Monthly,
}

/// From one instant up to another, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first second.
    pub starts: i64,
    /// The first second after it.
    pub ends: i64,
}

impl Span {
    pub(super) const NEVER: Self = Self { starts: 0, ends: 0 };

    pub(super) fn contains(self, now: i64) -> bool {
        (self.starts..self.ends).contains(&now)
    }
}

impl Window {
    /// Every window, the longest first.
    pub const ALL: [Self; 4] = [Self::Lifetime, Self::Monthly, Self::Weekly, Self::Daily];

    /// The stable `snake_case` text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lifetime => "lifetime",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }

    /// The window of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.as_str() == name)
    }

    /// The window that holds `now`. A clock that goes back comes into a window that has been before.
    pub(super) fn around(self, now: i64) -> Span {
        let day = now.div_euclid(DAY);
        let (first, last) = match self {
            Self::Lifetime => return Span { starts: i64::MIN, ends: i64::MAX },
            Self::Daily => (day, day + 1),
            Self::Weekly => {
                // 1970 began on a Thursday.
                let monday = day - (day + 3).rem_euclid(7);
                (monday, monday + 7)
            }
            Self::Monthly => {
                let Date { year, month, .. } = Date::of(day);
                let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (days_before(year, month), days_before(next_year, next_month))
            }
        };
        Span { starts: first * DAY, ends: last * DAY }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// The day, in UTC, of so many seconds since 1970.
    pub fn of_second(second: i64) -> Self {
        Self::of(second.div_euclid(DAY))
    }

    fn of(day: i64) -> Self {
        // A guess that is never late: no year is longer than 366 days, or shorter than 365.
        let mut year = 1970 + day.div_euclid(if day < 0 { 365 } else { 366 });
        while days_before(year + 1, 1) <= day {
            year += 1;
        }
        let mut month = 1;
        while month < 12 && days_before(year, month + 1) <= day {
            month += 1;
        }
        Self { year, month, day: day - days_before(year, month) + 1 }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Days from 1970 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_years = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let is_leap = leap_years(year) > leap_years(year - 1);
    let years = (year - 1970) * 365 + leap_years(year - 1) - leap_years(1969);
    let months = usize::try_from(month - 1).ok().and_then(|month| BEFORE_MONTH.get(month)).unwrap_or(&0);
    years + months + i64::from(is_leap && month > 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Tue 2026-11-24 13:41:15 UTC.
    const NOW: i64 = 1_795_527_675;

    fn dates(window: Window, now: i64) -> (String, String) {
        let span = window.around(now);
        assert_eq!((span.starts % DAY, span.ends % DAY), (0, 0));
        (Date::of_second(span.starts).to_string(), Date::of_second(span.ends).to_string())
    }

    #[test]
    fn windows_are_those_of_the_calendar_in_utc() {
        let of = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(dates(Window::Daily, NOW), of("2026-11-24", "2026-11-25"));
        assert_eq!(dates(Window::Weekly, NOW), of("2026-11-23", "2026-11-30"));
        assert_eq!(dates(Window::Monthly, NOW), of("2026-11-01", "2026-12-01"));
        assert!(Window::Lifetime.around(NOW).contains(i64::MIN));
    }

    #[test]
    fn months_have_their_own_lengths() {
        for (from, to, days) in [
            ("2026-12-01", "2027-01-01", 31),
            ("2028-02-01", "2028-03-01", 29),
            ("2100-02-01", "2100-03-01", 28),
            ("2000-02-01", "2000-03-01", 29),
        ] {
            let mut numbers = from.split('-').map(|number| number.parse().unwrap());
            let first = days_before(numbers.next().unwrap(), numbers.next().unwrap());
            let last_second = (first + days) * DAY - 1;
            assert_eq!(dates(Window::Monthly, first * DAY), (from.into(), to.into()));
            assert_eq!(dates(Window::Monthly, last_second), (from.into(), to.into()));
        }
    }

    proptest! {
        /// Windows of a kind follow each other without gap or overlap, before 1970 too.
        #[test]
        fn every_second_is_in_one_window(now in -10_000_000_000_i64..100_000_000_000) {
            for window in [Window::Daily, Window::Weekly, Window::Monthly] {
                let span = window.around(now);
                prop_assert!(span.contains(now));
                prop_assert_eq!(window.around(span.starts), span);
                prop_assert_eq!(window.around(span.ends).starts, span.ends);
                prop_assert_eq!(window.around(span.starts - 1).ends, span.starts);
            }
        }
    }
}
