//! Numbering plans: which telephone numbers a country can have.

use std::sync::OnceLock;

use super::checksum::value;

/// Codes of countries have one to three digits, and so have the beginnings of national numbers that are told apart.
const CODES: usize = 1_000;

/// The plan of one country code.
#[derive(Clone, Debug)]
struct Plan {
    /// How many digits national numbers have, a bit for each.
    lengths: u32,
    /// Which three digits they begin with, a bit for each.
    heads: [u64; CODES / 64 + 1],
}

impl Plan {
    /// A line of `phones.txt`: lengths and beginnings, with commas between them.
    fn read(lengths: &str, heads: &str) -> Option<Self> {
        let mut plan = Self { lengths: 0, heads: [0; CODES / 64 + 1] };
        for length in lengths.split(',') {
            plan.lengths |= 1u32.checked_shl(length.parse().ok()?)?;
        }
        for range in heads.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            for head in first.parse::<usize>().ok()?..=last.parse().ok()? {
                *plan.heads.get_mut(head / 64)? |= 1 << (head % 64);
            }
        }
        Some(plan)
    }

    fn has(&self, national: &[u8]) -> bool {
        let Some(head) = national.first_chunk::<3>() else { return false };
        let head = head.iter().fold(0, |head, digit| head * 10 + value(*digit) as usize);
        self.lengths >> national.len() & 1 != 0 && self.heads[head / 64] >> (head % 64) & 1 != 0
    }
}

/// Every plan by its country code, read when the first text has a number.
fn plans() -> &'static [Option<Plan>] {
    static PLANS: OnceLock<Vec<Option<Plan>>> = OnceLock::new();
    PLANS.get_or_init(|| {
        let mut plans = vec![None; CODES];
        for line in include_str!("phones.txt").lines() {
            let mut fields = line.split(' ');
            let (Some(code), Some(lengths), Some(heads)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if let Some(place) = code.parse().ok().and_then(|code: usize| plans.get_mut(code)) {
                *place = Plan::read(lengths, heads);
            }
        }
        plans
    })
}

/// Whether the digits are a country code and a number that the country can have.
pub(super) fn is_international(digits: &[u8]) -> bool {
    let mut code = 0;
    for (index, digit) in digits.iter().take(3).enumerate() {
        code = code * 10 + value(*digit) as usize;
        // No code begins as another one does.
        if let Some(plan) = plans().get(code).and_then(Option::as_ref) {
            let national = &digits[index + 1..];
            // Some write the 0 that is dialled within the country.
            return plan.has(national) || national.first() == Some(&b'0') && plan.has(&national[1..]);
        }
    }
    false
}

/// Whether the North American plan has the area of a number of ten digits.
pub(super) fn is_north_american(digits: &[u8]) -> bool {
    plans()[1].as_ref().is_some_and(|plan| plan.has(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let lines = include_str!("phones.txt").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(plans().iter().flatten().count(), lines);
        assert!(lines > 200, "{lines}");
    }

    #[test]
    fn numbers_are_held_to_the_plan_of_their_country() {
        for number in
            ["14155552671", "442079460958", "4930901820", "33142685300", "390669812345", "442007946095"]
        {
            assert!(is_international(number.as_bytes()), "{number}");
        }
        for number in ["11155552671", "44207946095800", "99955512345", "1415555267", "2"] {
            assert!(!is_international(number.as_bytes()), "{number}");
        }
    }
}
