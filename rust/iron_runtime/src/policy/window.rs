//! The window: a text that is still coming, shown as far as it has been judged.

use std::ops::Range;

use super::chain::Chain;
use super::pace::{Pace, rewrite};
use super::{Action, Decision, Direction};
use crate::detect::Waits;

/// So much of what was shown is judged again with what follows it: words that tell what a number is stand before it.
const CONTEXT: usize = 256;
/// A text of which so much waits is held to its end.
const MOST: usize = 64 * 1024;
/// So much may wait before it is judged less often than at every delta.
const OFTEN: usize = 1024;

/// A text that is still coming.
pub(crate) struct Window {
    direction: Direction,
    pace: Pace,
    /// All that has come.
    text: String,
    /// How much of it has been shown.
    shown: usize,
    /// Where the part begins that is judged again.
    context: usize,
    /// How much had come when it was judged last.
    judged: usize,
    /// A rule has changed something.
    changed: bool,
}

/// What may be shown now, and the decision that refuses what follows it.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) blocked: Option<Decision>,
}

impl Window {
    pub(crate) fn new(pace: Pace, direction: Direction) -> Self {
        Self { direction, pace, text: String::new(), shown: 0, context: 0, judged: 0, changed: false }
    }

    /// Whether what was shown is not what came.
    pub(crate) fn changed(&self) -> bool {
        self.changed
    }

    /// Add what came, and give what may be shown.
    pub(crate) fn push(&mut self, more: &str, policies: &Chain, waits: &Waits) -> Shown {
        self.text.push_str(more);
        match self.pace {
            Pace::Window if !waits.is_empty() => self.advance(policies, waits),
            Pace::Whole => Shown::default(),
            Pace::Behind | Pace::Window => {
                self.shown = self.text.len();
                Shown { text: more.to_owned(), blocked: None }
            }
        }
    }

    /// All that has come, as it came.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Nothing more comes, and these are the decisions on the whole text: what is left to show.
    pub(crate) fn finish(&mut self, decisions: &[Decision]) -> Shown {
        self.pass(self.shown..self.text.len(), decisions)
    }

    fn advance(&mut self, policies: &Chain, waits: &Waits) -> Shown {
        let held = self.text.len() - self.shown;
        if held > MOST {
            self.pace = Pace::Whole;
            return Shown::default();
        }
        if held > OFTEN && (self.text.len() - self.judged) * 8 < held {
            return Shown::default();
        }
        self.judged = self.text.len();
        let context = self.context;
        let (mut decisions, settled) =
            policies.glance(&self.text[context..], self.shown - context, self.direction, waits);
        for decision in &mut decisions {
            let span = &mut decision.finding.span;
            *span = span.start + context..span.end + context;
        }
        let mut settled = settled + context;
        for Decision { finding, .. } in decisions.iter().rev() {
            if finding.span.start < settled && settled < finding.span.end {
                settled = finding.span.start;
            }
        }
        let settled = settled.max(self.shown);
        let passed = self.pass(self.shown..settled, &decisions);
        self.forget(&decisions);
        passed
    }

    /// Show `span`, up to what a rule refuses.
    fn pass(&mut self, span: Range<usize>, decisions: &[Decision]) -> Shown {
        let blocks = |decision: &&Decision| {
            decision.action == Action::Block
                && decision.finding.span.start < span.end
                && decision.finding.span.end > span.start
        };
        let blocked = decisions.iter().find(blocks).cloned();
        let end = blocked.as_ref().map_or(span.end, |blocked| blocked.finding.span.start.max(span.start));
        let span = span.start..end;
        self.shown = end;
        let text = match rewrite(&self.text, &span, decisions) {
            Some(text) => {
                self.changed = true;
                text
            }
            None => self.text[span].to_owned(),
        };
        Shown { text, blocked }
    }

    /// Let what was shown long ago be judged no more.
    fn forget(&mut self, decisions: &[Decision]) {
        let Some(earliest) = self.shown.checked_sub(CONTEXT) else { return };
        let text = self.text.as_bytes();
        let before = |from: usize| text[..from].iter().rposition(u8::is_ascii_whitespace);
        // At a word's beginning, so that none is taken for another.
        let Some(mut from) = before(earliest).map(|at| at + 1) else { return };
        for Decision { finding, .. } in decisions {
            if finding.span.start < from && from < finding.span.end {
                from = finding.span.end;
            }
        }
        self.context = self.context.max(from.min(self.shown));
    }
}
