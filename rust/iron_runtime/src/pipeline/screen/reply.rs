//! What a model answers at once: every text of a whole reply.

use bytes::Bytes;
use serde_json::Value;

use super::{Asker, NAMES, Screen};
use crate::Error;
use crate::pipeline::attempt::Answer;
use crate::pipeline::{Call, unexpected};
use crate::policy::{Direction, Told, Totals};

impl Call {
    /// Hold a whole reply against the policy.
    ///
    /// # Errors
    /// [`Error::ContentBlocked`] if a rule refuses it; the call has been settled by then.
    ///
    /// # Cancel safety
    /// Dropping the future gives up what detectors of the user's own are asked.
    pub(in crate::pipeline) async fn screen_reply(&mut self, answer: Answer) -> Result<Answer, Error> {
        let Answer::Whole { body, raw, usage, upstream } = answer else {
            return Err(unexpected());
        };
        let mut judged = (body, raw);
        let screened = self.screened(&mut judged, Totals::default(), |screen, (body, raw)| {
            if let Some(changed) = screen.body(body)? {
                *body = changed;
                // What the provider sent would tell what was taken out.
                *raw = None;
            }
            Ok(())
        });
        screened.await?;
        let (body, raw) = self.restored(judged);
        Ok(Answer::Whole { body, raw, usage, upstream })
    }
}

impl Asker {
    /// Hold parts of messages against the policy; beside each stands whether it was changed.
    ///
    /// # Errors
    /// As [`Call::screen_reply`].
    ///
    /// # Cancel safety
    /// As that.
    pub(in crate::pipeline) async fn screen_parts(
        &self,
        parts: &mut Vec<(Value, bool)>,
        totals: &Totals,
        told: &mut Vec<Told>,
    ) -> Result<(), Error> {
        let screened = self.screened(parts, totals, told, |screen, parts| {
            for (message, changed) in parts {
                *changed |= screen.value(message, Direction::Output, &NAMES)?;
            }
            Ok(())
        });
        screened.await.map(drop)
    }
}

impl Screen<'_> {
    /// The body of a reply with its texts judged; `None` where none of them changed.
    pub(super) fn body(&mut self, body: &Bytes) -> Result<Option<Bytes>, Error> {
        let mut whole: Value = serde_json::from_slice(body)
            .map_err(|_| Error::Internal { message: "a decoded reply is no JSON".to_owned() })?;
        let mut changed = false;
        for choice in whole.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(message) = choice.get_mut("message") else { continue };
            if self.value(message, Direction::Output, &NAMES)? {
                changed = true;
                // The tokens of the text, one by one.
                if let Some(logprobs) = choice.get_mut("logprobs") {
                    *logprobs = Value::Null;
                }
            }
        }
        Ok(changed.then(|| whole.to_string().into()))
    }
}
