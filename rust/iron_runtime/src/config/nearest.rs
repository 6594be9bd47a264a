//! Names that are not known, and the known one that was probably meant.

use std::borrow::Cow;

use super::HIDDEN;

/// No shorter text is a key of a provider.
const LEAST_KEY_BYTES: usize = 20;

/// The candidate that is most like `name`, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        // 0.8 keeps a typing slip and drops a different word.
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The message for a name that is not known, with the nearest one that is.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(known) => format!("unknown {what} {name:?}: did you mean {known:?}?"),
        None => format!("unknown {what} {:?}", shown(name)),
    }
}

/// The message for a word that is none of the few that can stand in its place.
pub(super) fn not_among(what: &str, word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(known) => format!("unknown {what} `{word}`: did you mean `{known}`?"),
        None => format!("unknown {what} `{}`, expected {}", shown(word), choice(known)),
    }
}

/// A word as messages quote it: one that may be a key in the wrong place is not shown.
///
/// Names that people choose have parts that can be read; keys are long, without a space or a slash, and mix capitals, small
/// letters and digits, or have hexadecimal digits alone.
pub(super) fn shown(word: &str) -> Cow<'_, str> {
    let one = |is: fn(&u8) -> bool| word.bytes().any(|byte| is(&byte));
    let mixed = one(u8::is_ascii_uppercase) && one(u8::is_ascii_lowercase) && one(u8::is_ascii_digit);
    let hexadecimal = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_key = word.len() >= LEAST_KEY_BYTES
        && !word.contains([' ', '/'])
        && (mixed || hexadecimal || word.starts_with("sk-"));
    if is_key { HIDDEN.into() } else { word.into() }
}

/// `a`, `b` or `c`.
pub(super) fn choice(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => format!("`{only}`"),
        [first @ .., last] => format!("`{}` or `{last}`", first.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_may_be_a_key_is_not_quoted() {
        for key in
            ["sk-ant-api03-abcdefghijklmn", "AIzaSyD-9tSrke72PouQMnMX", "0123456789abcdef0123456789abcdef"]
        {
            assert_eq!(unknown("model", key, ["gpt-6"].into_iter()), r#"unknown model "***""#);
            assert_eq!(not_among("value", key, &["none"]), "unknown value `***`, expected `none`");
        }
        for name in [
            "claude-sonnet-4-5-20250929",
            "openrouter/Qwen3-235B-A22B-Instruct",
            "requests_per_minute_and_user",
        ] {
            assert_eq!(shown(name), name);
        }
    }
}
