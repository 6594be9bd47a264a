//! The token rule: how text is cut into tokens.
//!
//! A token is the longest run of whole characters of at most four UTF-8 bytes. So a text never has more tokens than
//! bytes, and any text can be cut after any token.

/// Most bytes a token holds; no UTF-8 character is longer.
const TOKEN_BYTES: usize = 4;

/// Tokens in `text` by the simulator's rule.
///
/// # Examples
///
/// ```
/// use iron_simulator::count_tokens;
///
/// assert_eq!(count_tokens(""), 0);
/// assert_eq!(count_tokens("Hello"), 2); // "Hell", "o"
/// assert_eq!(count_tokens("héé!"), 2); // "hé", "é!": three bytes each, and no character is split
/// ```
pub fn count_tokens(text: &str) -> u64 {
    let pieces = if text.is_ascii() { text.len().div_ceil(TOKEN_BYTES) } else { Pieces(text).count() };
    u64::try_from(pieces).unwrap_or(u64::MAX)
}

/// The first `tokens` tokens of `text`.
pub(crate) fn first_tokens(text: &str, tokens: u64) -> &str {
    let mut end = 0;
    for piece in Pieces(text).take(usize::try_from(tokens).unwrap_or(usize::MAX)) {
        end += piece.len();
    }
    &text[..end]
}

/// The tokens of a text, in order.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let mut end = self.0.len().min(TOKEN_BYTES);
        while !self.0.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = self.0.split_at(end);
        self.0 = rest;
        (end > 0).then_some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_never_exceed_bytes_and_rebuild_the_text() {
        for text in ["", "a", "abcd", "abcde", "né🦀日本語 ok", "🦀🦀", "ééééé", "\u{0}\n"] {
            assert_eq!(Pieces(text).collect::<String>(), text);
            assert!(count_tokens(text) <= text.len() as u64, "{text:?}");
            assert_eq!(count_tokens(text), Pieces(text).count() as u64, "{text:?}");
        }
    }

    #[test]
    fn a_prefix_counts_what_was_asked() {
        let text = "日本語 and then some 🦀";
        for tokens in 0..=count_tokens(text) {
            assert_eq!(count_tokens(first_tokens(text, tokens)), tokens);
        }
        assert_eq!(first_tokens(text, 1000), text);
    }
}
