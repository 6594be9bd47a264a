//! Payment cards and international bank account numbers.

use super::Finding;
use super::checksum::{luhn, mod_97, value};
use super::entity::Known;
use super::group::Group;
use super::topic::Topic;
use super::view::View;

/// The fewest and the most digits of a card.
pub(super) const CARD: std::ops::RangeInclusive<usize> = 12..=19;
/// How cards are written: the groups that issuers print, and digit by digit.
const CARD_SHAPES: [&[usize]; 7] =
    [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 5], &[4, 4, 4, 4, 3], &[6, 13], &[4, 4, 4]];

/// Whether the digits begin as an issuer's and are as many (ISO/IEC 7812 ranges as the networks publish them).
fn is_issued(digits: &[u8]) -> bool {
    let head = |len: usize| digits[..len].iter().fold(0, |sum, digit| sum * 10 + value(*digit));
    match digits.len() {
        // Maestro at its shortest.
        12 => is_maestro(head(4)) || matches!(head(2), 56..=58),
        // Visa in its old form.
        13 => digits[0] == b'4',
        // Diners Club.
        14 => matches!(head(3), 300..=305 | 309) || matches!(head(2), 36 | 38 | 39),
        // American Express.
        15 => matches!(head(2), 34 | 37),
        // Visa, Mastercard, Discover, JCB, UnionPay, Maestro, Mir, RuPay.
        16 => {
            digits[0] == b'4'
                || matches!(head(2), 51..=55 | 60 | 62 | 64 | 65 | 81 | 82)
                || matches!(head(4), 2200..=2204 | 2221..=2720 | 3528..=3589)
                || is_maestro(head(4))
        }
        // UnionPay, Visa and Maestro may be longer.
        17..=19 => digits[0] == b'4' && digits.len() == 19 || matches!(head(2), 62) || is_maestro(head(4)),
        _ => false,
    }
}

fn is_maestro(head: u32) -> bool {
    matches!(head, 5018 | 5020 | 5038 | 5893 | 6304 | 6390 | 6759 | 6761..=6763)
}

/// Add the card whose number begins at `start`.
pub(super) fn find_card(view: &View<'_>, group: &Group, start: usize, findings: &mut Vec<Finding>) {
    for (index, part) in group.parts().enumerate().filter(|(_, part)| CARD.contains(&part.chars)) {
        let count = index + 1;
        let digits = group.chars(count);
        if !digits.iter().all(u8::is_ascii_digit)
            || !is_issued(digits)
            || !luhn(digits)
            || group.goes_on(count)
        {
            continue;
        }
        let beside = view.beside(Topic::Card, start, part.end);
        let printed = CARD_SHAPES.iter().any(|shape| shape.len() == count && group.is_shaped(shape));
        let spread = count == digits.len();
        let score = match (count, group.is_even(count) && (printed || spread), beside) {
            // One in ten numbers of twelve digits has the checksum, and much else has as many.
            (_, _, false) if part.chars == *CARD.start() => continue,
            (_, true, true) | (1, _, true) => 0.98,
            (_, true, false) => 0.9,
            (1, _, false) => 0.75,
            (_, false, true) => 0.7,
            (_, false, false) => continue,
        };
        findings.push(Finding::new(
            Known::CreditCard,
            start..part.end,
            score,
            "issuer's range and Luhn checksum",
        ));
        return;
    }
}

/// Lengths by country, from the SWIFT IBAN registry, release 99.
const IBAN_LENGTHS: [(&[u8; 2], usize); 89] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Add the IBAN whose country code begins at `start`.
pub(super) fn find_iban(group: &Group, start: usize, findings: &mut Vec<Finding>) {
    let Some(first) = group.parts().next() else { return };
    let head = group.chars(1);
    if first.chars < 4 || !head[2].is_ascii_digit() || !head[3].is_ascii_digit() {
        return;
    }
    let country = [head[0].to_ascii_uppercase(), head[1].to_ascii_uppercase()];
    let Some((_, length)) = IBAN_LENGTHS.iter().find(|(code, _)| **code == country) else { return };
    for (index, part) in group.parts().enumerate() {
        if part.chars == *length && mod_97(group.chars(index + 1)) {
            let reason = "country's length and MOD 97-10 checksum";
            findings.push(Finding::new(Known::IbanCode, start..part.end, 1.0, reason));
        }
    }
}
