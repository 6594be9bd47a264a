//! The group: a number with its separators, and the same without them.

/// The longest identifier has 34 characters: a Maltese IBAN has 31, the standard allows three more.
const LONGEST: usize = 34;
/// An identifier has at most so many parts: an IBAN in groups of four has nine, a card digit by digit nineteen.
const PARTS: usize = 20;

/// Letters and digits from one place on, over single separators.
#[derive(Debug)]
pub(super) struct Group {
    chars: [u8; LONGEST],
    parts: [Part; PARTS],
    len: usize,
    count: usize,
}

/// One row of letters and digits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    /// Characters of the group up to here.
    pub(super) chars: usize,
    /// Where it ends in the text.
    pub(super) end: usize,
    /// What separates it from the part before; 0 for the first.
    pub(super) separator: u8,
}

impl Group {
    /// The group that begins with the run at `start`.
    ///
    /// With `letters` it goes on over parts with letters; otherwise the last part alone may have some.
    pub(super) fn at(text: &[u8], start: usize, letters: bool) -> Self {
        let mut group = Self { chars: [0; LONGEST], parts: [Part::default(); PARTS], len: 0, count: 0 };
        let (mut at, mut separator) = (start, 0);
        loop {
            let mut digits = true;
            let from = group.len;
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
            group.parts[group.count] = Part { chars: group.len, end: at, separator };
            group.count += 1;
            if group.count == PARTS || !(digits || letters) {
                return group;
            }
            match text.get(at) {
                Some(byte) if b" -./".contains(byte) => separator = *byte,
                _ => return group,
            }
            at += 1;
            if separator == b' ' && text[at..].starts_with(b"- ") {
                separator = b'-';
                at += 2;
            }
        }
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts[..self.count]
    }

    /// The characters up to the end of the `count`th part, counted from one.
    pub(super) fn chars(&self, count: usize) -> &[u8] {
        &self.chars[..self.parts[count - 1].chars]
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
        let parts = self.parts();
        match (parts.get(count), count) {
            (None, _) => false,
            // A space or a full stop may end the number; a second row of digits behind a dash does not.
            (Some(next), 1) => next.separator == b'-' || next.separator == b'/',
            (Some(next), _) => {
                let digits = &self.chars[parts[count - 1].chars..next.chars];
                next.separator == parts[count - 1].separator && digits.iter().all(u8::is_ascii_digit)
            }
        }
    }
}
