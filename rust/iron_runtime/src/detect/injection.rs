//! Prompt injection: rows of word classes that stand close together, each weighed.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;

use super::entity::Known;
use super::lexicon::Lexicon;
use super::view::{Hit, View, unleet};
use super::work::looked_at;
use super::{Finding, Normal, encoded};

/// Hidden text is itself a reason, whatever it says.
const HIDDEN: (f32, &str) = (0.8, "hidden Unicode characters");
/// Text that says more once it is decoded was meant to be overlooked.
const ENCODED_AT_LEAST: f32 = 0.5;
/// So much of its weight has a signature that a text about attacks quotes: enough to log it, too little to block it.
const QUOTED: f32 = 0.6;
/// A signature is looked for among so many hits behind its first.
const LOOK_AHEAD: usize = 48;

/// Classes and signatures, as `injection.toml` has them.
#[derive(Debug)]
pub(super) struct Injection {
    segmented: Vec<(String, u8)>,
    unsegmented: Vec<(String, u8)>,
    /// By the class of the first step; any class may be first where order is free.
    signatures: Vec<Signature>,
    rot13: u8,
    /// What texts about attacks say.
    about: u8,
}

#[derive(Debug)]
struct Signature {
    name: &'static str,
    steps: Vec<u8>,
    /// The classes of all steps, and of those that may come first, a bit for each.
    classes: u64,
    first: u64,
    within: usize,
    any_order: bool,
    one_sentence: bool,
    weight: f32,
}

/// The bit of a class; there are fewer than 64.
const fn bit(class: u8) -> u64 {
    1 << (class & 63)
}

#[derive(Deserialize)]
struct File {
    words: BTreeMap<String, Vec<String>>,
    unsegmented: BTreeMap<String, Vec<String>>,
    signature: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    name: String,
    steps: Vec<String>,
    within: usize,
    #[serde(default)]
    any_order: bool,
    #[serde(default)]
    one_sentence: bool,
    weight: f32,
}

/// What the signatures came to in one text.
#[derive(Default)]
struct Verdict {
    innocence: f32,
    strongest: f32,
    span: Range<usize>,
    names: Vec<&'static str>,
}

impl Injection {
    pub(super) fn new() -> Result<Self, String> {
        let file: File = toml::from_str(include_str!("injection.toml")).map_err(|error| error.to_string())?;
        let classes: Vec<&String> = file.words.keys().collect();
        let class = |name: &String| {
            let index = classes.iter().position(|class| *class == name);
            let index = index.ok_or_else(|| format!("no class of words is named {name:?}"))?;
            u8::try_from(index).ok().filter(|class| *class < 64).ok_or_else(|| "too many classes".to_owned())
        };
        let listed = |lists: &BTreeMap<String, Vec<String>>| {
            let mut phrases = Vec::new();
            for (name, list) in lists {
                let class = class(name)?;
                phrases.extend(list.iter().map(|phrase| (phrase.clone(), class)));
            }
            Ok::<_, String>(phrases)
        };
        let mut signatures = Vec::new();
        for written in file.signature {
            let steps = written.steps.iter().map(class).collect::<Result<Vec<_>, _>>()?;
            let classes = steps.iter().fold(0, |classes, step| classes | bit(*step));
            signatures.push(Signature {
                // Read once for the whole process.
                name: written.name.leak(),
                first: if written.any_order { classes } else { steps.first().map_or(0, |step| bit(*step)) },
                classes,
                steps,
                within: written.within,
                any_order: written.any_order,
                one_sentence: written.one_sentence,
                weight: written.weight,
            });
        }
        Ok(Self {
            segmented: listed(&file.words)?,
            unsegmented: listed(&file.unsegmented)?,
            signatures,
            rot13: class(&"rot13".to_owned())?,
            about: class(&"about".to_owned())?,
        })
    }

    pub(super) fn segmented(&self) -> impl Iterator<Item = (&str, u8)> {
        self.segmented.iter().map(|(phrase, class)| (phrase.as_str(), *class))
    }

    pub(super) fn unsegmented(&self) -> impl Iterator<Item = (&String, u8)> {
        self.unsegmented.iter().map(|(phrase, class)| (phrase, *class))
    }

    /// Judge a text, and what is encoded in it.
    pub(super) fn inspect(
        &self,
        lexicon: &Lexicon,
        normal: &Normal<'_>,
        view: &View<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let mut verdict = Verdict { innocence: 1.0, ..Verdict::default() };
        let unsegmented =
            if normal.unsegmented { lexicon.unsegmented(view.text).collect() } else { Vec::new() };
        if unsegmented.is_empty() {
            self.weigh(view.bytes, &view.steps, &mut verdict);
        } else {
            let extra = unsegmented.into_iter().map(|(what, start, end)| Hit { what, start, end });
            let mut steps: Vec<_> = view.steps.iter().copied().chain(extra).collect();
            steps.sort_by_key(|hit| hit.start);
            self.weigh(view.bytes, &steps, &mut verdict);
        }
        for hidden in &normal.hidden {
            verdict.add(HIDDEN.0, HIDDEN.1, hidden.clone());
        }
        if view.leet {
            let plain: String = view
                .text
                .chars()
                .map(|c| if c.is_ascii() { char::from(unleet(c as u8)) } else { c })
                .collect();
            self.decoded(lexicon, &plain, "in leet", 0..view.text.len(), &mut verdict);
        }
        if view.steps.iter().any(|hit| hit.what == self.rot13) {
            let plain: String = view.text.chars().map(encoded::rot13).collect();
            self.decoded(lexicon, &plain, "in rot13", 0..view.text.len(), &mut verdict);
        }
        for (span, how, plain) in encoded::texts(view) {
            self.decoded(lexicon, &plain, how, span, &mut verdict);
        }
        if let Some(span) = encoded::leaking_image(view) {
            verdict.add(0.75, "an image whose address carries data", span);
        }
        if verdict.strongest > 0.0 {
            verdict.names.dedup();
            findings.push(Finding::new(
                Known::PromptInjection,
                verdict.span,
                1.0 - verdict.innocence,
                verdict.names.join(", "),
            ));
        }
    }

    fn decoded(
        &self,
        lexicon: &Lexicon,
        plain: &str,
        how: &'static str,
        span: Range<usize>,
        verdict: &mut Verdict,
    ) {
        let view = View::of(plain, lexicon);
        let mut inner = Verdict { innocence: 1.0, ..Verdict::default() };
        self.weigh(view.bytes, &view.steps, &mut inner);
        let score = 1.0 - inner.innocence;
        if score > 0.3 {
            for name in inner.names {
                verdict.add(0.0, name, span.clone());
            }
            verdict.add(score.max(ENCODED_AT_LEAST), how, span);
        }
    }

    fn weigh(&self, text: &[u8], steps: &[Hit<u8>], verdict: &mut Verdict) {
        // A signature that was found is not looked for again: repeating it does not make it surer.
        // What needs a class that the text does not have is not looked for.
        let about = steps.iter().any(|hit| hit.what == self.about);
        let present = steps.iter().fold(0, |present, hit| present | bit(hit.what));
        let mut open: Vec<_> =
            self.signatures.iter().filter(|signature| signature.classes & !present == 0).collect();
        for (index, first) in steps.iter().enumerate() {
            open.retain(|signature| {
                if signature.first & bit(first.what) == 0 {
                    return true;
                }
                let end = signature.match_at(text, first, &steps[index + 1..]);
                if let Some(end) = end {
                    let quoted =
                        about && text[..first.start].last().is_some_and(|byte| b"\"'`".contains(byte));
                    let weight = if quoted { signature.weight * QUOTED } else { signature.weight };
                    verdict.add(weight, signature.name, first.start..end);
                }
                end.is_none()
            });
        }
    }
}

impl Signature {
    /// The end of the row if `first` begins it.
    fn match_at(&self, text: &[u8], first: &Hit<u8>, rest: &[Hit<u8>]) -> Option<usize> {
        let mut open: u32 = (1 << self.steps.len()) - 1;
        let take = |open: &mut u32, class: u8| {
            let mut fits = self.steps.iter().enumerate().filter(|(step, wanted)| {
                **wanted == class
                    && *open >> step & 1 != 0
                    && (self.any_order || *open & ((1 << step) - 1) == 0)
            });
            match fits.next() {
                Some((step, _)) => {
                    *open &= !(1 << step);
                    true
                }
                None => false,
            }
        };
        if !take(&mut open, first.what) {
            return None;
        }
        let mut end = first.end;
        for hit in rest.iter().take(LOOK_AHEAD) {
            looked_at(1);
            if open == 0 || hit.start > end + self.within {
                break;
            }
            if self.one_sentence && hit.start > end && ends_sentence(&text[end..hit.start]) {
                break;
            }
            if hit.start >= end && take(&mut open, hit.what) {
                end = hit.end;
            }
        }
        (open == 0).then_some(end)
    }
}

/// Whether a sentence ends within the text.
fn ends_sentence(text: &[u8]) -> bool {
    looked_at(text.len());
    text.windows(2).any(|pair| b".!?".contains(&pair[0]) && pair[1].is_ascii_whitespace())
}

impl Verdict {
    fn add(&mut self, weight: f32, name: &'static str, span: Range<usize>) {
        self.innocence *= 1.0 - weight;
        if weight > self.strongest {
            self.strongest = weight;
            self.span = span;
        }
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}
