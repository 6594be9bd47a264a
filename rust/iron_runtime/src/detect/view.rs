//! The view: one reading of a text, from which every detector takes what concerns it.

use super::lexicon::{Lexicon, Sense};
use super::topic::Topic;
use super::words::{self, Reader};
use super::work::looked_at;

/// How far before and behind a number a word may tell what it is.
const BEFORE: usize = 64;
const BEHIND: usize = 32;
/// Runs so long may be text in base64 or hex.
const ENCODED: usize = 24;
/// Letters and digits so long may be a word in leet.
const LEET: std::ops::RangeInclusive<usize> = 4..=16;

/// A phrase of the lexicon where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit<T> {
    pub(super) what: T,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What one reading of a normal text found.
#[derive(Debug)]
pub(super) struct View<'t> {
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    /// Runs with a digit.
    pub(super) numbers: Vec<(usize, usize)>,
    /// Runs that may be encoded text.
    pub(super) encoded: Vec<(usize, usize)>,
    pub(super) steps: Vec<Hit<u8>>,
    /// Where keys may begin, by rule; `end` is where the prefix ends.
    pub(super) keys: Vec<Hit<u16>>,
    /// Vendors' names, by rule.
    pub(super) near: Vec<Hit<u16>>,
    pub(super) assigned: Vec<Hit<()>>,
    pub(super) authorization: Vec<Hit<()>>,
    pub(super) curl: Vec<Hit<()>>,
    pub(super) schemes: Vec<Hit<()>>,
    pub(super) private_keys: Vec<usize>,
    /// A word is a step of a signature once its digits are read as letters.
    pub(super) leet: bool,
    topics: Vec<Hit<Topic>>,
    /// The topics there are, a bit for each.
    present: u64,
}

impl<'t> View<'t> {
    pub(super) fn of(text: &'t str, lexicon: &Lexicon) -> Self {
        let view = View {
            text,
            bytes: text.as_bytes(),
            numbers: Vec::new(),
            encoded: Vec::new(),
            steps: Vec::new(),
            keys: Vec::new(),
            near: Vec::new(),
            assigned: Vec::new(),
            authorization: Vec::new(),
            curl: Vec::new(),
            schemes: Vec::new(),
            private_keys: Vec::new(),
            leet: false,
            topics: Vec::new(),
            present: 0,
        };
        let mut reading = Reading { lexicon, view };
        words::read(text.as_bytes(), &mut reading);
        reading.view
    }

    /// Whether the text speaks of `topic` at all.
    pub(super) fn speaks_of(&self, topic: Topic) -> bool {
        self.present & topic.bit() != 0
    }

    /// Whether it does so beside `start..end`.
    pub(super) fn beside(&self, topic: Topic, start: usize, end: usize) -> bool {
        if !self.speaks_of(topic) {
            return false;
        }
        let from = self.topics.partition_point(|hit| hit.start + BEFORE < start);
        self.topics[from..]
            .iter()
            .take_while(|hit| hit.start <= end + BEHIND)
            .inspect(|_| looked_at(1))
            .any(|hit| hit.what == topic && (hit.end <= start || hit.start >= end))
    }

    /// Where the text speaks of `topic`.
    pub(super) fn mentions(&self, topic: Topic) -> impl Iterator<Item = &Hit<Topic>> {
        self.topics.iter().filter(move |hit| hit.what == topic)
    }
}

struct Reading<'l, 't> {
    lexicon: &'l Lexicon,
    view: View<'t>,
}

impl Reader for Reading<'_, '_> {
    fn word(&mut self, start: usize, end: usize) {
        let view = &mut self.view;
        let bytes = view.bytes;
        self.lexicon.look_up(bytes, (start, end), |sense, start, end| match sense {
            Sense::Topic(what) => {
                view.present |= what.bit();
                view.topics.push(Hit { what, start, end });
            }
            Sense::Step(what) => view.steps.push(Hit { what, start, end }),
            Sense::Key(what) => view.keys.push(Hit { what, start, end }),
            Sense::Near(what) => view.near.push(Hit { what, start, end }),
            Sense::Authorization => view.authorization.push(Hit { what: (), start, end }),
            Sense::Curl => view.curl.push(Hit { what: (), start, end }),
            Sense::Assigned => view.assigned.push(Hit { what: (), start, end }),
            Sense::Scheme => view.schemes.push(Hit { what: (), start, end }),
            Sense::Pem => view.private_keys.push(start),
        });
    }

    fn run(&mut self, start: usize, end: usize, has_digit: bool) {
        let view = &mut self.view;
        let bytes = view.bytes;
        self.lexicon.key_prefixes(bytes, start, |what, end| view.keys.push(Hit { what, start, end }));
        let len = end - start;
        if len >= ENCODED {
            view.encoded.push((start, end));
        }
        if !has_digit {
            return;
        }
        view.numbers.push((start, end));
        if !view.leet && LEET.contains(&len) && !bytes[start..end].iter().all(u8::is_ascii_digit) {
            let mut spelled = [0; 16];
            for (letter, byte) in spelled.iter_mut().zip(&bytes[start..end]) {
                *letter = unleet(*byte);
            }
            view.leet = self.lexicon.is_step(&spelled[..len]);
        }
    }
}

/// The letter that a digit stands for in leet.
pub(super) fn unleet(byte: u8) -> u8 {
    match byte {
        b'0' => b'o',
        b'1' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'7' => b't',
        b'8' => b'b',
        other => other,
    }
}
