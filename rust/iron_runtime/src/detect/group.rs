//! The group: a number with its separators, and the same without them.

/// The longest identifier has 34 characters: a Maltese IBAN has 31, the standard allows three more.
const LONGEST: usize = 34;
/// An identifier has at most so many parts: an IBAN in groups of four has nine, a card digit by digit nineteen.
const PARTS: usize = 20;

/// No number of digits alone has more; what goes on behind so many is only seen to go on.
const DIGITS: usize = 19;

/// Letters and digits from one place on, over single separators.
///
/// Every number of a text has one: it is small, because it is cleared each time.
#[derive(Debug)]
pub(super) struct Group {
    chars: [u8; LONGEST],
    parts: [Row; PARTS],
    start: usize,
    len: usize,
    count: usize,
}

/// One row of letters and digits, counted from the beginning of its group.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    chars: u8,
    end: u8,
    separator: u8,
}

/// The same, counted from the beginning of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Characters of the group up to here.
    pub(super) chars: usize,
    /// Where it ends in the text.
    pub(super) end: usize,
    /// What separates it from the part before; 0 for the first.
    pub(super) separator: u8,
}

/// No group has more bytes: its characters, with three between any two rows.
#[expect(clippy::cast_possible_truncation, reason = "34 characters, and three bytes before each of 19 rows")]
const fn small(bytes: usize) -> u8 {
    debug_assert!(bytes <= LONGEST + 3 * PARTS);
    bytes as u8
}

/// How many digits come first.
fn leading_digits(eight: [u8; 8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Of a digit `0` leaves 0 to 9, of anything else more; a carry reaches only what stands behind it.
    let from_zero = u64::from_le_bytes(eight) ^ (EACH * 0x30);
    let others = (from_zero.wrapping_add(EACH * 0x76) | from_zero) & (EACH * 0x80);
    others.trailing_zeros() as usize / 8
}

impl Group {
    /// The group that begins with the run at `start`.
    ///
    /// With `letters` it goes on over parts with letters; otherwise the last part alone may have some.
    pub(super) fn at(text: &[u8], start: usize, letters: bool) -> Self {
        let mut group = Self { chars: [0; LONGEST], parts: [Row::default(); PARTS], start, len: 0, count: 0 };
        let (mut at, mut separator) = (start, 0);
        loop {
            let mut digits = true;
            let from = group.len;
            // Most rows are digits alone; what stands behind them is written over.
            while let Some(eight) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
                let Some(place) = group.chars.get_mut(group.len..group.len + 8) else { break };
                place.copy_from_slice(eight);
                let count = leading_digits(*eight);
                group.len += count;
                at += count;
                if count < 8 {
                    break;
                }
            }
            while let Some(byte) = text.get(at).filter(|byte| byte.is_ascii_alphanumeric()) {
                if group.len == LONGEST {
                    // Too long for any identifier; what came before stays.
                    group.len = from;
                    return group;
                }
                group.chars[group.len] = *byte;
                group.len += 1;
                digits &= byte.is_ascii_digit();
                at += 1;
            }
            if group.len == from || text.get(at).is_some_and(|byte| *byte >= 0x80) {
                group.len = from;
                return group;
            }
            group.parts[group.count] = Row { chars: small(group.len), end: small(at - start), separator };
            group.count += 1;
            if group.count == PARTS || !letters && (!digits || group.len > DIGITS) {
                return group;
            }
            match text.get(at) {
                Some(byte) if b" -./".contains(byte) => separator = *byte,
                _ => return group,
            }
            at += 1;
            if separator == b' ' && text.get(at) == Some(&b'-') && text.get(at + 1) == Some(&b' ') {
                separator = b'-';
                at += 2;
            }
        }
    }

    /// How many rows it has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Every row, in order.
    pub(super) fn parts(&self) -> impl ExactSizeIterator<Item = Part> + DoubleEndedIterator {
        (0..self.count).map(|index| self.part(index))
    }

    /// The row of that index.
    pub(super) fn part(&self, index: usize) -> Part {
        let Row { chars, end, separator } = self.parts[index];
        Part { chars: chars.into(), end: self.start + usize::from(end), separator }
    }

    /// The characters up to the end of the `count`th part, counted from one.
    pub(super) fn chars(&self, count: usize) -> &[u8] {
        &self.chars[..usize::from(self.parts[count - 1].chars)]
    }

    /// Whether the first parts have these lengths.
    pub(super) fn is_shaped(&self, lengths: &[usize]) -> bool {
        let mut before = 0;
        lengths.len() <= self.count
            && lengths.iter().zip(self.parts()).all(|(length, part)| {
                let fits = part.chars - before == *length;
                before = part.chars;
                fits
            })
    }

    /// Whether one and the same separator stands between the first `count` parts.
    pub(super) fn is_even(&self, count: usize) -> bool {
        self.parts[1..count.max(1)].windows(2).all(|pair| pair[0].separator == pair[1].separator)
    }

    /// Whether the number goes on behind its `count`th part in the same way: then it is a longer one.
    pub(super) fn goes_on(&self, count: usize) -> bool {
        let next = (count < self.count).then(|| self.part(count));
        match (next, count) {
            (None, _) => false,
            // A space or a full stop may end the number; a second row of digits behind a dash does not.
            (Some(next), 1) => next.separator == b'-' || next.separator == b'/',
            (Some(next), _) => {
                let last = self.part(count - 1);
                let digits = &self.chars[last.chars..next.chars];
                next.separator == last.separator && digits.iter().all(u8::is_ascii_digit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_are_counted_from_the_first() {
        for (eight, count) in [
            (b"12345678", 8),
            (b"1234567a", 7),
            (b"/1234567", 0),
            (b"09:12345", 2),
            (b"1\xff234567", 1),
            (b"9\x80000000", 1),
        ] {
            assert_eq!(leading_digits(*eight), count, "{eight:?}");
        }
    }

    proptest! {
        #[test]
        fn a_group_has_the_rows_of_a_plain_reading(text in "[0-9a-c]{1,12}([ ./-][0-9a-c]{1,12}){0,6}") {
            let group = Group::at(text.as_bytes(), 0, true);
            let rows: Vec<&str> = text.split(['.', '/', ' ', '-']).collect();
            for (index, part) in group.parts().enumerate() {
                let plain = rows[..=index].concat();
                prop_assert_eq!(group.chars(index + 1), plain.as_bytes());
                prop_assert_eq!(part.chars, plain.len());
                prop_assert_eq!(part.end, plain.len() + index);
            }
            let fit = rows.iter().scan(0, |sum, row| { *sum += row.len(); Some(*sum) }).take_while(|sum| *sum <= LONGEST).count();
            prop_assert_eq!(group.count(), fit);
        }
    }
}
