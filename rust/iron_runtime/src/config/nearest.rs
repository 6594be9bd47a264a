//! Names that are not known, and the known one that was probably meant.

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
        None => format!("unknown {what} {name:?}"),
    }
}

/// The message for a word that is none of the few that can stand in its place.
pub(super) fn not_among(what: &str, word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(known) => format!("unknown {what} `{word}`: did you mean `{known}`?"),
        None => format!("unknown {what} `{word}`, expected {}", choice(known)),
    }
}

/// `a`, `b` or `c`.
pub(super) fn choice(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => format!("`{only}`"),
        [first @ .., last] => format!("`{}` or `{last}`", first.join("`, `")),
    }
}
