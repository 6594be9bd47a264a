//! Telephone numbers.
//!
//! International numbers are held to their country's plan. National ones have no checksum: their form must be one that
//! people write, or words beside them must say so.

use super::Finding;
use super::entity::Known;
use super::group::Group;
use super::plan;
use super::topic::Topic;
use super::view::View;

/// Forms of national numbers with a trunk prefix 0, as they are usually written.
const NATIONAL: [&[usize]; 13] = [
    &[2, 2, 2, 2, 2],
    &[5, 6],
    &[3, 4, 4],
    &[4, 3, 4],
    &[5, 3, 3],
    &[3, 3, 4],
    &[4, 7],
    &[4, 8],
    &[3, 7],
    &[3, 6],
    &[3, 8],
    &[4, 6],
    &[2, 4, 4],
];

/// Add the number that begins at `start`, or with the `+`, `00` or `(` before it.
pub(super) fn find(view: &View<'_>, group: &Group, start: usize, findings: &mut Vec<Finding>) {
    let before = &view.bytes[..start];
    let inner = matches!(before, [.., b'0'..=b'9', b' ' | b'-' | b'.' | b'/']);
    let plus = matches!(before, [.., b'+'] | [.., b'+', b'(']);
    let zeros = !inner
        && group.parts().next().is_some_and(|part| part.chars > 2)
        && matches!(view.bytes[start..], [b'0', b'0', ..]);
    if plus || zeros {
        let from = if before.ends_with(b"+(") { start - 2 } else { start - usize::from(plus) };
        let digits = if zeros { start + 2 } else { start };
        if let Some(end) = international(view.bytes, digits) {
            let score = if plus || view.beside(Topic::Phone, start, end) { 0.9 } else { 0.5 };
            let reason = "country code and numbering plan";
            findings.push(Finding::new(Known::PhoneNumber, from..end, score, reason));
            return;
        }
    }
    if inner || before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)) {
        return;
    }
    if let Some((from, end, score)) = north_american(view, start).or_else(|| national(group, start)) {
        let beside = view.beside(Topic::Phone, from, end);
        let score = if beside { 0.9 } else { score };
        let reason = if beside { "form and context" } else { "form" };
        findings.push(Finding::new(Known::PhoneNumber, from..end, score, reason));
        return;
    }
    // Bare digits are a telephone number where the words say so.
    let Some(part) = group.parts().next() else { return };
    if (7..=13).contains(&part.chars)
        && group.chars(1).iter().all(u8::is_ascii_digit)
        && !group.goes_on(1)
        && view.beside(Topic::Phone, start, part.end)
    {
        findings.push(Finding::new(Known::PhoneNumber, start..part.end, 0.55, "digits and context"));
    }
}

/// Where the international number ends whose country code begins at `start`.
fn international(text: &[u8], start: usize) -> Option<usize> {
    /// ITU-T E.164 allows fifteen digits; separators and brackets stand between them.
    const LONGEST: usize = 30;
    let (mut digits, mut len, mut end) = ([0; 15], 0, None);
    for (index, byte) in text[start..].iter().take(LONGEST).enumerate() {
        let at = start + index;
        match byte {
            // The 0 in +44 (0)20 is not dialled.
            b'0' if text[..at].ends_with(b"(") && text[at..].starts_with(b"0)") => {}
            b'0'..=b'9' if len < digits.len() => {
                digits[len] = *byte;
                len += 1;
                // A row of digits ends here: the number may, and what follows be another.
                let ends = text.get(at + 1).is_none_or(|next| !next.is_ascii_alphanumeric());
                if ends && plan::is_international(&digits[..len]) {
                    end = Some(at + 1);
                }
            }
            b' ' | b'-' | b'.' | b'/' | b'(' | b')' => {
                // Two separators in a row end a number, but for those around brackets.
                if text[..at].last().is_some_and(|last| b" -./".contains(last)) && b" -./".contains(byte) {
                    break;
                }
            }
            _ => break,
        }
    }
    end
}

/// A number of the North American plan: its area is assigned, its exchange begins with 2 to 9 and does not end in 11.
fn north_american(view: &View<'_>, start: usize) -> Option<(usize, usize, f32)> {
    let text = view.bytes;
    let digits = |at: usize, count: usize| {
        let digits = text.get(at..at + count)?;
        digits.iter().all(u8::is_ascii_digit).then_some(digits)
    };
    let bracket = matches!(text[..start], [.., b'(']);
    let (country, area_at) = match text.get(start..start + 2) {
        Some([b'1', b' ' | b'-' | b'.']) if !bracket => (2, start + 2),
        _ => (0, start),
    };
    let (bracket, area_at) =
        if text.get(area_at) == Some(&b'(') { (true, area_at + 1) } else { (bracket, area_at) };
    let area = digits(area_at, 3)?;
    let mut at = area_at + 3;
    let separator = if bracket {
        at += 1 + usize::from(text.get(at + 1) == Some(&b' '));
        if text.get(area_at + 3) != Some(&b')') {
            return None;
        }
        b'-'
    } else {
        at += 1;
        *text.get(at - 1).filter(|byte| b"-. ".contains(byte))?
    };
    let exchange = digits(at, 3)?;
    text.get(at + 3).filter(|byte| b"-. ".contains(byte))?;
    let line = digits(at + 4, 4)?;
    let end = at + 8;
    let goes_on = text.get(end).is_some_and(|byte| {
        byte.is_ascii_alphanumeric()
            || b"-.".contains(byte) && text.get(end + 1).is_some_and(u8::is_ascii_digit)
    });
    let mut number = [0; 10];
    for (place, digit) in number.iter_mut().zip(area.iter().chain(exchange).chain(line)) {
        *place = *digit;
    }
    if goes_on || exchange[0] < b'2' || &exchange[1..] == b"11" || !plan::is_north_american(&number) {
        return None;
    }
    let score = match (bracket, separator) {
        (true, _) => 0.75,
        (false, b'-') => 0.65,
        (false, b'.') => 0.6,
        _ if country > 0 => 0.5,
        _ => 0.4,
    };
    Some((start - usize::from(bracket && text[..start].ends_with(b"(")), end, score))
}

/// A number with the trunk prefix 0, in a usual form.
fn national(group: &Group, start: usize) -> Option<(usize, usize, f32)> {
    NATIONAL.iter().find_map(|shape| {
        let count = shape.len();
        let fits = group.count() >= count
            && group.is_shaped(shape)
            && group.is_even(count)
            && !group.goes_on(count)
            && group.chars(count).iter().all(u8::is_ascii_digit);
        let digits = fits.then(|| group.chars(count))?;
        let score = if count > 3 { 0.6 } else { 0.4 };
        (digits[0] == b'0' && digits[1] != b'0').then(|| (start, group.part(count - 1).end, score))
    })
}
