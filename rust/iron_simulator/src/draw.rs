//! A deterministic sequence of draws: everything that looks random comes from here, by seed.

/// What a draw is for. Each purpose has its own sequence, so that one never shifts another.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Ids = 1,
    Latency,
    Words,
    Schema,
    Chance,
    Vector,
    Fingerprint,
}

/// A `SplitMix64` sequence (Steele, Lea and Flood, 2014): one multiply-shift round a draw, no state to share.
pub(crate) struct Draw(u64);

const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const CONSONANTS: &[u8; 16] = b"bdfghklmnprstvwz";
const VOWELS: &[u8; 5] = b"aeiou";

impl Draw {
    /// The sequence of `purpose` for the `nth` thing under `seed`.
    pub(crate) fn new(seed: u64, purpose: Purpose, nth: u64) -> Self {
        let mut start = Self(seed ^ (purpose as u64).rotate_left(56));
        let base = start.next();
        Self(base ^ nth.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 if `limit` is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// A number from 0 up to, not including, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        let [a, b, c, d, ..] = self.next().to_be_bytes();
        f64::from(u32::from_be_bytes([a, b, c, d])) / 4_294_967_296.0
    }

    /// `len` letters and digits.
    pub(crate) fn letters(&mut self, len: usize) -> String {
        (0..len).map(|_| char::from(self.pick(LETTERS))).collect()
    }

    /// `len` lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, len: usize) -> String {
        (0..len).map(|_| char::from(self.pick(b"0123456789abcdef"))).collect()
    }

    /// A pronounceable word of three letters: with the space after it, exactly one token.
    pub(crate) fn word(&mut self) -> [u8; 3] {
        [self.pick(CONSONANTS), self.pick(VOWELS), self.pick(CONSONANTS)]
    }

    /// Text of exactly `tokens` tokens.
    pub(crate) fn words(&mut self, tokens: u64) -> String {
        let mut text = String::with_capacity(usize::try_from(tokens).unwrap_or(0).saturating_mul(4));
        for nth in 0..tokens {
            if nth > 0 {
                text.push(' ');
            }
            text.extend(self.word().map(char::from));
        }
        text
    }

    fn pick(&mut self, from: &[u8]) -> u8 {
        let at = self.below(from.len() as u64);
        usize::try_from(at).ok().and_then(|at| from.get(at)).copied().unwrap_or(b'x')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::count_tokens;

    #[test]
    fn words_are_as_many_tokens_as_asked() {
        for tokens in [0, 1, 2, 17, 1000] {
            assert_eq!(count_tokens(&Draw::new(7, Purpose::Words, 3).words(tokens)), tokens);
        }
    }

    #[test]
    fn purpose_and_ordinal_separate_sequences() {
        let first = |seed, purpose, nth| Draw::new(seed, purpose, nth).next();
        assert_eq!(first(1, Purpose::Ids, 1), first(1, Purpose::Ids, 1));
        assert_ne!(first(1, Purpose::Ids, 1), first(1, Purpose::Words, 1));
        assert_ne!(first(1, Purpose::Ids, 1), first(1, Purpose::Ids, 2));
        assert_ne!(first(1, Purpose::Ids, 1), first(2, Purpose::Ids, 1));
    }

    #[test]
    fn unit_draws_fill_their_range() {
        let mut draw = Draw::new(0, Purpose::Chance, 0);
        let drawn: Vec<f64> = (0..1000).map(|_| draw.unit()).collect();
        assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
        assert!(drawn.iter().any(|x| *x < 0.05) && drawn.iter().any(|x| *x > 0.95));
    }
}
