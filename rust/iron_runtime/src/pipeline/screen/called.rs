//! Detectors of the user's own: asked about whatever the rules of a call want to know of its texts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::timeout_at;

use super::{Pseudonyms, Screen};
use crate::Error;
use crate::call::Text;
use crate::clock::{Instant, now};
use crate::pipeline::{Call, Engine, unexpected};
use crate::policy::{Chain, DetectorFault, Direction, Fault, Finding, History, Told, Totals};

/// So many questions of one call are open at once.
const AT_ONCE: usize = 64;

/// A text, and who is to judge it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    detector: Arc<str>,
    direction: Direction,
    text: Text,
}

/// What detectors have said of the texts of a call, and what they are still to be asked.
#[derive(Default)]
pub(super) struct Answers {
    known: HashMap<Question, Vec<Finding>>,
    open: HashSet<Question>,
}

impl Answers {
    /// What `detectors` have found in a text; whoever has not been asked is noted.
    pub(super) fn of(&mut self, detectors: &[Arc<str>], text: &str, direction: Direction) -> Vec<Finding> {
        let mut findings = Vec::new();
        for detector in detectors.iter().filter(|_| !text.is_empty()) {
            let question = Question { detector: detector.clone(), direction, text: text.into() };
            match self.known.get(&question) {
                Some(found) => findings.extend(found.iter().cloned()),
                None => drop(self.open.insert(question)),
            }
        }
        findings
    }
}

/// Who asks detectors in the name of a call. It borrows nothing of the call, so that what it waits for can go on by itself.
pub(in crate::pipeline) struct Asker {
    engine: Arc<Engine>,
    policies: Arc<Chain>,
    pseudonyms: Option<Pseudonyms>,
    deadline: Instant,
}

impl Call {
    /// Who asks in the name of the call, once policies hold it.
    pub(in crate::pipeline) fn asker(&self) -> Option<Asker> {
        let (engine, policies) = (self.engine.clone(), self.held.clone()?);
        Some(Asker { engine, policies, pseudonyms: self.pseudonyms.clone(), deadline: self.deadline })
    }

    /// Walk over the texts of `subject`, as [`Asker::screened`] does, which follow those that come to `before`.
    ///
    /// # Errors
    /// As for that.
    ///
    /// # Cancel safety
    /// As for that.
    pub(super) async fn screened<T: Clone>(
        &mut self,
        subject: &mut T,
        before: Totals,
        walk: impl Fn(&mut Screen<'_>, &mut T) -> Result<(), Error>,
    ) -> Result<Totals, Error> {
        let asker = self.asker().ok_or_else(unexpected)?;
        asker.screened(subject, &before, &mut self.findings, walk).await
    }
}

impl Asker {
    /// Walk over the texts of `subject`, and again over its first form with what detectors of the user's own have said of
    /// them, until there is nothing left to ask. What they come to is returned, with `totals` that came before.
    ///
    /// # Errors
    /// Those of the walk, and of [`Asker::consult`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves `subject` as it was, unless the walk is through.
    pub(super) async fn screened<T: Clone>(
        &self,
        subject: &mut T,
        totals: &Totals,
        told: &mut Vec<Told>,
        walk: impl Fn(&mut Screen<'_>, &mut T) -> Result<(), Error>,
    ) -> Result<Totals, Error> {
        let history = self.engine.history();
        let mut answers = Answers::default();
        if !self.policies.calls() {
            let mut screen = self.screen(history, totals, told, &mut answers);
            walk(&mut screen, subject)?;
            return Ok(screen.totals);
        }
        let before = told.len();
        loop {
            let mut judged = subject.clone();
            let mut screen = self.screen(history, totals, told, &mut answers);
            walk(&mut screen, &mut judged)?;
            let totals = screen.totals;
            if answers.open.is_empty() {
                *subject = judged;
                return Ok(totals);
            }
            told.truncate(before);
            self.consult(&mut answers).await?;
        }
    }

    fn screen<'s>(
        &'s self,
        history: Option<&'s History>,
        totals: &Totals,
        told: &'s mut Vec<Told>,
        answers: &'s mut Answers,
    ) -> Screen<'s> {
        let pseudonyms = self.pseudonyms.as_ref();
        Screen { pseudonyms, totals: totals.clone(), ..Screen::new(&self.policies, history, told, answers) }
    }

    /// Ask what is open.
    ///
    /// # Errors
    /// [`Error::Detector`] of the first that does not judge, which gives the others up.
    ///
    /// # Cancel safety
    /// Dropping the future gives all questions up.
    async fn consult(&self, answers: &mut Answers) -> Result<(), Error> {
        let open = std::mem::take(&mut answers.open);
        let asked = stream::iter(open.into_iter().map(|question| self.answer_to(question)));
        let answered: Vec<_> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
        answers.known.extend(answered);
        Ok(())
    }

    async fn answer_to(&self, question: Question) -> Result<(Question, Vec<Finding>), Error> {
        let Question { detector, direction, text } = &question;
        let called = self.engine.extensions.named(detector)?;
        let began = now();
        let most = self.engine.config.detector_timeout.min(self.deadline - began);
        let refused = |fault, source| {
            let (detector, direction) = (detector.clone(), *direction);
            Error::Detector(Box::new(DetectorFault { detector, direction, fault, source }))
        };
        let said = timeout_at(began + most, called.inspect(text.clone(), *direction)).await;
        let matches = said.map_err(|_| refused(Fault::TimedOut(most), None))?;
        let matches = matches.map_err(|cause| refused(Fault::Failed, Some(cause)))?;
        let found = matches.into_iter().map(|found| found.found(detector, text));
        let found = found.collect::<Result<_, _>>().map_err(|fault| refused(fault, None))?;
        Ok((question, found))
    }
}
