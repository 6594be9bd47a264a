//! An output that is something else than was asked for.

use std::fmt;

use iron_protocol::NanoUsd;

use crate::schema::Violation;
use crate::{Cause, Error};

/// So many violations are told in a message.
const TOLD: usize = 3;

/// A reply whose text is something else than its caller asked for. It was paid for, and is not shown.
#[derive(Debug)]
pub struct OutputInvalid {
    /// The upstream that answered.
    pub upstream: String,
    /// Where the text does not fit, without the text.
    pub violations: Vec<Violation>,
    /// Why it ended before its end, if it did: `length` or `content_filter`.
    pub cut_off: Option<&'static str>,
    /// How often it was sent back to be repaired.
    pub repairs: u32,
    /// What the call cost, all attempts together.
    pub cost: NanoUsd,
    /// What kept it from being repaired once more.
    pub cause: Option<Box<Error>>,
    /// What lies behind the word of a validator, whose message may quote the text.
    pub refusal: Option<Cause>,
}

impl fmt::Display for OutputInvalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cut_off {
            Some("length") => {
                write!(f, "the answer of {} was cut off at its bound: raise max_tokens", self.upstream)?;
            }
            Some(reason) => {
                write!(f, "the answer of {} ended before its end: {reason}", self.upstream)?;
            }
            None => {
                write!(f, "the answer of {} is not what response_format asks for: ", self.upstream)?;
                for (nth, violation) in self.violations.iter().take(TOLD).enumerate() {
                    write!(f, "{}{violation}", if nth == 0 { "" } else { "; " })?;
                }
                match self.violations.len().saturating_sub(TOLD) {
                    0 => {}
                    more => write!(f, "; and {more} more")?,
                }
            }
        }
        match self.repairs {
            0 => {}
            1 => f.write_str(" (after one repair)")?,
            repairs => write!(f, " (after {repairs} repairs)")?,
        }
        if self.cause.is_some() {
            f.write_str("; it could not be sent back to be repaired")?;
        }
        Ok(())
    }
}

impl std::error::Error for OutputInvalid {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match (&self.cause, &self.refusal) {
            (Some(cause), _) => Some(cause),
            (None, Some(refusal)) => Some(refusal.as_ref()),
            (None, None) => None,
        }
    }
}
