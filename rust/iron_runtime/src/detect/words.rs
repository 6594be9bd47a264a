//! Words: where letters and digits begin and end, eight bytes at a time.
//!
//! A *run* is a longest row of ASCII letters, digits and bytes of other scripts. A *word* is a part of a run that begins
//! with the run or where a capital follows a small letter: `dbPassword` is one run and two words.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Which of 64 bytes are of a kind, a bit for each.
#[derive(Clone, Copy, Default)]
struct Masks {
    word: u64,
    digit: u64,
    upper: u64,
    lower: u64,
}

/// The high bit of each byte that lies in `lowest..=highest`, for bytes below 128.
const fn within(seven_bits: u64, lowest: u8, highest: u8) -> u64 {
    let at_least = seven_bits + ONES * (0x80 - lowest as u64);
    let above = seven_bits + ONES * (0x7f - highest as u64);
    at_least & !above & HIGH
}

/// The high bits of eight bytes as eight bits.
const fn gathered(high_bits: u64) -> u64 {
    (high_bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

fn masks(block: &[u8; 64]) -> Masks {
    let mut masks = Masks::default();
    for (index, eight) in block.chunks_exact(8).enumerate() {
        let bytes = eight.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let other = bytes & HIGH;
        let seven = bytes & !HIGH;
        let ascii = !other;
        let digit = within(seven, b'0', b'9') & ascii;
        let upper = within(seven, b'A', b'Z') & ascii;
        let lower = within(seven, b'a', b'z') & ascii;
        let shift = index * 8;
        masks.digit |= gathered(digit) << shift;
        masks.upper |= gathered(upper) << shift;
        masks.lower |= gathered(lower) << shift;
        masks.word |= gathered(digit | upper | lower | other) << shift;
    }
    masks
}

/// Whoever wants to know of words and runs.
pub(super) trait Reader {
    /// A word.
    fn word(&mut self, start: usize, end: usize);
    /// A run, after its words.
    fn run(&mut self, start: usize, end: usize, has_digit: bool);
}

/// Tell `reader` of every word and run.
pub(super) fn read(text: &[u8], reader: &mut impl Reader) {
    let mut open = Open::default();
    let mut blocks = text.chunks_exact(64);
    let mut base = 0;
    for block in &mut blocks {
        if let Ok(block) = block.try_into() {
            open.block(base, masks(block), reader);
        }
        base += 64;
    }
    let rest = blocks.remainder();
    let mut last = [0; 64];
    last[..rest.len()].copy_from_slice(rest);
    // The zeros behind the rest end whatever is open.
    open.block(base, masks(&last), reader);
}

/// What is open at the end of a block.
#[derive(Default)]
struct Open {
    in_word: u64,
    after_lower: u64,
    run: usize,
    word: usize,
    digit: bool,
}

impl Open {
    fn block(&mut self, base: usize, masks: Masks, reader: &mut impl Reader) {
        let before = masks.word << 1 | self.in_word;
        let starts = masks.word & !before;
        let ends = before & !masks.word;
        let inner = masks.upper & (masks.lower << 1 | self.after_lower);
        let mut events = starts | ends | inner;
        // Digits before the first event belong to the run that is open.
        let mut from = 0;
        while events != 0 {
            let bit = events & events.wrapping_neg();
            let offset = bit.trailing_zeros();
            events &= events - 1;
            let at = base + offset as usize;
            if starts & bit != 0 {
                self.run = at;
                self.word = at;
                self.digit = false;
                from = offset;
            } else {
                let between = (bit - 1) & (u64::MAX << from);
                self.digit |= masks.digit & between != 0;
                from = offset;
                if ends & bit != 0 {
                    reader.word(self.word, at);
                    reader.run(self.run, at, self.digit);
                } else {
                    reader.word(self.word, at);
                    self.word = at;
                }
            }
        }
        self.in_word = masks.word >> 63;
        self.after_lower = masks.lower >> 63;
        if self.in_word != 0 {
            self.digit |= masks.digit & (u64::MAX << from) != 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Heard {
        words: Vec<(usize, usize)>,
        runs: Vec<(usize, usize, bool)>,
    }

    impl Reader for Heard {
        fn word(&mut self, start: usize, end: usize) {
            self.words.push((start, end));
        }
        fn run(&mut self, start: usize, end: usize, has_digit: bool) {
            self.runs.push((start, end, has_digit));
        }
    }

    /// The same, a byte at a time.
    fn plainly(text: &[u8]) -> Heard {
        let in_word = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80;
        let mut heard = Heard::default();
        let mut at = 0;
        while at < text.len() {
            if !in_word(text[at]) {
                at += 1;
                continue;
            }
            let end = text[at..].iter().position(|b| !in_word(*b)).map_or(text.len(), |len| at + len);
            let mut word = at;
            for inner in at + 1..end {
                if text[inner].is_ascii_uppercase() && text[inner - 1].is_ascii_lowercase() {
                    heard.words.push((word, inner));
                    word = inner;
                }
            }
            heard.words.push((word, end));
            heard.runs.push((at, end, text[at..end].iter().any(u8::is_ascii_digit)));
            at = end;
        }
        heard
    }

    proptest! {
        #[test]
        fn words_are_those_of_a_plain_reading(text in "[a-cA-C0-2 _é.]{0,200}") {
            let mut heard = Heard::default();
            read(text.as_bytes(), &mut heard);
            let expected = plainly(text.as_bytes());
            prop_assert_eq!(heard.words, expected.words);
            prop_assert_eq!(heard.runs, expected.runs);
        }
    }
}
