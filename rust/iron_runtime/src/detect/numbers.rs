//! Numbers: every run with a digit, offered to each detector whose identifiers begin so.

use super::entity::Known;
use super::group::Group;
use super::view::View;
use super::{Finding, account, crypto, identifier, network, phone, vat};

/// What stands before the branch in a Brazilian company's number.
const BRANCH: usize = "AB.CDE.FGH/".len();

/// Add whatever the numbers of the text are.
pub(super) fn find(view: &View<'_>, findings: &mut Vec<Finding>) {
    let text = view.bytes;
    let (mut done, mut row) = (0, 0);
    for (start, end) in view.numbers.iter().copied() {
        // Within an address there is nothing else.
        if start < done {
            continue;
        }
        let first = text[start];
        if end - start <= 4
            && let Some(end) = network::find_address(view, (start, end), &mut row, findings)
        {
            done = end;
            continue;
        }
        if end - start >= 26 {
            crypto::find(view, (start, end), findings);
        }
        if first.is_ascii_digit() {
            // Within a row of single digits there is no beginning but its first.
            let inner = end - start == 1
                && matches!(
                    text[..start],
                    [b'0'..=b'9', b' ' | b'-' | b'.' | b'/']
                        | [.., b' ' | b'-' | b'.' | b'/', b'0'..=b'9', b' ' | b'-' | b'.' | b'/']
                );
            if inner {
                continue;
            }
            let group = Group::at(text, start, false);
            let total = group.parts().last().map_or(0, |part| part.chars);
            if total >= 7 {
                if total >= *account::CARD.start() {
                    account::find_card(view, &group, start, findings);
                }
                identifier::find(view, &group, start, findings);
            }
            // 2 55 08 2A 168 025 38: the department is in Corsica, and digits follow.
            if group.count() == 4 && has_letters(&group) {
                identifier::find(view, &Group::at(text, start, true), start, findings);
            }
            // AB.CDE.FGH/0001-35: the first parts may be letters alone.
            if end - start == 4 && start >= BRANCH && text[start - 1] == b'/' {
                let from = start - BRANCH;
                if !from.checked_sub(1).is_some_and(|at| text[at].is_ascii_alphanumeric()) {
                    identifier::find(view, &Group::at(text, from, true), from, findings);
                }
            }
            if total >= 7 || start > 0 && b"(+".contains(&text[start - 1]) {
                phone::find(view, &group, start, findings);
            }
            // AB 12 34 56 C, GB82 WEST, DE 123456789: the letters stand apart.
            if let Some(from) = letters_before(text, start) {
                let group = Group::at(text, from, true);
                identifier::find(view, &group, from, findings);
                vat::find(view, &group, from, findings);
            }
            continue;
        }
        let group = Group::at(text, start, true);
        account::find_iban(&group, start, findings);
        identifier::find(view, &group, start, findings);
        vat::find(view, &group, start, findings);
        // AT U12345678: the letter behind the country is the number's own.
        if let Some(from) = letters_before(text, start) {
            vat::find(view, &Group::at(text, from, true), from, findings);
        }
    }
}

fn has_letters(group: &Group) -> bool {
    !group.chars(group.count()).iter().all(u8::is_ascii_digit)
}

/// Where one or two capitals begin that a separator parts from the number at `start`.
fn letters_before(text: &[u8], start: usize) -> Option<usize> {
    let [before @ .., b' ' | b'-'] = &text[..start] else { return None };
    let capitals = before.iter().rev().take(3).take_while(|byte| byte.is_ascii_uppercase()).count();
    let from = before.len() - capitals;
    let alone = !from.checked_sub(1).is_some_and(|at| text[at].is_ascii_alphanumeric());
    (alone && matches!(capitals, 1 | 2)).then_some(from)
}

/// Of findings of one family that overlap, keep the surest; of equals, the longest.
pub(super) fn keep_surest(findings: &mut Vec<Finding>) {
    let rank = |finding: &Finding| (finding.entity.family() as u8, finding.span.start);
    findings.sort_by_key(rank);
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings.drain(..) {
        let Some(last) = kept.last_mut() else {
            kept.push(finding);
            continue;
        };
        let overlap = last.entity.family() == finding.entity.family() && finding.span.start < last.span.end;
        // Every keyword and pattern of the configuration is wanted, whatever it overlaps with.
        let custom = !matches!(finding.entity, super::Entity::Known(_)) && last.entity != finding.entity;
        if !overlap || custom {
            kept.push(finding);
            continue;
        }
        let surer = (finding.score, finding.span.len()) > (last.score, last.span.len());
        // A mail address within a URL is worth more than the URL; a URL within its connection string is not.
        if surer && finding.entity != super::Entity::Known(Known::Url) {
            *last = finding;
        }
    }
    kept.sort_by_key(|finding| (finding.span.start, finding.span.end));
    *findings = kept;
}
