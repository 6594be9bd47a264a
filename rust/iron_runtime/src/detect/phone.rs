//! Telephone numbers.
//!
//! International numbers are held to ITU-T E.164's country codes and to how many digits each country's numbers have.
//! National ones have no checksum: their form must be one that people write, or words beside them must say so.

use super::Finding;
use super::checksum::value;
use super::entity::Known;
use super::group::Group;
use super::topic::Topic;
use super::view::View;

/// Country codes (ITU Operational Bulletin, list of E.164 assignments) whose national numbers have so many digits.
/// Codes of three digits that are not listed have 5 to 12.
const COUNTRIES: [(&str, usize, usize); 49] = [
    ("1", 10, 10),
    ("7", 10, 10),
    ("20", 8, 10),
    ("27", 9, 9),
    ("30", 10, 10),
    ("31", 9, 9),
    ("32", 8, 9),
    ("33", 9, 9),
    ("34", 9, 9),
    ("36", 8, 9),
    ("39", 6, 11),
    ("40", 9, 9),
    ("41", 9, 9),
    ("43", 7, 13),
    ("44", 9, 10),
    ("45", 8, 8),
    ("46", 7, 10),
    ("47", 8, 8),
    ("48", 9, 9),
    ("49", 7, 12),
    ("51", 8, 9),
    ("52", 10, 10),
    ("53", 8, 8),
    ("54", 10, 11),
    ("55", 10, 11),
    ("56", 9, 9),
    ("57", 10, 10),
    ("58", 10, 10),
    ("60", 8, 10),
    ("61", 9, 9),
    ("62", 8, 12),
    ("63", 8, 10),
    ("64", 8, 10),
    ("65", 8, 8),
    ("66", 8, 9),
    ("81", 9, 10),
    ("82", 8, 10),
    ("84", 9, 10),
    ("86", 10, 11),
    ("90", 10, 10),
    ("91", 10, 10),
    ("92", 9, 10),
    ("93", 9, 9),
    ("94", 9, 9),
    ("95", 7, 10),
    ("98", 10, 10),
    ("351", 9, 9),
    ("353", 7, 9),
    ("358", 6, 11),
];
/// First two digits of the country codes of three digits that are assigned.
const THREE_DIGITS: [&str; 19] = [
    "21", "22", "23", "24", "25", "26", "29", "35", "37", "38", "42", "50", "59", "67", "68", "69", "85",
    "88", "96",
];
const MORE_THREE_DIGITS: [&str; 2] = ["97", "99"];

/// Forms of national numbers with a trunk prefix 0, as they are usually written.
const NATIONAL: [&[usize]; 12] = [
    &[2, 2, 2, 2, 2],
    &[5, 6],
    &[3, 4, 4],
    &[4, 3, 4],
    &[5, 3, 3],
    &[3, 3, 4],
    &[4, 7],
    &[4, 8],
    &[3, 7],
    &[3, 8],
    &[4, 6],
    &[2, 4, 4],
];

/// Add the number that begins at `start`, or with the `+`, `00` or `(` before it.
pub(super) fn find(view: &View<'_>, group: &Group, start: usize, findings: &mut Vec<Finding>) {
    let before = &view.bytes[..start];
    let inner = matches!(before, [.., b'0'..=b'9', b' ' | b'-' | b'.' | b'/']);
    let plus = before.ends_with(b"+") || before.ends_with(b"+(");
    let zeros = !inner
        && group.parts().first().is_some_and(|part| part.chars > 2)
        && view.bytes[start..].starts_with(b"00");
    if plus || zeros {
        let from = if before.ends_with(b"+(") { start - 2 } else { start - usize::from(plus) };
        let digits = if zeros { start + 2 } else { start };
        if let Some(end) = international(view.bytes, digits) {
            let score = if plus || view.beside(Topic::Phone, start, end) { 0.9 } else { 0.5 };
            let reason = "country code and number of digits";
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
    let Some(part) = group.parts().first() else { return };
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
    /// E.164 allows fifteen digits; separators and brackets stand between them.
    const LONGEST: usize = 30;
    let (mut digits, mut len, mut end) = ([0; 16], 0, start);
    for (index, byte) in text[start..].iter().take(LONGEST).enumerate() {
        match byte {
            b'0'..=b'9' if len < digits.len() => {
                // The 0 in +44 (0)20 is not dialled.
                if !(*byte == b'0'
                    && text[..start + index].ends_with(b"(")
                    && text[start + index..].starts_with(b"0)"))
                {
                    digits[len] = *byte;
                    len += 1;
                }
                end = start + index + 1;
            }
            b' ' | b'-' | b'.' | b'/' | b'(' | b')' => {
                let last = text[..start + index].last();
                // Two separators in a row end a number, but for those around brackets.
                if last.is_some_and(|last| b" -./".contains(last)) && b" -./".contains(byte) {
                    break;
                }
            }
            _ => break,
        }
    }
    if text.get(end).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let digits = std::str::from_utf8(&digits[..len]).ok()?;
    let listed = COUNTRIES.iter().find(|(code, ..)| digits.starts_with(code));
    let (code, least, most) = match listed {
        Some((code, least, most)) => (code.len(), *least, *most),
        None if THREE_DIGITS.iter().chain(&MORE_THREE_DIGITS).any(|code| digits.starts_with(code)) => {
            (3, 5, 12)
        }
        None => return None,
    };
    (code + least..=code + most).contains(&len).then_some(end)
}

/// A number of the North American plan: area and exchange begin with 2 to 9 and do not end in 11.
fn north_american(view: &View<'_>, start: usize) -> Option<(usize, usize, f32)> {
    let text = view.bytes;
    let digits = |at: usize, count: usize| {
        let digits = text.get(at..at + count)?;
        digits.iter().all(u8::is_ascii_digit).then_some(digits)
    };
    let bracket = text[..start].ends_with(b"(");
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
    digits(at + 4, 4)?;
    let end = at + 8;
    let goes_on = text.get(end).is_some_and(|byte| {
        byte.is_ascii_alphanumeric()
            || b"-.".contains(byte) && text.get(end + 1).is_some_and(u8::is_ascii_digit)
    });
    let fits = |three: &[u8]| value(three[0]) >= 2 && &three[1..] != b"11";
    if goes_on || !fits(area) || !fits(exchange) {
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
    let parts = group.parts();
    NATIONAL.iter().find_map(|shape| {
        let count = shape.len();
        let fits = parts.len() >= count
            && group.is_shaped(shape)
            && group.is_even(count)
            && !group.goes_on(count)
            && group.chars(count).iter().all(u8::is_ascii_digit);
        let digits = fits.then(|| group.chars(count))?;
        let score = if count > 3 { 0.6 } else { 0.4 };
        (digits[0] == b'0' && digits[1] != b'0').then(|| (start, parts[count - 1].end, score))
    })
}
