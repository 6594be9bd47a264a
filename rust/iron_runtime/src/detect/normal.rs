//! Normal text: what a reader sees, in the fewest code points, with the way back to the original's bytes.
//!
//! Compatibility forms (full-width digits, mathematical letters) become plain ones, digits of other scripts become
//! ASCII, invisible characters and accents go, letters that look like Latin ones inside a Latin word become Latin, other
//! letters become small. ASCII stays as it is, so most text is not copied at all.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use super::character::{digit, is_invisible, is_unsegmented, look_alike, punctuation, tag};

/// A word is looked at so far to tell whether it is a Latin one.
const WORD: usize = 32;
/// So many invisible characters in a row are there to hide something; emoji sequences have fewer.
const HIDING: usize = 8;

/// A text in its normal form.
#[derive(Debug)]
pub(super) struct Normal<'t> {
    pub(super) text: Cow<'t, str>,
    /// Where normal and original positions begin to differ in another way than before.
    segments: Vec<Segment>,
    /// Runs of Unicode tags or of many other invisible characters, as positions in the normal text.
    pub(super) hidden: Vec<Range<usize>>,
    /// Whether there is text of a script that puts no space between words.
    pub(super) unsegmented: bool,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    normal: usize,
    original: usize,
    /// Bytes of the one original character that this segment replaces; 0 where bytes were copied.
    replaces: usize,
}

impl<'t> Normal<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        if text.is_ascii() {
            return Self {
                text: Cow::Borrowed(text),
                segments: Vec::new(),
                hidden: Vec::new(),
                unsegmented: false,
            };
        }
        Writer::new(text).write()
    }

    /// The bytes of the original that `span` of the normal text stands for.
    pub(super) fn original(&self, span: &Range<usize>) -> Range<usize> {
        if self.segments.is_empty() {
            return span.clone();
        }
        let start = self.segment(span.start);
        let last = self.segment(span.end.saturating_sub(1).max(span.start));
        let from =
            if start.replaces == 0 { start.original + span.start - start.normal } else { start.original };
        let to = if last.replaces == 0 {
            last.original + span.end - last.normal
        } else {
            last.original + last.replaces
        };
        from..to
    }

    /// Where in the normal text the original's `position` stands.
    pub(super) fn position(&self, position: usize) -> usize {
        let after = self.segments.partition_point(|segment| segment.original <= position);
        let Some(segment) = after.checked_sub(1).map(|index| self.segments[index]) else { return position };
        let copied = if segment.replaces == 0 { position - segment.original } else { 0 };
        (segment.normal + copied).min(self.text.len())
    }

    fn segment(&self, position: usize) -> Segment {
        let after = self.segments.partition_point(|segment| segment.normal <= position);
        // The first segment begins at 0.
        self.segments[after.saturating_sub(1)]
    }
}

struct Writer<'t> {
    original: &'t str,
    normal: String,
    segments: Vec<Segment>,
    hidden: Vec<Range<usize>>,
    unsegmented: bool,
    /// Invisible characters in a row, tags among them, and where the row began in the normal text.
    invisible: (usize, usize, usize),
    /// The word whose script was asked for last, by its end in the original.
    latin: (usize, bool),
    /// Whether the bytes written last were copied.
    copying: bool,
}

impl<'t> Writer<'t> {
    fn new(original: &'t str) -> Self {
        Self {
            original,
            normal: String::with_capacity(original.len()),
            segments: Vec::new(),
            hidden: Vec::new(),
            unsegmented: false,
            invisible: (0, 0, 0),
            latin: (0, false),
            copying: false,
        }
    }

    fn write(mut self) -> Normal<'t> {
        let bytes = self.original.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let ascii = ascii_run(&bytes[at..]);
            if ascii > 0 {
                self.end_invisible();
                self.copy(at, at + ascii);
                at += ascii;
                continue;
            }
            let Some(c) = self.original[at..].chars().next() else { break };
            self.character(c, at);
            at += c.len_utf8();
        }
        self.end_invisible();
        Normal {
            text: Cow::Owned(self.normal),
            segments: self.segments,
            hidden: self.hidden,
            unsegmented: self.unsegmented,
        }
    }

    fn copy(&mut self, from: usize, to: usize) {
        if !self.copying {
            self.segments.push(Segment { normal: self.normal.len(), original: from, replaces: 0 });
            self.copying = true;
        }
        self.normal.push_str(&self.original[from..to]);
    }

    fn character(&mut self, c: char, at: usize) {
        // Most of the characters of these scripts are nothing but themselves.
        if matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
        {
            self.end_invisible();
            self.unsegmented = true;
            return self.copy(at, at + c.len_utf8());
        }
        if is_invisible(c) {
            return self.invisible(tag(c), at, c.len_utf8());
        }
        if is_combining_mark(c) {
            self.copying = false;
            return;
        }
        self.end_invisible();
        self.unsegmented |= is_unsegmented(c);
        if let Some(plain) = punctuation(c).or_else(|| digit(c)) {
            return self.replace(plain, at, c.len_utf8());
        }
        if let Some(like) = look_alike(c)
            && self.in_latin_word(at)
        {
            return self.replace(like, at, c.len_utf8());
        }
        if is_unsegmented(c) {
            // Decomposing these helps nobody.
            return self.copy(at, at + c.len_utf8());
        }
        let (mut first, mut same) = (true, true);
        let from = self.normal.len();
        decompose_compatible(c, |part| {
            if is_combining_mark(part) {
                same = false;
                return;
            }
            for small in part.to_lowercase() {
                // A compatibility form of ASCII keeps its case: keys are matched by it.
                let small = if part.is_ascii() { part } else { small };
                same &= first && small == c;
                first = false;
                self.normal.push(small);
            }
        });
        if same && !first {
            self.normal.truncate(from);
            return self.copy(at, at + c.len_utf8());
        }
        self.segments.push(Segment { normal: from, original: at, replaces: c.len_utf8() });
        self.copying = false;
    }

    fn replace(&mut self, by: char, at: usize, len: usize) {
        self.segments.push(Segment { normal: self.normal.len(), original: at, replaces: len });
        self.normal.push(by);
        self.copying = false;
    }

    fn invisible(&mut self, tag: Option<char>, at: usize, len: usize) {
        if self.invisible.0 == 0 {
            self.invisible.2 = self.normal.len();
        }
        self.invisible.0 += 1;
        self.copying = false;
        if let Some(plain) = tag {
            self.invisible.1 += 1;
            self.replace(plain, at, len);
        }
    }

    fn end_invisible(&mut self) {
        let (all, tags, from) = std::mem::take(&mut self.invisible);
        // The flags of England, Scotland and Wales are a black flag and at most six tags.
        if tags > 6 || all >= HIDING {
            self.hidden.push(from..self.normal.len().max(from + 1));
        }
    }

    /// Whether the word around `at` has a Latin letter or an ASCII digit.
    fn in_latin_word(&mut self, at: usize) -> bool {
        if at < self.latin.0 {
            return self.latin.1;
        }
        let in_word = |c: &char| c.is_alphanumeric();
        let before = self.original[..at].chars().rev().take(WORD).take_while(in_word);
        let mut end = at;
        let mut latin = before.into_iter().any(|c| c.is_ascii());
        for c in self.original[at..].chars().take(WORD).take_while(in_word) {
            end += c.len_utf8();
            latin |= c.is_ascii();
        }
        self.latin = (end, latin);
        latin
    }
}

/// How many ASCII bytes come first.
fn ascii_run(bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let mut at = 0;
    while let Some(block) = bytes.get(at..at + BLOCK) {
        if !block.is_ascii() {
            break;
        }
        at += BLOCK;
    }
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_become_plain_and_spans_lead_back() {
        for (text, normal, found) in [
            ("a４１１１b", "a4111b", "４１１１"),
            ("x 4\u{200b}1\u{200d}11 y", "x 4111 y", "4\u{200b}1\u{200d}11"),
            ("n° ٤١١١.", "n° 4111.", "٤١١١"),
            ("— 𝟒𝟏𝟏𝟏 —", "- 4111 -", "𝟒𝟏𝟏𝟏"),
        ] {
            let normalised = Normal::of(text);
            assert_eq!(normalised.text, normal);
            let at = normal.find("4111").unwrap();
            assert_eq!(&text[normalised.original(&(at..at + 4))], found);
        }
    }

    #[test]
    fn look_alikes_fold_in_latin_words_alone() {
        assert_eq!(Normal::of("раsswоrd").text, "password");
        assert_eq!(Normal::of("Пароль сохрани").text, "пароль сохрани");
        assert_eq!(Normal::of("Ignóre préviöus").text, "Ignore previous");
    }

    #[test]
    fn tags_are_read_and_told() {
        let text: String =
            "ignore".chars().map(|c| char::from_u32(u32::from(c) + 0xe0000).unwrap()).collect();
        let text = format!("Hi{text}{text}!");
        let normal = Normal::of(&text);
        assert_eq!(normal.text, "Hiignoreignore!");
        assert_eq!(normal.hidden.len(), 1);
        assert!(Normal::of("🏴󠁧󠁢󠁥󠁮󠁧󠁿 👩‍👩‍👧‍👦").hidden.is_empty());
    }
}
