//! Bodies: what stands behind a key's prefix, as rows of characters of a kind.
//!
//! The little of regular expressions that keys need: classes, repetitions with bounds, alternatives. Each row takes all
//! it can, which is right because what follows a row of varying length cannot begin with a character of it. A key is
//! found or not in one reading of its bytes, without an automaton to build or to keep.

use std::ops::Range;

use super::work::looked_at;

/// One alternative: row after row.
type Rows = Vec<Row>;

/// A character of a kind, so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    /// A bit for each ASCII character.
    kind: u128,
    least: usize,
    most: usize,
}

/// What a key's body looks like.
#[derive(Debug)]
pub(super) struct Body(Vec<Rows>);

impl Body {
    /// Read alternatives such as `[a-f0-9]{32}-us[0-9]{1,2}`.
    pub(super) fn new(written: &str) -> Result<Self, String> {
        let alternatives = written.split('|').map(|rows| read(rows.as_bytes()));
        let bodies = alternatives.collect::<Option<Vec<_>>>();
        let body = bodies.map(Self).filter(Self::is_unambiguous);
        body.ok_or_else(|| format!("{written:?} is no body of rows that take all they can"))
    }

    /// Whether no row of varying length takes what a later one needs.
    fn is_unambiguous(&self) -> bool {
        let clear = |rows: &Rows| {
            rows.iter().enumerate().filter(|(_, row)| row.least < row.most).all(|(index, row)| {
                let mut rest = rows[index + 1..].iter();
                rest.find(|next| next.least > 0 || next.kind & row.kind != 0)
                    .is_none_or(|next| next.kind & row.kind == 0)
            })
        };
        self.0.iter().all(clear)
    }

    /// How many bytes of `text` from `at` on are a body, by the alternative that takes most.
    pub(super) fn len_at(&self, text: &[u8], at: usize, runs: &mut Runs) -> Option<usize> {
        self.0.iter().filter_map(|rows| len_of(rows, text, at, runs)).max()
    }

    /// A text for each alternative, with as many characters of each row as `draw` says of the most that it is given.
    #[cfg(test)]
    pub(super) fn texts(&self, draw: &mut impl FnMut(usize) -> usize) -> Vec<String> {
        let mut row = |row: &Row| -> String {
            let kind: Vec<char> = (0..128u8).filter(|byte| has(row.kind, *byte)).map(char::from).collect();
            let len = row.least + draw(row.most - row.least + 1);
            (0..len).map(|_| kind[draw(kind.len())]).collect()
        };
        self.0.iter().map(|rows| rows.iter().map(&mut row).collect()).collect()
    }

    /// The most bytes that a body can have.
    #[cfg(test)]
    pub(super) fn longest(&self) -> usize {
        self.0.iter().map(|rows| rows.iter().map(|row| row.most).sum()).max().unwrap_or(0)
    }
}

fn len_of(rows: &Rows, text: &[u8], from: usize, runs: &mut Runs) -> Option<usize> {
    let end = rows.iter().try_fold(from, |at, row| {
        let len = runs.len(text, at, row.kind).min(row.most);
        (len >= row.least).then_some(at + len)
    })?;
    Some(end - from)
}

/// Where rows of a kind that were read end: of prefixes that follow each other, each would read the same row again.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<(u128, Range<usize>)>);

impl Runs {
    /// How many bytes of a kind there are from `at` on. No byte is read twice for one kind while `at` grows.
    fn len(&mut self, text: &[u8], at: usize, kind: u128) -> usize {
        let known = self.0.iter_mut().find(|(own, _)| *own == kind);
        if let Some((_, run)) = &known
            && run.contains(&at)
        {
            return run.end - at;
        }
        let rest = text.get(at..).unwrap_or_default();
        let len = rest.iter().take_while(|byte| has(kind, **byte)).count();
        looked_at(len);
        match known {
            Some((_, run)) => *run = at..at + len,
            None => self.0.push((kind, at..at + len)),
        }
        len
    }
}

fn has(kind: u128, byte: u8) -> bool {
    byte < 128 && kind >> byte & 1 != 0
}

fn read(mut written: &[u8]) -> Option<Rows> {
    let mut rows: Rows = Vec::new();
    while let [first, rest @ ..] = written {
        let kind;
        (kind, written) = match first {
            b'[' => class(rest)?,
            b'\\' => (1 << rest.first().filter(|byte| byte.is_ascii())?, &rest[1..]),
            b'(' | b')' | b'?' | b'*' | b'+' | b'.' | 0x80.. => return None,
            _ => (1 << first, rest),
        };
        let (least, most);
        (least, most, written) = repetition(written)?;
        rows.push(Row { kind, least, most });
    }
    (!rows.is_empty()).then_some(rows)
}

/// The characters up to `]`, and what follows it.
fn class(mut written: &[u8]) -> Option<(u128, &[u8])> {
    let mut kind = 0;
    loop {
        let (first, rest) = match written {
            [b']', rest @ ..] => return Some((kind, rest)),
            [b'\\', escaped, rest @ ..] => (escaped, rest),
            [first, rest @ ..] => (first, rest),
            [] => return None,
        };
        let (last, rest) = match rest {
            [b'-', last, rest @ ..] if *last != b']' => (last, rest),
            _ => (first, rest),
        };
        if !last.is_ascii() {
            return None;
        }
        (*first..=*last).for_each(|byte| kind |= 1 << byte);
        written = rest;
    }
}

/// `{32}` or `{20,40}`, once where there is none, and what follows.
fn repetition(written: &[u8]) -> Option<(usize, usize, &[u8])> {
    let Some(inside) = written.strip_prefix(b"{") else { return Some((1, 1, written)) };
    let end = inside.iter().position(|byte| *byte == b'}')?;
    let text = std::str::from_utf8(&inside[..end]).ok()?;
    let (least, most) = text.split_once(',').unwrap_or((text, text));
    Some((least.parse().ok()?, most.parse().ok()?, &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_to_their_end() {
        let body = Body::new(r"[a-f0-9]{4}-us[0-9]{1,2}|[A-Z]{3}\.x").unwrap();
        for (text, len) in [
            ("12ab-us1", Some(8)),
            ("12ab-us123", Some(9)),
            ("ABC.x", Some(5)),
            ("ABCx", None),
            ("12ab-us", None),
            ("12aé-us1", None),
            ("", None),
        ] {
            assert_eq!(body.len_at(text.as_bytes(), 0, &mut Runs::default()), len, "{text}");
        }
        assert_eq!(body.longest(), 9);
    }

    #[test]
    fn rows_that_were_read_are_as_long_as_the_first_time() {
        let (body, text) = (Body::new("[a-f]{2,4}[0-9]{1,2}").unwrap(), b"abcdef12 ab1 abcd123");
        let mut runs = Runs::default();
        for at in (0..text.len()).chain([3, 0, 9]) {
            assert_eq!(body.len_at(text, at, &mut runs), body.len_at(text, at, &mut Runs::default()), "{at}");
        }
    }

    #[test]
    fn rows_that_need_another_try_are_refused() {
        for written in ["[a-z]{2,4}[a-c]", "[a-z]{2,4}=0", "a?", "(ab)", "[a-z", "a{2", ""] {
            let refused = Body::new(written).is_err();
            assert_eq!(refused, written != "[a-z]{2,4}=0", "{written}");
        }
    }
}
