//! The window: how much of a text that goes on is settled, whatever follows.
//!
//! The reading of a text notes the places where something may begin. Each is settled once so much stands behind it that
//! what it is can no longer change; what comes before the first that is not is settled too. Where a detector looks less
//! far than this, text waits longer than it must, and nothing is missed.

use std::sync::Arc;

use super::group::Group;
use super::topic::Topic;
use super::view::View;
use super::{Custom, Detectors, Found, Normal, Wanted};

/// A word that tells what a number is begins so close behind it, and is so long with its gaps.
const BEHIND: usize = 32 + 48;
/// No number is longer: fifteen digits of a telephone number, with what stands between them.
const NUMBER: usize = 34;
/// A date stands so close behind a word of birth, and is so long.
const BIRTH: usize = 40 + 64;
/// The longest part of a mail address before its `@`, and more than any other address has before its first digit.
const BEFORE: usize = 64;
const DOMAIN: usize = 255;
/// No vendor's key is longer, with what leads to it.
const KEY: usize = 330;
/// A header's value, and a command, are looked at so far.
const HEADER: usize = 530;
const COMMAND: usize = 301;
const URL: usize = 2_060;
const PEM: usize = 16_384;

/// What a text must wait for: what rules that act on it speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) families: Wanted,
    /// Of each configuration's own lists and patterns.
    pub(crate) own: Vec<OwnWaits>,
}

/// What a text must wait for of one configuration's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnWaits {
    pub(crate) keywords: bool,
    pub(crate) patterns: Vec<Arc<str>>,
}

impl Waits {
    /// Whether there is nothing to wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.families == Wanted::default() && self.own.iter().all(|own| *own == OwnWaits::default())
    }
}

impl Detectors {
    /// What a text holds that goes on, and how far it is settled, at least up to `from`.
    pub(crate) fn glance<'c>(
        &self,
        text: &str,
        from: usize,
        waits: &Waits,
        customs: impl Iterator<Item = &'c Custom> + Clone,
    ) -> (Found, usize) {
        let normal = Normal::of(text);
        let view = View::of(&normal.text, &self.lexicon);
        let found = self.find(&normal, &view, waits.families, customs.clone());
        let start = normal.position(from);
        let mut open = normal.text.len();
        let Wanted { pii, network, secrets, .. } = waits.families;
        if pii || network || secrets {
            open = view.open(waits.families);
        }
        for (custom, own) in customs.zip(&waits.own) {
            if own.keywords {
                open = custom.open_keyword(&normal.text, start).map_or(open, |at| open.min(at));
            }
            for pattern in &own.patterns {
                open = custom.open_pattern(pattern, &normal.text, start).map_or(open, |at| open.min(at));
            }
        }
        (found, normal.original(&(open..open)).start.max(from))
    }
}

impl View<'_> {
    /// The first place whose meaning may still change.
    fn open(&self, families: Wanted) -> usize {
        let mut open = self.tail();
        let mut wait = |from: usize, settled: Option<usize>| {
            if settled.is_none_or(|settled| settled > self.bytes.len()) {
                open = open.min(self.begins(from));
            }
        };
        if families.secrets {
            for hit in &self.keys {
                wait(hit.start, Some(self.token_end(hit.end, KEY)));
            }
            for hit in &self.near {
                wait(hit.start, self.assignment(hit.end, 40, KEY));
            }
            for hit in &self.assigned {
                wait(hit.start, self.assignment(hit.end, 24, 240));
            }
            for hit in &self.authorization {
                wait(hit.start, Some(hit.end + HEADER));
            }
            for hit in &self.curl {
                wait(hit.start, Some(hit.end + COMMAND));
            }
            for start in &self.private_keys {
                wait(*start, Some(self.pem(*start)));
            }
            let mut from = 0;
            while let Some(at) = memchr::memmem::find(&self.bytes[from..], b"eyJ") {
                let start = from + at;
                let row = self.bytes[start..].iter();
                let len =
                    row.take_while(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte)).count();
                wait(start, Some(start + len + 1));
                // Another one within the same row waits for the same end, and is not the first.
                from = start + len;
            }
        }
        for hit in &self.schemes {
            wait(hit.start, Some(self.token_end(hit.end, URL)));
        }
        if families.pii || families.network {
            for number in &self.numbers {
                wait(number.0, self.number(*number));
            }
            for at in memchr::memchr_iter(b'@', self.bytes) {
                let in_domain =
                    |byte: &&u8| byte.is_ascii_alphanumeric() || b".-".contains(byte) || **byte >= 0x80;
                let len = self.bytes[at + 1..].iter().take(DOMAIN).take_while(in_domain).count();
                wait(at, Some(at + len + 2));
            }
            for hit in self.mentions(Topic::Birth) {
                wait(hit.start, Some(hit.end + BIRTH));
            }
        }
        open
    }

    /// Where the last word begins, which may go on.
    fn tail(&self) -> usize {
        let (bytes, len) = (self.bytes, self.bytes.len());
        let run = bytes.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        // In scripts without spaces a word has no end, and nothing in it is looked for but addresses.
        let run = if bytes[..len - run].last().is_some_and(|byte| *byte >= 0x80) { len } else { len - run };
        self.begins(len).min(run)
    }

    /// Where the word around `at` begins, as far as anything reaches back; with two capitals that stand before it.
    fn begins(&self, at: usize) -> usize {
        let bytes = self.bytes;
        let row =
            bytes[..at].iter().rev().take(BEFORE).take_while(|byte| !byte.is_ascii_whitespace()).count();
        let mut from = at - row;
        while !self.text.is_char_boundary(from) {
            from -= 1;
        }
        // `AB 12 34 56 C`, `DE 123456789`.
        let capitals = bytes[..from].strip_suffix(b" ").is_some_and(|before| {
            before.len() >= 2 && before[before.len() - 2..].iter().all(u8::is_ascii_uppercase)
        });
        if capitals { from - 3 } else { from }
    }

    /// The end of the word that goes on at `from`, or where it is too long for what it may be.
    fn token_end(&self, from: usize, most: usize) -> usize {
        // Not read further than it counts: every place of a row without spaces would be read to its end.
        let len = self.bytes[from..].iter().take(most).position(u8::is_ascii_whitespace);
        from + len.unwrap_or(most)
    }

    /// Where what is assigned to the name that ends at `from` is whole, if anything is.
    fn assignment(&self, from: usize, name: usize, most: usize) -> Option<usize> {
        let bytes = self.bytes;
        let skip = |at: usize, most: usize, allowed: &dyn Fn(&u8) -> bool| {
            at + bytes[at..].iter().take(most).take_while(|byte| allowed(byte)).count()
        };
        let at = skip(from, name, &|byte| byte.is_ascii_alphanumeric() || b"_.[]-".contains(byte));
        let at = skip(at, 2, &|byte| b"\"'`]".contains(byte));
        let sign = skip(at, 8, &|byte| b" \t".contains(byte));
        let value = match bytes.get(sign..) {
            Some([]) | None => return None,
            Some([b'=' | b':' | b',', ..]) => skip(sign, 3, &|byte| b"=:>,".contains(byte)),
            Some(rest) if rest.starts_with(b"is ") => sign + 3,
            Some(b"i" | b"is") => return None,
            _ => return Some(sign),
        };
        let value = skip(value, 8, &|byte| b" \t".contains(byte));
        let quote = bytes.get(value).filter(|byte| b"\"'`".contains(byte)).copied();
        let value = value + usize::from(quote.is_some());
        // `Bearer KEY`, `SSWS KEY`.
        let rest = &bytes[value..];
        let scheme = [b"Bearer ".as_slice(), b"SSWS "].into_iter().find(|scheme| rest.starts_with(scheme));
        let value = value + scheme.map_or(0, <[u8]>::len);
        if [b"Bearer ".as_slice(), b"SSWS "].into_iter().any(|scheme| scheme.starts_with(&bytes[value..])) {
            return None;
        }
        let ends = |byte: &u8| match quote {
            Some(quote) => *byte == quote || *byte == b'\n',
            None => byte.is_ascii_whitespace(),
        };
        let word = bytes[value..].iter().take(most).position(u8::is_ascii_whitespace);
        let value_end = bytes[value..].iter().take(most).position(ends);
        // Keys end with the word, passwords with the quote.
        Some(word.zip(value_end).map_or(from + most, |(word, end)| value + word.max(end) + 1))
    }

    /// Where the private key that begins at `start` ends.
    fn pem(&self, start: usize) -> usize {
        let text = &self.bytes[start..self.bytes.len().min(start + PEM)];
        let head = &text[..text.len().min(80)];
        if text.len() >= 80 && memchr::memmem::find(head, b"PRIVATE KEY").is_none() {
            return start + 80;
        }
        let Some(end) = memchr::memmem::find(text, b"-----END") else { return start + PEM };
        let line = text[end..].iter().take(80).position(|byte| *byte == b'\n');
        (start + end + line.map_or(80, |len| len + 1)).min(start + PEM)
    }

    /// Where a number is settled: behind all that may belong to it and the words that may speak of it.
    fn number(&self, (start, end): (usize, usize)) -> Option<usize> {
        let bytes = self.bytes;
        let plain = bytes[start..end].iter().all(u8::is_ascii_digit);
        if plain && end - start <= 4 {
            if bytes.get(end) == Some(&b':') {
                // A time, or the first group of an address.
                return Some(self.token_end(end, BEFORE) + 1);
            }
            let between = bytes[end..].iter().take(3).take_while(|byte| b" -./()".contains(byte)).count();
            let next = bytes.get(end + between)?;
            if !next.is_ascii_digit() {
                // Too short for anything, and nothing goes on behind it.
                return Some(end + between + 1);
            }
        }
        let group = Group::at(bytes, start, !bytes[start].is_ascii_digit());
        let last = group.parts().last().map_or(end, |part| part.end);
        Some(last.max(start + NUMBER) + BEHIND)
    }
}
