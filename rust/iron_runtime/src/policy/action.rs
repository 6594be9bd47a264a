//! Actions: what a text is once the findings in it have been dealt with.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::pseudonym::{Full, Vault};
use super::{Action, Change, Decision};

/// So many characters at the end of a masked text stay.
const SHOWN: usize = 4;
/// So many characters of a hash stand for the text: 64 bits.
const HASH: usize = 16;

/// The text with every action done; `None` where nothing changes. Placeholders of pseudonyms are those of `scope`.
///
/// # Errors
/// [`Full`] if there are more of them than a scope holds.
pub(super) fn apply(
    text: &str,
    decisions: &[Decision],
    scope: Option<&Vault>,
) -> Result<Option<String>, Full> {
    let changes = merged(decisions);
    if changes.is_empty() {
        return scope.map_or(Ok(None), |scope| scope.guard(text, &[]));
    }
    if let Some(scope) = scope {
        scope.keep_off(text)?;
    }
    let mut written = String::with_capacity(text.len());
    let mut placeholders = Vec::new();
    let mut at = 0;
    for (span, action, entity) in changes {
        written.push_str(&text[at..span.start]);
        at = span.end;
        match action {
            Action::Mask => mask(&text[span], &mut written),
            Action::Hash => {
                written.extend(["[", &entity.to_string(), ":", &hash(&text[span]), "]"]);
            }
            Action::Pseudonymize if let Some(scope) = scope => {
                let from = written.len();
                written.push_str(&scope.pseudonym(&entity, &text[span])?);
                placeholders.push(from..written.len());
            }
            _ => written.extend(["[", &entity.to_string(), "]"]),
        }
    }
    written.push_str(&text[at..]);
    match scope {
        // Other actions, too, may have left what looks like a placeholder.
        Some(scope) => Ok(Some(scope.guard(&written, &placeholders)?.unwrap_or(written))),
        None => Ok(Some(written)),
    }
}

/// Findings that change the text; where they overlap, the strictest action over all of them.
fn merged(decisions: &[Decision]) -> Vec<Change> {
    let changing = decisions.iter().filter(|decision| decision.action >= Action::Mask);
    let mut changes: Vec<Change> = Vec::new();
    for Decision { finding, action, .. } in changing {
        match changes.last_mut() {
            Some((span, strictest, entity)) if finding.span.start < span.end => {
                span.end = span.end.max(finding.span.end);
                if action > strictest {
                    *strictest = *action;
                    *entity = finding.entity.clone();
                }
            }
            _ => changes.push((finding.span.clone(), *action, finding.entity.clone())),
        }
    }
    changes
}

fn mask(text: &str, into: &mut String) {
    let hidden = text.chars().count().saturating_sub(SHOWN).max(text.chars().count().min(SHOWN));
    for (index, c) in text.chars().enumerate() {
        into.push(if index < hidden && c.is_alphanumeric() { '*' } else { c });
    }
}

/// The same for the same text as long as the process lives, whatever policy hashes it: what was hashed in an earlier call
/// of a conversation is the same in a later one.
fn hash(text: &str) -> String {
    static KEY: OnceLock<[u8; 32]> = OnceLock::new();
    let key = KEY.get_or_init(rand::random);
    // The key comes first and last, so that nothing can be appended to what is hashed.
    let digest = Sha256::new().chain_update(key).chain_update(text).chain_update(key).finalize();
    let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    nibbles.take(HASH).filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}
