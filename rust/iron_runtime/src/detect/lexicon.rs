//! The lexicon: every word that means something to a detector, found by its first eight bytes.
//!
//! Looking a word up costs one multiplication and one bit, unless the word is known. An Aho-Corasick automaton over the
//! same phrases steps through a table of a megabyte byte by byte, which is three times slower on prose; it serves the
//! scripts that put no space between words.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::AhoCorasick;
use serde::Deserialize;

use super::injection::Injection;
use super::normal::Normal;
use super::phrase::{first_word, hash, is_set, key, letter_bit, match_phrase, set};
use super::topic::Topic;
use super::vendor::Vendors;

/// More than twice as many as there are shelves, so that a search is short and ends.
const PLACES: usize = 4_096;

/// What a word means to a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// The numbers beside it are of a kind.
    Topic(Topic),
    /// A step of an injection signature, by its class.
    Step(u8),
    /// The beginning of a vendor's key, by its rule.
    Key(u16),
    /// The name of a vendor whose keys have no prefix, by its rule.
    Near(u16),
    /// What is assigned to it is secret.
    Assigned,
    /// An HTTP header whose value is secret.
    Authorization,
    /// The command that may name a password.
    Curl,
    /// The scheme of a URL.
    Scheme,
    /// The beginning of a private key.
    Pem,
}

#[derive(Debug)]
struct Entry {
    /// Stands before the word that the phrase is looked up by.
    before: Box<[u8]>,
    phrase: Box<[u8]>,
    /// To the letter, whatever follows: for keys.
    literal: bool,
    /// The letter that the second word begins with, as a bit; 0 where the phrase is one word.
    second: u32,
    sense: Sense,
}

impl Entry {
    /// Whether what must stand before the word does.
    fn follows(&self, text: &[u8]) -> bool {
        // Comparing nothing reads around an address that is no memory: vector code that masks it out is slow at that.
        if self.before.is_empty() {
            return true;
        }
        let from = text.len().checked_sub(self.before.len());
        let before = from.and_then(|from| text.get(from..));
        match before {
            Some(before) if self.literal => *before == *self.before,
            Some(before) => before.eq_ignore_ascii_case(&self.before),
            None => false,
        }
    }
}

/// Phrases whose first words have the same first eight bytes.
#[derive(Debug, Default)]
struct Shelf {
    key: u64,
    entries: Vec<Entry>,
    /// The letters that second words begin with; all where a phrase is one word.
    seconds: u32,
}

/// How a key begins that goes on without a delimiter.
#[derive(Debug)]
struct Prefix {
    text: Box<[u8]>,
    rule: u16,
}

/// All phrases, ready to be looked up.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// A bit for each of 65,536 hashes of known words.
    known: Box<[u64]>,
    shelves: Vec<Shelf>,
    /// Where each shelf stands, by hash, counted from one; behind it if the place is taken.
    places: Box<[u16]>,
    /// Key prefixes that the key itself may go on from without a delimiter, by their first two bytes.
    undelimited: HashMap<[u8; 2], Vec<Prefix>>,
    undelimited_known: Box<[u64]>,
    unsegmented: AhoCorasick,
    unsegmented_steps: Vec<u8>,
}

#[derive(Deserialize)]
struct File {
    topics: BTreeMap<Topic, Vec<String>>,
    assigned: Names,
    schemes: Names,
}

#[derive(Deserialize)]
struct Names {
    names: Vec<String>,
}

impl Lexicon {
    pub(super) fn new(vendors: &Vendors, injection: &Injection) -> Result<Self, String> {
        let file: File = toml::from_str(include_str!("lexicon.toml")).map_err(|error| error.to_string())?;
        let phrases: Vec<&String> = injection.unsegmented().map(|(phrase, _)| phrase).collect();
        let mut lexicon = Self {
            known: vec![0; 1024].into(),
            shelves: Vec::new(),
            places: vec![0; PLACES].into(),
            undelimited: HashMap::new(),
            undelimited_known: vec![0; 1024].into(),
            unsegmented: AhoCorasick::new(phrases).map_err(|error| error.to_string())?,
            unsegmented_steps: injection.unsegmented().map(|(_, class)| class).collect(),
        };
        for (topic, phrases) in &file.topics {
            for phrase in phrases {
                lexicon.add(phrase, Sense::Topic(*topic));
            }
        }
        for name in &file.assigned.names {
            lexicon.add(name, Sense::Assigned);
        }
        for name in &file.schemes.names {
            lexicon.add(name, Sense::Scheme);
        }
        lexicon.add("authorization", Sense::Authorization);
        lexicon.add("curl", Sense::Curl);
        lexicon.add_literal("-----", "BEGIN ", Sense::Pem);
        for (phrase, class) in injection.segmented() {
            match phrase.split_once('^') {
                Some((before, phrase)) => lexicon.add_forged(before, phrase, class),
                None => lexicon.add(phrase, Sense::Step(class)),
            }
        }
        for (rule, prefix) in vendors.prefixes() {
            lexicon.add_key(prefix, rule);
        }
        for (rule, name) in vendors.names() {
            lexicon.add(name, Sense::Near(rule));
        }
        Ok(lexicon)
    }

    fn add(&mut self, phrase: &str, sense: Sense) {
        let phrase = Normal::of(phrase).text.to_ascii_lowercase();
        self.insert("", phrase.as_bytes(), false, sense);
    }

    fn add_forged(&mut self, before: &str, phrase: &str, class: u8) {
        self.insert(before, phrase.to_ascii_lowercase().as_bytes(), false, Sense::Step(class));
    }

    fn add_literal(&mut self, before: &str, phrase: &str, sense: Sense) {
        self.insert(before, phrase.as_bytes(), true, sense);
    }

    fn add_key(&mut self, prefix: &str, rule: u16) {
        let first = prefix.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(0);
        let (before, rest) = prefix.split_at(first);
        if rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let Some(two) = rest.as_bytes().first_chunk::<2>() else { return };
            set(&mut self.undelimited_known, u16::from_le_bytes(*two).into());
            self.undelimited.entry(*two).or_default().push(Prefix { text: rest.as_bytes().into(), rule });
            return;
        }
        self.add_literal(before, rest, Sense::Key(rule));
    }

    fn insert(&mut self, before: &str, phrase: &[u8], literal: bool, sense: Sense) {
        let first = first_word(phrase);
        let key = key(phrase, 0, first);
        set(&mut self.known, hash(key));
        let second = match phrase.get(first..) {
            Some([b' ', letter, ..]) if !literal => letter_bit(*letter),
            _ => 0,
        };
        let place = self.place(key);
        if self.places[place] == 0 {
            self.shelves.push(Shelf { key, ..Shelf::default() });
            // There are some two thousand phrases.
            self.places[place] = u16::try_from(self.shelves.len()).unwrap_or(0);
        }
        let index = usize::from(self.places[place]).wrapping_sub(1);
        let Some(found) = self.shelves.get_mut(index) else {
            return;
        };
        found.seconds |= if second == 0 { u32::MAX } else { second };
        let (before, phrase) = (before.as_bytes().into(), phrase.into());
        found.entries.push(Entry { before, phrase, literal, second, sense });
    }

    /// The place of the shelf for `key`, or the free one where it would stand.
    fn place(&self, key: u64) -> usize {
        let mut place = hash(key) % PLACES;
        while let Some(shelf) =
            usize::from(self.places[place]).checked_sub(1).map(|index| &self.shelves[index])
        {
            if shelf.key == key {
                break;
            }
            place = (place + 1) % PLACES;
        }
        place
    }

    /// Tell `found` what the word at `start..end` begins: the sense, and where the phrase begins and ends.
    #[inline]
    pub(super) fn look_up(
        &self,
        text: &[u8],
        (start, end): (usize, usize),
        found: impl FnMut(Sense, usize, usize),
    ) {
        let key = key(text, start, end);
        if is_set(&self.known, hash(key)) {
            self.look_on_shelf(key, text, (start, end), found);
        }
    }

    fn look_on_shelf(
        &self,
        key: u64,
        text: &[u8],
        (start, end): (usize, usize),
        mut found: impl FnMut(Sense, usize, usize),
    ) {
        let Some(index) = usize::from(self.places[self.place(key)]).checked_sub(1) else { return };
        let Shelf { entries, seconds, .. } = &self.shelves[index];
        let letter = match text.get(end) {
            Some(byte) if byte.is_ascii_uppercase() => letter_bit(*byte),
            Some(b' ' | b'_' | b'-' | b'\t' | b'\n' | b'\r') => {
                text.get(end + 1).map_or(0, |byte| letter_bit(*byte))
            }
            _ => 0,
        };
        if *seconds != u32::MAX && seconds & letter == 0 {
            return;
        }
        for entry in entries {
            if entry.second != 0 && entry.second & letter == 0 || !entry.follows(&text[..start]) {
                continue;
            }
            let end = if entry.literal {
                text[start..].starts_with(&entry.phrase).then(|| start + entry.phrase.len())
            } else {
                match_phrase(&entry.phrase, text, start)
            };
            if let Some(end) = end {
                found(entry.sense, start - entry.before.len(), end);
            }
        }
    }

    /// Tell `found` of each key prefix that the run at `start` begins with: its rule, and where the prefix ends.
    pub(super) fn key_prefixes(&self, text: &[u8], start: usize, mut found: impl FnMut(u16, usize)) {
        let Some(two) = text[start..].first_chunk::<2>() else { return };
        if !is_set(&self.undelimited_known, u16::from_le_bytes(*two).into()) {
            return;
        }
        for Prefix { text: prefix, rule } in self.undelimited.get(two).into_iter().flatten() {
            if text[start..].starts_with(prefix) {
                found(*rule, start + prefix.len());
            }
        }
    }

    /// Whether a word that is written `spelled` would be a step of a signature.
    pub(super) fn is_step(&self, spelled: &[u8]) -> bool {
        let mut step = false;
        self.look_up(spelled, (0, spelled.len()), |sense, _, _| step |= matches!(sense, Sense::Step(_)));
        step
    }

    /// Steps in a text of a script without spaces.
    pub(super) fn unsegmented<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (u8, usize, usize)> + 't {
        self.unsegmented.find_iter(text).filter_map(|found| {
            let class = self.unsegmented_steps.get(found.pattern().as_usize())?;
            Some((*class, found.start(), found.end()))
        })
    }
}
