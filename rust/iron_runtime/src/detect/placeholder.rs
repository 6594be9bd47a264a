//! Placeholders: what documentation writes where a secret would stand.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// Words that no secret has and examples have.
const WORDS: [&str; 24] = [
    "example",
    "sample",
    "placeholder",
    "changeme",
    "change_me",
    "replace",
    "your_",
    "your-",
    "yourkey",
    "yourapi",
    "insert",
    "redacted",
    "dummy",
    "fake",
    "xxxx",
    "****",
    "....",
    "todo",
    "<",
    "here",
    "foobar",
    "secretkey",
    "password",
    "notreal",
];
/// Rows of neighbours so long are typed, not drawn.
const ROW: usize = 8;

/// Whether `text` is written where a secret would stand.
pub(super) fn is_placeholder(text: &[u8]) -> bool {
    let small = text.to_ascii_lowercase();
    has_word(&small) || longest_row(&small) >= ROW.max(text.len() / 3) || repeats(&small)
}

fn has_word(small: &[u8]) -> bool {
    static AUTOMATON: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(WORDS).ok());
    AUTOMATON.as_ref().is_none_or(|words| words.is_match(small))
}

/// `${PASSWORD}`, `{{ password }}`, `%s`, `$PASSWORD`, `<password>`: filled in later.
///
/// `%2B` is a character in a URL, and a password that is drawn may have any single sign.
pub(super) fn is_template(value: &[u8]) -> bool {
    let has = |needle: &[u8]| memchr::memmem::find(value, needle).is_some();
    value.starts_with(b"$")
        || has(b"${")
        || has(b"$(")
        || has(b"%(")
        || value.windows(4).any(|four| four[0] == b'$' && four[1..].iter().all(u8::is_ascii_uppercase))
        || value.len() > 2 && value.starts_with(b"%") && value.ends_with(b"%")
        || encloses(value, b'{', b'}')
        || encloses(value, b'<', b'>')
        || (0..value.len()).any(|at| {
            matches!(value[at..], [b'%', b's' | b'd' | b'v' | b'q'])
                || matches!(value[at..], [b'%', b's' | b'd' | b'v' | b'q', next, ..] if !next.is_ascii_alphanumeric())
        })
}

/// Whether `close` stands behind `open`.
pub(super) fn encloses(value: &[u8], open: u8, close: u8) -> bool {
    let from = memchr::memchr(open, value);
    from.is_some_and(|from| memchr::memchr(close, &value[from..]).is_some())
}

/// The longest row of characters that are each the same as the one before, or its neighbour, one way.
fn longest_row(text: &[u8]) -> usize {
    let mut longest = 1;
    for step in [-1, 0, 1] {
        let mut row = 1;
        for pair in text.windows(2) {
            let next = i16::from(pair[1]) - i16::from(pair[0]) == step || step == 1 && pair == b"90";
            row = if next { row + 1 } else { 1 };
            longest = longest.max(row);
        }
    }
    longest
}

/// Whether the text is a short piece again and again.
fn repeats(text: &[u8]) -> bool {
    (1..=text.len().min(32) / 3)
        .any(|len| text.len() >= 12 && text.iter().zip(&text[len..]).all(|(a, b)| a == b))
}

/// Shannon's entropy of the bytes, in bits a byte.
#[expect(clippy::cast_precision_loss, reason = "texts of some hundred bytes")]
pub(super) fn entropy(text: &[u8]) -> f32 {
    let mut counts = [0u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let len = text.len() as f32;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| *count as f32 / len)
        .map(|share| -share * share.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_documentation_writes_is_a_placeholder() {
        for text in [
            "IOSFODNN7EXAMPLE",
            "xxxxxxxxxxxxxxxxxxxx",
            "your-key-here",
            "abcdefghijklmnopqrst",
            "1234567890123456",
            "aaaaaaaaaaaaaaaa",
            "<token>",
            "abcabcabcabcabc",
            "REPLACE_ME_PLEASE",
        ] {
            assert!(is_placeholder(text.as_bytes()), "{text}");
        }
        for text in
            ["${PW}", "a{{ pw }}", "%s", "$PASS", "x$PASSWORD", "%PW%", "<pw>", "%(pw)s", "{pw}", "%s@"]
        {
            assert!(is_template(text.as_bytes()), "{text}");
        }
        for text in [
            "R%24_dXgMqp%26L7",
            "%25x6fyZkk%24Y%29",
            "Slqy1oDO$z$_(Lj",
            "0+1PmkBxSm(vW%",
            "a}b{c",
            "%2A1ooE%7",
        ] {
            assert!(!is_template(text.as_bytes()), "{text}");
        }
        for text in ["q7Rk2LmZ9xVbT4sWn8Yc", "9f86d081884c7d659a2feaa0c55ad015"] {
            assert!(!is_placeholder(text.as_bytes()), "{text}");
        }
    }
}
