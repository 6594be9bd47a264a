//! Phrases: how words are looked up, and how a phrase is compared with what a text has.

/// The end of the first word of a phrase, as `words.rs` divides text.
pub(super) fn first_word(phrase: &[u8]) -> usize {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80;
    let ends = |(index, byte): (usize, &u8)| {
        let inner = index > 0 && byte.is_ascii_uppercase() && phrase[index - 1].is_ascii_lowercase();
        (!inside(*byte) || inner).then_some(index)
    };
    phrase.iter().enumerate().find_map(ends).unwrap_or(phrase.len())
}

/// The first eight bytes of a word, ASCII capitals as small letters.
pub(super) fn key(text: &[u8], start: usize, end: usize) -> u64 {
    const SMALL: u64 = 0x2020_2020_2020_2020;
    let len = end - start;
    let bytes = match text.get(start..).and_then(<[u8]>::first_chunk::<8>) {
        Some(eight) => u64::from_le_bytes(*eight),
        None => text[start..end].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let mask = if len < 8 { (1 << (8 * len)) - 1 } else { u64::MAX };
    (bytes | SMALL) & mask
}

/// Sixteen bits of a key.
pub(super) fn hash(key: u64) -> usize {
    // Fibonacci hashing: the upper bits of the product depend on all bits of the key.
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

/// A bit for each letter; all bits for what is none, so that nothing is missed.
pub(super) fn letter_bit(byte: u8) -> u32 {
    if byte.is_ascii_alphabetic() { 1 << (byte & 0x1f) } else { u32::MAX >> 1 }
}

/// Set a bit.
pub(super) fn set(bits: &mut [u64], index: usize) {
    bits[index / 64] |= 1 << (index % 64);
}

/// Whether a bit is set.
pub(super) fn is_set(bits: &[u64], index: usize) -> bool {
    bits[index / 64] >> (index % 64) & 1 != 0
}

/// Where `phrase`, written small, ends in `text` if it begins at `start`.
pub(super) fn match_phrase(phrase: &[u8], text: &[u8], start: usize) -> Option<usize> {
    /// Between two words there is at most so much.
    const GAP: usize = 4;
    let mut at = start;
    for wanted in phrase {
        let here = *text.get(at)?;
        if *wanted == b' ' {
            let gap = text[at..].iter().take(GAP).take_while(|byte| b" _-\t\r\n".contains(byte)).count();
            if gap == 0 && !here.is_ascii_uppercase() {
                return None;
            }
            at += gap;
        } else if here.to_ascii_lowercase() == *wanted {
            at += 1;
        } else {
            return None;
        }
    }
    let last = *phrase.last()?;
    let ended = |next: u8| {
        let inside = next.is_ascii_alphanumeric() || next >= 0x80;
        !inside || (next.is_ascii_uppercase() && last.is_ascii_alphabetic())
    };
    let open = last.is_ascii_alphanumeric() || last >= 0x80;
    (!open || text.get(at).is_none_or(|next| ended(*next))).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_found_in_every_spelling() {
        let ends = |text: &str| match_phrase(b"api key", text.as_bytes(), 0);
        for spelled in ["api key", "API_KEY", "api-key", "apiKey", "API   Key"] {
            assert_eq!(ends(spelled), Some(spelled.len()), "{spelled}");
        }
        assert_eq!(ends("apikeys"), None);
        assert_eq!(ends("api keys"), None);
        assert_eq!(ends("api key2"), None);
    }
}
