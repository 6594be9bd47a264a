//! What was made of a text, kept for the next time that the same text comes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::call::Text;

/// So many texts are kept, and so many bytes of them. Programs send a few, again and again.
const MOST_TEXTS: usize = 256;
const MOST_BYTES: usize = 4 << 20;

/// Values by the text that they were made of. What is kept longest goes first.
#[derive(Debug)]
pub(crate) struct Cache<V>(Mutex<Kept<V>>);

#[derive(Debug)]
struct Kept<V> {
    values: HashMap<Text, V>,
    order: VecDeque<Text>,
    bytes: usize,
}

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self(Mutex::new(Kept { values: HashMap::new(), order: VecDeque::new(), bytes: 0 }))
    }
}

impl<V: Clone> Cache<V> {
    /// The value of `text`, made by `make` if it isn't kept.
    ///
    /// # Errors
    /// Those of `make`, which are not kept.
    pub(crate) fn get<E>(&self, text: &Text, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        if let Some(value) = self.lock().values.get(text) {
            return Ok(value.clone());
        }
        // Made outside of the lock: two at once do it twice.
        let value = make()?;
        // What came in shares a whole request's memory.
        self.lock().keep(Text::from(&**text), value.clone());
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, Kept<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Kept<V> {
    fn keep(&mut self, text: Text, value: V) {
        if text.len() > MOST_BYTES || self.values.contains_key(&text) {
            return;
        }
        self.bytes += text.len();
        self.order.push_back(text.clone());
        self.values.insert(text, value);
        while self.values.len() > MOST_TEXTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= oldest.len();
            self.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_once_and_the_oldest_goes_first() {
        let cache = Cache::<usize>::default();
        let mut made = 0;
        let mut get = |text: String| {
            let value = cache.get(&text.into(), || {
                made += 1;
                Ok::<_, ()>(made)
            });
            value.unwrap()
        };
        let first = get("0".into());
        assert_eq!(get("0".into()), first);
        for nth in 1..=MOST_TEXTS {
            get(nth.to_string());
        }
        assert_ne!(get("0".into()), first, "it is not kept for ever");
        let long = "x".repeat(MOST_BYTES / 2);
        for nth in 0..4 {
            get(format!("{nth}{long}"));
        }
        let kept = cache.lock();
        assert!(kept.bytes <= MOST_BYTES && kept.values.len() == kept.order.len());
    }

    #[test]
    fn what_cannot_be_made_is_asked_again() {
        let cache = Cache::<u8>::default();
        assert_eq!(cache.get(&"x".into(), || Err("no")), Err("no"));
        assert_eq!(cache.get(&"x".into(), || Ok::<_, &str>(1)), Ok(1));
    }
}
