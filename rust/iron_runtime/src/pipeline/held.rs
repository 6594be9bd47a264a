//! Held: what of a stream waits for its end, to be judged whole.

use std::collections::BTreeMap;

use futures::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::screen::Pseudonyms;
use super::screen::{Asker, Event, spoken, unreadable};
use super::tools::denied;
use super::{Call, StreamScreen};
use crate::Error;
use crate::call::Chunk;
use crate::policy::{Told, Totals};
use crate::provider::merge;
use crate::tool::{ToolJudge, called_by};

#[cfg(test)]
mod tests;

/// Fields of a delta that call tools.
const CALLS: [&str; 2] = ["tool_calls", "function_call"];

/// The calls of tools in a stream, or all that it says: none of it is shown before it is whole, and judged.
///
/// Calls may come in turns, and those of all choices count together: when the reply is complete they are what the plain
/// call's are, and are judged as those.
pub(crate) struct Held {
    waits: Waiting,
    /// What decides about calls, where rules on tools hold; until it judges.
    judge: Option<ToolJudge>,
    /// By choice.
    kept: BTreeMap<u32, Kept>,
    /// What ends such choices, and comes behind their calls.
    ends: Vec<Chunk>,
    /// The judgement on its way: whoever gives up waiting for it can wait again.
    judging: Option<BoxFuture<'static, Judged>>,
}

/// What of a stream waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Calls of tools.
    Calls,
    /// Whatever the model says: a detector of the user's own, which judges whole texts, is asked about all of it.
    All,
}

/// What is kept of one choice.
struct Kept {
    /// The event that the first of it came in.
    fields: Map<String, Value>,
    /// As a part of the choice's message.
    message: Value,
    /// The same with its placeholders restored, if it has any.
    restored: Option<Value>,
    /// A policy has changed it.
    changed: bool,
}

/// What came of the judgement.
struct Judged {
    kept: BTreeMap<u32, Kept>,
    told: Vec<Told>,
    outcome: Result<(), Error>,
}

impl Held {
    /// Nothing yet; `judge` decides about calls, where rules on tools hold.
    pub(crate) fn new(waits: Waiting, judge: Option<ToolJudge>) -> Self {
        Self { waits, judge, kept: BTreeMap::new(), ends: Vec::new(), judging: None }
    }

    /// Whether something waits for its judgement.
    pub(crate) fn waits(&self) -> bool {
        !self.kept.is_empty() || self.judging.is_some()
    }

    /// Whether what the model says is not judged yet.
    pub(crate) fn waits_for_text(&self) -> bool {
        self.waits == Waiting::All && self.waits()
    }

    /// Keep what waits of the chunks that came, and give the rest.
    ///
    /// # Errors
    /// [`Error::Internal`] for an event that speaks of calls and cannot be read: it would show them.
    pub(crate) fn keep(&mut self, came: Vec<Chunk>) -> Result<Vec<Chunk>, Error> {
        let kept = came.into_iter().map(|chunk| self.keep_of(chunk));
        kept.filter_map(Result::transpose).collect()
    }

    fn keep_of(&mut self, chunk: Chunk) -> Result<Option<Chunk>, Error> {
        if self.waits == Waiting::Calls && !calls(&chunk) {
            return Ok(Some(chunk));
        }
        let mut event = match (Event::read(&chunk)?, self.waits) {
            (Some(event), _) => event,
            // It tells of usage alone.
            (None, Waiting::All) => return Ok(Some(chunk)),
            (None, Waiting::Calls) => return Err(unreadable("a call")),
        };
        if let Some(choice) = event.choice.as_object_mut() {
            // Some repeat there what has come so far.
            choice.remove("message");
            if self.waits == Waiting::All {
                // The tokens of the text, one by one.
                choice.remove("logprobs");
            }
        }
        let mut own = Map::new();
        let mut is_spent = true;
        if let Some(delta) = event.choice.get_mut("delta").and_then(Value::as_object_mut) {
            match self.waits {
                Waiting::Calls => own.extend(CALLS.iter().filter_map(|name| delta.remove_entry(*name))),
                Waiting::All => own = std::mem::take(delta),
            }
            is_spent = delta.values().all(Value::is_null);
        }
        own.retain(|_, value| !value.is_null());
        if !own.is_empty() {
            let kept = self.kept.entry(chunk.index).or_insert_with(|| Kept::new(&event.fields));
            if let Some(message) = kept.message.as_object_mut() {
                merge(message, own);
            }
        }
        if is_spent && chunk.finish_reason.is_none() {
            return Ok(None);
        }
        let text = spoken(&event.choice["delta"]);
        Ok(Some(Chunk { data: event.written(), raw: None, text, ..chunk }))
    }

    /// Keep of what is to be shown, from the place `first` on, what ends a choice that waits.
    pub(crate) fn keep_ends(&mut self, shown: &mut Vec<Chunk>, first: usize) {
        if self.kept.is_empty() {
            return;
        }
        for chunk in shown.split_off(first) {
            let ends = chunk.finish_reason.is_some() || !self.ends.is_empty();
            let kept =
                if ends && self.kept.contains_key(&chunk.index) { &mut self.ends } else { &mut *shown };
            kept.push(chunk);
        }
    }

    /// Judge what waits, once the reply is complete, and give what may be shown of it.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`], or what the policy has against it: then nothing of it is shown.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; the judgement goes on where it was.
    pub(crate) async fn judged(
        &mut self,
        call: &mut Call,
        screen: Option<&mut StreamScreen>,
    ) -> Result<Vec<Chunk>, Error> {
        if self.judging.is_none() {
            let acting = screen.as_ref().filter(|screen| !screen.is_behind());
            let asker = acting.and_then(|screen| Some((call.asker()?, screen.totals())));
            let (kept, judge) = (std::mem::take(&mut self.kept), self.judge.take());
            self.judging = Some(judged(asker, call.pseudonyms.clone(), judge, kept).boxed());
        }
        let Some(judging) = &mut self.judging else { return Ok(Vec::new()) };
        let Judged { kept, told, outcome } = call.queue(judging).await;
        self.judging = None;
        call.found(told);
        outcome?;
        Ok(self.released(kept, screen))
    }

    /// What was kept, as chunks: the calls of each choice, and then what ends them.
    fn released(&mut self, kept: BTreeMap<u32, Kept>, mut screen: Option<&mut StreamScreen>) -> Vec<Chunk> {
        let mut chunks = Vec::with_capacity(kept.len() + self.ends.len());
        for (index, Kept { fields, message, restored, changed }) in kept {
            let event = Event { fields, index, choice: Value::Null };
            let chunk = event.part(&message);
            if let Some(screen) = &mut screen {
                screen.add(&chunk, changed);
            }
            chunks.push(restored.map_or(chunk, |restored| event.part(&restored)));
        }
        chunks.append(&mut self.ends);
        chunks
    }
}

impl Kept {
    fn new(fields: &Map<String, Value>) -> Self {
        Self { fields: fields.clone(), message: Value::Object(Map::new()), restored: None, changed: false }
    }
}

/// Hold what was kept against the policy, if one acts, and what that lets pass, as the caller gets it, against the rules
/// on tools.
async fn judged(
    asker: Option<(Asker, Totals)>,
    pseudonyms: Option<Pseudonyms>,
    judge: Option<ToolJudge>,
    mut kept: BTreeMap<u32, Kept>,
) -> Judged {
    let mut told = Vec::new();
    let outcome = async {
        if let Some((asker, totals)) = asker {
            let mut parts: Vec<_> = kept.values_mut().map(|kept| (kept.message.take(), false)).collect();
            asker.screen_parts(&mut parts, &totals, &mut told).await?;
            for (kept, (message, changed)) in kept.values_mut().zip(parts) {
                (kept.message, kept.changed) = (message, changed);
            }
        }
        if let Some(pseudonyms) = pseudonyms {
            for kept in kept.values_mut() {
                kept.restored = pseudonyms.restored(&kept.message);
            }
        }
        let Some(judge) = judge else { return Ok(()) };
        let given = kept.values().map(|kept| kept.restored.as_ref().unwrap_or(&kept.message));
        let calls = called_by(given).map_err(denied)?;
        judge.judge(&calls).await.map_err(denied)
    };
    let outcome = outcome.await;
    Judged { kept, told, outcome }
}

#[derive(Deserialize)]
struct Spoken {
    #[serde(default)]
    choices: Option<Vec<SpokenChoice>>,
}

#[derive(Deserialize)]
struct SpokenChoice {
    #[serde(default)]
    delta: Option<Calls>,
    #[serde(default)]
    message: Option<Calls>,
}

#[derive(Deserialize)]
struct Calls {
    #[serde(default)]
    tool_calls: Option<IgnoredAny>,
    #[serde(default)]
    function_call: Option<IgnoredAny>,
}

/// Whether an event has a piece of a call, of any choice; one that cannot be read may have.
fn calls(chunk: &Chunk) -> bool {
    let Ok(event) = serde_json::from_slice::<Spoken>(&chunk.data) else { return true };
    let mut said = event.choices.into_iter().flatten().flat_map(|choice| [choice.delta, choice.message]);
    said.any(|said| said.is_some_and(|said| said.tool_calls.is_some() || said.function_call.is_some()))
}
