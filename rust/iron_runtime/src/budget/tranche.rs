//! The size of the next tranche: enough to be rare, small enough that little is stranded.

/// What a source has to lease, and among how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The limit of the window.
    pub(super) deposited: i64,
    /// What nobody holds.
    pub(super) available: i64,
    /// Processes that hold leases now, the one that asks left out.
    pub(super) sharers: i64,
}

/// What a process asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// Less is of no use.
    pub(crate) least: i64,
    /// Calls wait for that much.
    pub(crate) most: i64,
}

impl Want {
    /// No call waits: the next tranche is taken before what there is runs out.
    pub(crate) const AHEAD: Self = Self { least: 0, most: 0 };
}

/// With nothing waiting a tranche is this part of what is left: a machine that loses power loses two of them at most.
const PART: i64 = 16;
/// And at least this part of the limit, or the last cent would take tranches without end.
const SMALLEST: i64 = 1_024;

/// How much to grant; `None` if there is too little.
///
/// A process gets its even share of what is left at most, unless its next call needs more than that.
pub(super) fn tranche(terms: Terms, want: Want) -> Option<i64> {
    let least = want.least.max(1);
    if terms.available < least {
        return None;
    }
    let share = terms.available / terms.sharers.max(0).saturating_add(1);
    let usual = (share / PART).max(terms.deposited / SMALLEST);
    Some(usual.max(want.most).min(share).max(least))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted(available: i64, sharers: i64, least: i64, most: i64) -> Option<i64> {
        tranche(Terms { deposited: 16_000, available, sharers }, Want { least, most })
    }

    #[test]
    fn a_tranche_is_a_part_of_what_is_left() {
        assert_eq!(granted(16_000, 0, 0, 0), Some(1_000));
        assert_eq!(granted(8_000, 0, 0, 0), Some(500));
        assert_eq!(granted(16_000, 3, 0, 0), Some(250));
        assert_eq!(granted(10, 0, 0, 0), Some(10), "the last of it goes whole");
    }

    #[test]
    fn calls_that_wait_make_it_larger_up_to_an_even_share() {
        assert_eq!(granted(16_000, 0, 10, 7_000), Some(7_000));
        assert_eq!(granted(16_000, 3, 10, 7_000), Some(4_000));
        assert_eq!(granted(16_000, 3, 5_000, 7_000), Some(5_000), "the next call goes before the share");
    }

    #[test]
    fn too_little_is_not_granted() {
        assert_eq!(granted(100, 0, 101, 101), None);
        assert_eq!(granted(0, 0, 0, 0), None);
    }

    proptest! {
        #[test]
        fn a_tranche_is_never_more_than_there_is(deposited in 0..i64::MAX, available in 0..i64::MAX, sharers in 0..1_000_i64,
                                                 least in 0..i64::MAX, extra in 0..i64::MAX) {
            let want = Want { least, most: least.saturating_add(extra) };
            match tranche(Terms { deposited, available, sharers }, want) {
                Some(granted) => prop_assert!(granted >= 1 && granted >= least && granted <= available),
                None => prop_assert!(available < least.max(1)),
            }
        }
    }
}
