//! Output: answers that are what their caller wants, repaired where they are not.

use super::asked::Asked;
use super::attempt::Answer;
use super::{Call, unexpected};
use crate::Error;
use crate::audit::Prompt;
use crate::call::{ChatRequest, Text, Usage};
use crate::clock::now;
use crate::output::{Flaw, Form, Wanted, text, turn};

impl Call {
    /// What the reply to `request` has to be; `None` if it may be anything.
    ///
    /// # Errors
    /// [`Error::Config`] for a schema that cannot be used, and for repairs that cannot be made.
    pub(super) fn wanted(&self, request: &ChatRequest, stream: bool) -> Result<Option<Box<Wanted>>, Error> {
        let (engine, context) = (&self.engine, &self.context);
        let validates = context.validate_output.unwrap_or(engine.config.output.validate);
        let form = match Form::field(request).filter(|_| validates) {
            Some(field) => engine.forms.get(field.text(), || Form::read(field))?,
            None => None,
        };
        let unrepaired = match &form {
            None => Some("nothing to repair: give response_format, and leave its validation on"),
            Some(_) if stream => Some("no meaning for a stream, which has been shown by then: use chat"),
            Some(_) if request.n.is_some_and(|n| n > 1) => Some("no meaning with n above 1: leave one out"),
            Some(_) => None,
        };
        if let (Some(why), Some(1..)) = (unrepaired, context.max_repairs) {
            return Err(Error::config(format!("max_repairs has {why}")));
        }
        let max_repairs = match unrepaired {
            Some(_) => 0,
            None => context.max_repairs.unwrap_or(engine.config.output.max_repairs),
        };
        let validator = || context.validator.clone();
        Ok(form.map(|form| Box::new(Wanted { form, validator: validator(), max_repairs })))
    }

    /// `answer`, or one that came of it, if that is what is wanted.
    ///
    /// # Errors
    /// Those of a call; [`Error::OutputInvalid`] if no answer is what is wanted, and if something else than a rule keeps
    /// it from being repaired.
    ///
    /// # Cancel safety
    /// Dropping the future releases what was not sent and settles what was.
    pub(super) async fn repaired(
        &mut self,
        mut answer: Answer,
        request: &mut ChatRequest,
        wanted: &Wanted,
    ) -> Result<Answer, Error> {
        let mut used = Usage::default();
        loop {
            let Answer::Whole { body, usage, upstream, .. } = &mut answer else { return Err(unexpected()) };
            used = used.plus(usage);
            *usage = used;
            let checked = self.queue(wanted.check(body, self.deadline)).await?;
            let Err(mut flaw) = checked else { return Ok(answer) };
            let ends = self.repairs >= wanted.max_repairs || now() >= self.deadline;
            let Some(said) = flaw.said.take().filter(|_| !ends) else {
                return Err(flaw.into_error(upstream, self.repairs, None));
            };
            self.watch.repairing(upstream, self.repairs + 1, flaw.violations.len());
            self.add_turn(request, said, &flaw).await?;
            self.note(|| Prompt::Chat(request.messages.clone()));
            let upstream = upstream.clone();
            answer = match self.answer_again(request).await {
                Ok(answer) => answer,
                Err(error) if is_in_the_way(&error) => {
                    return Err(flaw.into_error(&upstream, self.repairs, Some(error)));
                }
                Err(error) => return Err(error),
            };
            self.repairs += 1;
        }
    }

    /// One more answer, held against the policies.
    async fn answer_again(&mut self, request: &ChatRequest) -> Result<Answer, Error> {
        let answer = self.govern(Asked::Chat { request, stream: false }).await?;
        if self.is_screened() { self.screen_reply(answer).await } else { Ok(answer) }
    }

    /// Tell the model what it has said, and what is wrong with that.
    async fn add_turn(&mut self, request: &mut ChatRequest, said: Text, flaw: &Flaw) -> Result<(), Error> {
        // With the placeholders that it was written with: a value is not found again wherever it stands.
        let written = self.said.take().map(|body| Text::from(&*text(&body)));
        let has_placeholders = written.is_some();
        // A validator has read values in the place of placeholders, and may quote them.
        let mut turn = turn(written.unwrap_or(said), flaw.told(!has_placeholders));
        let told = turn.split_off(if has_placeholders { turn.len() - 1 } else { 0 });
        request.messages.append(&mut turn);
        request.messages.append(&mut self.screen_turn(told).await?);
        Ok(())
    }
}

/// Whether an error is only in the way of a repair. What a rule refuses is refused, whichever answer it is.
fn is_in_the_way(error: &Error) -> bool {
    matches!(
        error,
        Error::BudgetExceeded(_)
            | Error::Ledger(_)
            | Error::RateLimited { .. }
            | Error::UpstreamTimeout { .. }
            | Error::UpstreamConnection { .. }
            | Error::UpstreamStatus { .. }
            | Error::NoUpstream { .. }
            | Error::BreakerOpen { .. }
            | Error::NotRetried { .. }
    )
}
