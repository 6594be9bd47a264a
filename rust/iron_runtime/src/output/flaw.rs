//! Flaws: why a reply is not the output that its caller wants.

use iron_protocol::NanoUsd;

use super::{Objection, OutputInvalid};
use crate::call::Text;
use crate::schema::Violation;
use crate::{Cause, Error};

/// What is longer costs more to send back than asking anew.
const MOST_SENT_BACK_BYTES: usize = 256 << 10;

/// Why a reply is not the output that its caller wants.
#[derive(Debug, Default)]
pub(crate) struct Flaw {
    pub(crate) violations: Vec<Violation>,
    /// What the model is told in their place, if a validator says so.
    told: Vec<Violation>,
    /// What lies behind the word of a validator.
    refusal: Option<Cause>,
    pub(super) cut_off: Option<&'static str>,
    /// What the model said, if telling it what is wrong with that may help.
    pub(crate) said: Option<Text>,
}

impl Flaw {
    /// Add what is wrong with a choice, of which there are several or one.
    pub(super) fn add(&mut self, choice: usize, several: bool, violations: Vec<Violation>) {
        self.violations.extend(violations.into_iter().map(|violation| {
            if several { violation.within(&format!("choices[{choice}]")) } else { violation }
        }));
    }

    /// Add what a validator has against a choice.
    pub(super) fn object(&mut self, choice: usize, several: bool, objection: Objection) {
        let Objection { violations, told, cause } = objection;
        // Without a place it is still something.
        let nowhere = violations.is_empty().then(|| Violation::whole("is refused"));
        self.add(choice, several, violations.into_iter().chain(nowhere).collect());
        // Of several choices none is sent back.
        self.told = told;
        self.refusal = self.refusal.take().or(cause);
    }

    /// What the model is told of it: without a word of its own, if it may not read all that its caller reads.
    pub(crate) fn told(&self, in_own_words: bool) -> &[Violation] {
        if in_own_words && !self.told.is_empty() { &self.told } else { &self.violations }
    }

    /// Note what the model said, to be sent back.
    pub(super) fn of(&mut self, said: &str) {
        self.said = (said.len() <= MOST_SENT_BACK_BYTES).then(|| said.into());
    }

    /// It is one if something is wrong.
    ///
    /// # Errors
    /// Itself.
    pub(super) fn or_none(self) -> Result<(), Self> {
        if self.violations.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The error of a call that ends with it, after so many repairs; `cause` has kept it from another one.
    pub(crate) fn into_error(self, upstream: &str, repairs: u32, cause: Option<Error>) -> Error {
        let Self { violations, refusal, cut_off, .. } = self;
        Error::OutputInvalid(Box::new(OutputInvalid {
            upstream: upstream.to_owned(),
            violations,
            cut_off,
            repairs,
            // It is known when the call has ended.
            cost: NanoUsd::ZERO,
            cause: cause.map(Box::new),
            refusal,
        }))
    }
}
