//! What a call wants as output, held against what it is answered.

use std::sync::Arc;

use tokio::time::timeout_at;

use super::flaw::Flaw;
use super::said::{Said, said};
use super::{Form, Objection, OutputValidator, Validity};
use crate::Error;
use crate::call::Text;
use crate::clock::Instant;
use crate::schema::Violation;

/// What a call wants as output.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) form: Form,
    pub(crate) validator: Option<Arc<dyn OutputValidator>>,
    /// How often an answer is sent back.
    pub(crate) max_repairs: u32,
}

impl Wanted {
    /// Hold the body of a reply against the form, and have the validator look at what has it.
    ///
    /// # Errors
    /// Within the result why it is not what is wanted; [`Error::Internal`] for a body that is no reply.
    ///
    /// # Cancel safety
    /// Dropping the future gives the validator up.
    pub(crate) async fn check(&self, body: &[u8], until: Instant) -> Result<Result<(), Flaw>, Error> {
        if let Err(flaw) = self.fits(body)? {
            return Ok(Err(flaw));
        }
        let Some(validator) = &self.validator else { return Ok(Ok(())) };
        let choices = read(body)?;
        let (several, mut flaw) = (choices.len() > 1, Flaw::default());
        for (nth, choice) in choices.into_iter().enumerate() {
            let Said::Text(text) = choice else { continue };
            match timeout_at(until, validator.validate(Text::from(&*text))).await {
                Ok(Validity::Valid) => {}
                Ok(Validity::Invalid(objection)) => {
                    flaw.of(&text);
                    flaw.object(nth, several, objection);
                }
                Ok(Validity::Unknown(cause)) => {
                    let violations = vec![Violation::whole(format!("was not validated: {cause}"))];
                    let cause = Some(cause);
                    flaw.object(nth, several, Objection { violations, cause, ..Objection::default() });
                }
                Err(_) => flaw.add(nth, several, vec![Violation::whole("was not validated in time")]),
            }
        }
        Ok(flaw.or_none())
    }

    /// Hold the body of a reply against the form.
    ///
    /// # Errors
    /// As [`Wanted::check`].
    pub(crate) fn fits(&self, body: &[u8]) -> Result<Result<(), Flaw>, Error> {
        let choices = read(body)?;
        let (several, mut flaw) = (choices.len() > 1, Flaw::default());
        for (nth, choice) in choices.into_iter().enumerate() {
            match choice {
                Said::Nothing => {}
                Said::CutOff(reason) => {
                    let why = format!("was cut off: finish_reason is {reason:?}");
                    flaw.add(nth, several, vec![Violation::whole(why)]);
                    flaw.cut_off.get_or_insert(reason);
                }
                Said::Text(text) => {
                    let violations = self.form.violations(&text);
                    if !violations.is_empty() {
                        flaw.of(&text);
                        flaw.add(nth, several, violations);
                    }
                }
            }
        }
        Ok(flaw.or_none())
    }
}

fn read(body: &[u8]) -> Result<Vec<Said<'_>>, Error> {
    said(body).map_err(|_| Error::Internal { message: "a decoded reply is no reply".to_owned() })
}
