//! The restorer: a text with its placeholders restored, at once or as it comes.

use std::fmt;
use std::sync::Arc;

use super::Vault;
use super::scan::{Ahead, Form, Scanner};
use crate::detect::Finding;

/// What a scope had given when a request was sent: nothing else can be meant in its reply.
#[derive(Clone, Debug)]
pub(crate) struct View {
    vault: Vault,
    names: Arc<[Arc<str>]>,
    given: u32,
}

impl View {
    pub(super) fn new(vault: Vault, names: Arc<[Arc<str>]>, given: u32) -> Self {
        Self { vault, names, given }
    }

    /// The text with its placeholders restored; `None` where it has none.
    pub(crate) fn restore(&self, text: &str, form: Form) -> Option<String> {
        let mut restored = String::new();
        let Scanned { copied, .. } = self.scan(Scanner::whole(text, form), text, form, &mut restored);
        if copied == 0 {
            return None;
        }
        restored.push_str(&text[copied..]);
        Some(restored)
    }

    /// The placeholders of a text, each as a finding of what it stands for.
    pub(crate) fn stand_ins(&self, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut scanner = Scanner::whole(text, Form::Plain);
        while let Ahead::Found(candidate) = scanner.ahead() {
            let Some((_, entity)) = self.vault.value(&candidate, self.given) else {
                scanner.step();
                continue;
            };
            scanner.accept(&candidate);
            let found = |entity| Finding {
                entity,
                span: candidate.span.clone(),
                score: 1.0,
                reason: "placeholder of a value".into(),
            };
            findings.extend(entity.map(found));
        }
        findings
    }

    fn scan(&self, mut scanner: Scanner<'_>, text: &str, form: Form, restored: &mut String) -> Scanned {
        let mut copied = 0;
        loop {
            match scanner.ahead() {
                Ahead::Found(candidate) => match self.vault.value(&candidate, self.given) {
                    Some((value, _)) => {
                        restored.push_str(&text[copied..candidate.span.start]);
                        value.write(form, restored);
                        copied = candidate.span.end;
                        scanner.accept(&candidate);
                    }
                    None => scanner.step(),
                },
                Ahead::Open(from, read) if self.names.iter().any(|name| read.may_become(name)) => {
                    return Scanned { copied, through: from, before: scanner.before() };
                }
                Ahead::Open(..) => scanner.step(),
                Ahead::End => return Scanned { copied, through: text.len(), before: scanner.before() },
            }
        }
    }
}

/// How far a text has been dealt with.
struct Scanned {
    /// So much of it is written, placeholders included.
    copied: usize,
    /// What follows may become a placeholder.
    through: usize,
    before: Option<char>,
}

/// A text that is still coming: of it waits what may yet become a placeholder, and no more.
pub(crate) struct Restorer {
    view: View,
    form: Form,
    waits: String,
    before: Option<char>,
}

impl Restorer {
    pub(crate) fn new(view: View, form: Form) -> Self {
        Self { view, form, waits: String::new(), before: None }
    }

    /// Add what came, and give what may be shown.
    pub(crate) fn push(&mut self, more: &str) -> String {
        self.advance(more, false)
    }

    /// Nothing more comes: what is left.
    pub(crate) fn finish(&mut self) -> String {
        self.advance("", true)
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waits.len()
    }

    fn advance(&mut self, more: &str, ended: bool) -> String {
        self.waits.push_str(more);
        let text = std::mem::take(&mut self.waits);
        let mut restored = String::with_capacity(text.len());
        let scanner = Scanner::part(&text, self.form, self.before, ended);
        let Scanned { copied, through, before } = self.view.scan(scanner, &text, self.form, &mut restored);
        restored.push_str(&text[copied..through]);
        self.waits.push_str(&text[through..]);
        self.before = before;
        restored
    }
}

impl fmt::Debug for Restorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text is nobody else's business.
        f.debug_struct("Restorer").field("waits", &self.waits.len()).finish_non_exhaustive()
    }
}
