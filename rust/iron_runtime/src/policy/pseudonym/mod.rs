//! Pseudonyms: placeholders that stand for values within one scope, and the way back.
//!
//! A placeholder is an entity's name and a number in brackets, `[EMAIL_ADDRESS_1]`. The same text has the same one for as
//! long as its scope lives; what only looks like one stands for itself.

mod name;
mod restorer;
mod scan;
mod value;

#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::restorer::{Restorer, View};
pub(crate) use self::scan::Form;
use self::scan::{Ahead, Candidate, Scanner};
use self::value::Value;
use crate::detect::Entity;

/// A scope has so many placeholders at most, and so many bytes of values: what a conversation of megabytes comes to, and
/// no more memory than that.
const MOST_VALUES: u32 = 10_000;
const MOST_BYTES: usize = 4 << 20;
/// So many things that only look like placeholders are told apart in a scope.
const MOST_WRITTEN: usize = 100_000;
/// No number is higher, so that every placeholder can be read.
const HIGHEST: u32 = 999_999;

/// A scope has no room for another placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no room for more placeholders: {MOST_VALUES} values, or {} MiB of them, are the most for one run; \
     begin a new run, or redact what need not come back",
    MOST_BYTES >> 20
)]
pub(crate) struct Full;

/// The values of one scope. Clones share them, and their memory is overwritten when the last goes.
#[derive(Clone, Default)]
pub(crate) struct Vault(Arc<Mutex<Values>>);

#[derive(Default)]
struct Values {
    names: HashMap<Arc<str>, Numbered>,
    /// Hashes of placeholders that callers and tools have written themselves, none of which is given to a value.
    written: HashSet<u64>,
    hashes: RandomState,
    given: u32,
    bytes: usize,
}

/// What has one name.
#[derive(Default)]
struct Numbered {
    last: u32,
    by_number: HashMap<u32, Given>,
    by_value: HashMap<Value, u32>,
}

struct Given {
    value: Value,
    /// What the value is; `None` for a text that looks like a placeholder and stands for itself.
    entity: Option<Entity>,
    /// How many were given before it.
    order: u32,
}

impl Vault {
    /// The placeholder of a value.
    pub(super) fn pseudonym(&self, entity: &Entity, value: &str) -> Result<String, Full> {
        self.lock().placeholder(&name::name(entity), value, Some(entity))
    }

    /// Keep from values what a text has that looks like a placeholder.
    pub(crate) fn keep_off(&self, text: &str) -> Result<(), Full> {
        let mut scanner = Scanner::whole(text, Form::Plain);
        while let Ahead::Found(candidate) = scanner.ahead() {
            self.lock().keep_off(&candidate)?;
            scanner.step();
        }
        Ok(())
    }

    /// A text that is to be sent, with placeholders of its own in place of what looks like one that stands for a value but
    /// isn't: whoever wrote it does not get the value. `None` where there is nothing of the kind; `own` are ours.
    pub(super) fn guard(&self, text: &str, own: &[Range<usize>]) -> Result<Option<String>, Full> {
        let mut scanner = Scanner::whole(text, Form::Plain);
        let (mut guarded, mut copied) = (String::new(), 0);
        while let Ahead::Found(candidate) = scanner.ahead() {
            let span = candidate.span.clone();
            if own.binary_search_by_key(&span.start, |own| own.start).is_ok() {
                scanner.accept(&candidate);
                continue;
            }
            let mut values = self.lock();
            if values.keep_off(&candidate)? {
                scanner.step();
                continue;
            }
            guarded.push_str(&text[copied..span.start]);
            guarded.push_str(&values.placeholder(candidate.name(), &text[span.clone()], None)?);
            copied = span.end;
            scanner.accept(&candidate);
        }
        if copied == 0 {
            return Ok(None);
        }
        guarded.push_str(&text[copied..]);
        Ok(Some(guarded))
    }

    /// What has been given by now, to be restored; `None` if that is nothing.
    pub(crate) fn view(&self) -> Option<View> {
        let values = self.lock();
        let names = values.names.iter().filter(|(_, numbered)| !numbered.by_number.is_empty());
        let names: Arc<[Arc<str>]> = names.map(|(name, _)| name.clone()).collect();
        (!names.is_empty()).then(|| View::new(self.clone(), names, values.given))
    }

    /// The value of a placeholder, if it was among the first `given`.
    fn value(&self, candidate: &Candidate, given: u32) -> Option<(Value, Option<Entity>)> {
        let values = self.lock();
        let held = values.names.get(candidate.name())?.by_number.get(&candidate.number)?;
        (held.order < given).then(|| (held.value.clone(), held.entity.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        // Nothing within panics between two changes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Values {
    fn placeholder(&mut self, name: &str, value: &str, entity: Option<&Entity>) -> Result<String, Full> {
        if let Some(number) = self.names.get(name).and_then(|numbered| numbered.by_value.get(value)) {
            return Ok(format!("[{name}_{number}]"));
        }
        if self.given >= MOST_VALUES || self.bytes + value.len() > MOST_BYTES {
            return Err(Full);
        }
        let numbered = match self.names.entry(name.into()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Numbered::default()),
        };
        let is_free = |number: &u32| !self.written.contains(&self.hashes.hash_one((name, number)));
        let number = (numbered.last + 1..=HIGHEST).find(is_free).ok_or(Full)?;
        numbered.last = number;
        let held = Value::new(value);
        let given = Given { value: held.clone(), entity: entity.cloned(), order: self.given };
        numbered.by_number.insert(number, given);
        numbered.by_value.insert(held, number);
        self.given += 1;
        self.bytes += value.len();
        Ok(format!("[{name}_{number}]"))
    }

    /// Keep from values what looks like a placeholder: whether it is kept, because none has it.
    fn keep_off(&mut self, candidate: &Candidate) -> Result<bool, Full> {
        let (name, number) = (candidate.name(), candidate.number);
        if self.names.get(name).is_some_and(|numbered| numbered.by_number.contains_key(&number)) {
            return Ok(false);
        }
        let full = self.written.len() >= MOST_WRITTEN;
        let hash = self.hashes.hash_one((name, number));
        if full && !self.written.contains(&hash) {
            return Err(Full);
        }
        self.written.insert(hash);
        Ok(true)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("values", &self.lock().given).finish_non_exhaustive()
    }
}
