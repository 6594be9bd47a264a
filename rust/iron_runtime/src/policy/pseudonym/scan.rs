//! The scanner: what in a text reads as a placeholder, as we write it or as models rewrite it.
//!
//! Within brackets neither case nor escapes matter, and in a name of several words the separators don't either:
//! `[email address 1]`, `\[EMAIL\_ADDRESS\_1\]`. Without brackets it has to stand alone and be in capitals:
//! `EMAIL_ADDRESS_1`, `EMAIL-ADDRESS-1`. `email_address_1` is a variable, `EMAIL ADDRESS 1` a heading, and `URL-1` a ticket.

use std::ops::Range;

use crate::detect::is_unsegmented;

/// No placeholder has more characters between its brackets, nor a name more than leaves room for its number.
pub(super) const LONGEST: usize = 64;
pub(super) const LONGEST_NAME: usize = LONGEST - 1 - DIGITS - 2;
/// So many digits a number has at most.
const DIGITS: usize = 6;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is read.
    Plain,
    /// As JSON, whose strings have escapes.
    Json,
}

/// What reads as a placeholder.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its bytes, brackets included.
    pub(super) span: Range<usize>,
    pub(super) number: u32,
    read: Read,
}

impl Candidate {
    pub(super) fn name(&self) -> &str {
        self.read.as_str().rsplit_once('_').map_or("", |(name, _)| name)
    }
}

/// What lies ahead in a text.
#[derive(Debug)]
pub(super) enum Ahead {
    Found(Candidate),
    /// From there on, it depends on what comes.
    Open(usize, Read),
    /// Nothing more.
    End,
}

/// The characters of a placeholder, in capitals and with `_` between words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    bytes: [u8; LONGEST],
    len: usize,
    bracketed: bool,
    /// Words are parted by something else than `_`.
    loose: bool,
}

impl Read {
    fn new(bracketed: bool) -> Self {
        Self { bytes: [0; LONGEST], len: 0, bracketed, loose: false }
    }

    fn push(&mut self, byte: u8) -> bool {
        let Some(place) = self.bytes.get_mut(self.len) else { return false };
        *place = byte;
        self.len += 1;
        true
    }

    fn as_str(&self) -> &str {
        let read = std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default();
        if self.bracketed { read.trim_matches('_') } else { read }
    }

    /// The number, if it is a placeholder's.
    fn number(&self) -> Option<u32> {
        let (name, digits) = self.as_str().rsplit_once('_')?;
        let sure = !name.is_empty() && (!self.loose || name.contains('_'));
        digits.parse().ok().filter(|_| sure && is_number(digits))
    }

    /// Whether it can still become a placeholder of that name.
    pub(super) fn may_become(&self, name: &str) -> bool {
        let read = self.as_str();
        match read.strip_prefix(name) {
            None => name.starts_with(read),
            Some("") => true,
            Some(rest) => rest.strip_prefix('_').is_some_and(|digits| digits.is_empty() || is_number(digits)),
        }
    }
}

fn is_number(digits: &str) -> bool {
    digits.len() <= DIGITS && !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// A text that is read once, from its beginning.
pub(super) struct Scanner<'t> {
    text: &'t str,
    form: Form,
    /// Nothing comes after it.
    ended: bool,
    at: usize,
    before: Option<char>,
}

impl<'t> Scanner<'t> {
    pub(super) fn whole(text: &'t str, form: Form) -> Self {
        Self { text, form, ended: true, at: 0, before: None }
    }

    /// A text that follows a character, and that goes on unless it has `ended`.
    pub(super) fn part(text: &'t str, form: Form, before: Option<char>, ended: bool) -> Self {
        Self { text, form, ended, at: 0, before }
    }

    /// The character before the place where it stands.
    pub(super) fn before(&self) -> Option<char> {
        self.before
    }

    /// Stop at the next that reads as a placeholder.
    pub(super) fn ahead(&mut self) -> Ahead {
        loop {
            let begins = |byte: &u8| matches!(byte, b'[' | b'\\' | b'A'..=b'Z');
            let rest = &self.text[self.at..];
            let skipped = rest.bytes().position(|byte| begins(&byte)).unwrap_or(rest.len());
            self.before = rest[..skipped].chars().next_back().or(self.before);
            self.at += skipped;
            if skipped == rest.len() {
                return Ahead::End;
            }
            match self.read() {
                Some(ahead) => return ahead,
                None => self.step(),
            }
        }
    }

    /// Go on behind a candidate that is one.
    pub(super) fn accept(&mut self, candidate: &Candidate) {
        self.at = candidate.span.end;
        self.before = Some(']');
    }

    /// Go on within what is none.
    pub(super) fn step(&mut self) {
        if let Some((c, len)) = self.unit(self.at) {
            self.before = Some(c);
            self.at += len;
        } else {
            self.at = self.text.len();
        }
    }

    /// One character as its reader sees it, and its bytes; `None` where the rest of it is still to come.
    fn unit(&self, at: usize) -> Option<(char, usize)> {
        let rest = &self.text[at..];
        let c = rest.chars().next()?;
        if c != '\\' || self.form == Form::Plain {
            return Some((c, c.len_utf8()));
        }
        let lone = Some((c, 1));
        match rest.as_bytes().get(1) {
            None => lone.filter(|_| self.ended),
            Some(b'u') => match rest.get(2..6).map(|digits| u32::from_str_radix(digits, 16)) {
                // Of a pair of surrogates, neither is anything that stands in a placeholder.
                Some(Ok(code)) => Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6)),
                None if rest.len() < 6 && !self.ended => None,
                _ => lone,
            },
            Some(b'n' | b't' | b'r' | b'b' | b'f') => Some(('\n', 2)),
            Some(escaped @ (b'"' | b'\\' | b'/')) => Some((char::from(*escaped), 2)),
            Some(_) => lone,
        }
    }

    /// Read on from here; `None` if it is no placeholder.
    fn read(&self) -> Option<Ahead> {
        let mut at = self.at;
        let open = |read: Read| (!self.ended).then_some(Ahead::Open(self.at, read));
        let Some((mut c, mut len)) = self.unit(at) else { return open(Read::new(true)) };
        let escaped = c == '\\';
        if escaped {
            at += len;
            match self.unit(at) {
                None => return open(Read::new(true)),
                Some(next) => (c, len) = next,
            }
        }
        let mut read = Read::new(c == '[');
        if read.bracketed {
            at += len;
        } else if escaped || !c.is_ascii_uppercase() || self.before.is_some_and(joins) {
            return None;
        }
        let behind = loop {
            let Some((c, mut len)) = self.unit(at) else { break None };
            let byte = match c {
                'A'..='Z' | '0'..='9' => c as u8,
                'a'..='z' if read.bracketed => c.to_ascii_uppercase() as u8,
                '_' => b'_',
                '-' => b'-',
                ' ' if read.bracketed => b' ',
                '\\' => match self.unit(at + len) {
                    Some(('_', more)) => {
                        len += more;
                        b'_'
                    }
                    None if !self.ended => return open(read),
                    _ => break Some(c),
                },
                _ => break Some(c),
            };
            read.loose |= matches!(byte, b'-' | b' ');
            if !read.push(if byte.is_ascii_alphanumeric() { byte } else { b'_' }) {
                return None;
            }
            at += len;
        };
        let end = match behind {
            None if !self.ended => return open(read),
            _ if read.bracketed => self.closing(at, escaped)?,
            Some(behind) if joins(behind) => return None,
            _ => at,
        };
        let number = read.number()?;
        Some(Ahead::Found(Candidate { span: self.at..end, number, read }))
    }

    /// Where the closing bracket ends that stands there, escaped as the opening one is.
    fn closing(&self, mut at: usize, escaped: bool) -> Option<usize> {
        if escaped {
            let (c, len) = self.unit(at)?;
            at += if c == '\\' { len } else { return None };
        }
        let (c, len) = self.unit(at)?;
        (c == ']').then_some(at + len)
    }
}

/// Whether a name that stands next to the character is part of a longer one, or something's field.
fn joins(c: char) -> bool {
    c.is_alphanumeric() && !is_unsegmented(c) || matches!(c, '_' | '-' | '$')
}
