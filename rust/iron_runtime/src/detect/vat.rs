//! VAT numbers of the EU's member states, and of Northern Ireland: a country's code, a form, and its checksum.

use super::checksum::{all_same, luhn, mod_11_10, number, value, weighted};
use super::entity::Known;
use super::group::Group;
use super::identifier::fits;
use super::national::{bsn, es_nie, es_nif};
use super::topic::Topic;
use super::view::View;
use super::{Finding, between};

/// A member state's numbers: its code, their forms, and their checksum.
struct Member {
    code: [u8; 2],
    forms: &'static [&'static str],
    check: fn(&[u8]) -> bool,
}

const fn of(code: [u8; 2], forms: &'static [&'static str], check: fn(&[u8]) -> bool) -> Member {
    Member { code, forms, check }
}

/// Forms as the European Commission's VIES lists them; checksums as the member states publish them.
const MEMBERS: [Member; 29] = [
    of(*b"AT", &["U99999999"], at),
    of(*b"BE", &["9999999999"], be),
    of(*b"BG", &["999999999", "9999999999"], bg),
    of(*b"CY", &["99999999A"], cy),
    of(*b"CZ", &["99999999", "999999999", "9999999999"], cz),
    of(*b"DE", &["999999999"], |d| d[0] != b'0' && mod_11_10(d)),
    of(*b"DK", &["99999999"], |d| d[0] != b'0' && divides(11, d, &[2, 7, 6, 5, 4, 3, 2, 1])),
    of(*b"EE", &["999999999"], |d| divides(10, d, &[3, 7, 1, 3, 7, 1, 3, 7, 1])),
    of(*b"EL", &["999999999"], el),
    of(*b"ES", &["A9999999*", "99999999A"], es),
    of(*b"FI", &["99999999"], |d| divides(11, d, &[7, 9, 10, 5, 8, 4, 2, 1])),
    of(*b"FR", &["**999999999"], fr),
    of(*b"GR", &["999999999"], el),
    of(*b"HR", &["99999999999"], mod_11_10),
    of(*b"HU", &["99999999"], |d| divides(10, d, &[9, 7, 3, 1, 9, 7, 3, 1])),
    of(*b"IE", &["9999999A", "9999999AA", "9*99999A"], ie),
    of(*b"IT", &["99999999999"], luhn),
    of(*b"LT", &["999999999", "999999999999"], lt),
    of(*b"LU", &["99999999"], |d| number(&d[..6]) % 89 == number(&d[6..])),
    of(*b"LV", &["99999999999"], lv),
    of(*b"MT", &["99999999"], |d| divides(37, d, &[3, 4, 6, 7, 8, 9, 10, 1])),
    of(*b"NL", &["999999999B99"], nl),
    of(*b"PL", &["9999999999"], |d| weighted(d, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == value(d[9])),
    of(*b"PT", &["999999999"], pt),
    of(*b"RO", &["999999", "9999999", "99999999", "999999999", "9999999999"], ro),
    of(*b"SE", &["999999999999"], |d| luhn(&d[..10]) && &d[10..] != b"00"),
    of(*b"SI", &["99999999"], si),
    of(*b"SK", &["9999999999"], |d| d[0] != b'0' && !b"0156".contains(&d[2]) && number(d).is_multiple_of(11)),
    of(*b"XI", &["999999999", "999999999999"], xi),
];

/// Add the VAT number whose country code and digits begin at `start`.
pub(super) fn find(view: &View<'_>, group: &Group, start: usize, findings: &mut Vec<Finding>) {
    let Some(country) = group.parts().next().and_then(|_| group.chars(1).get(..2)) else { return };
    let Some(member) = MEMBERS.iter().find(|member| member.code == *country) else { return };
    for (index, part) in group.parts().enumerate() {
        let number = &group.chars(index + 1)[2..];
        let formed = member.forms.iter().any(|form| fits(form, number));
        if !formed || group.goes_on(index + 1) || all_same(number) || !(member.check)(number) {
            continue;
        }
        let end = part.end;
        let score = if view.beside(Topic::Vat, start, end) { 0.95 } else { 0.7 };
        findings.push(Finding::new(Known::EuVatNumber, start..end, score, "country's form and checksum"));
        return;
    }
}

fn divides(modulus: u32, d: &[u8], weights: &[u32]) -> bool {
    weighted(d, weights).is_multiple_of(modulus)
}

fn at(c: &[u8]) -> bool {
    let d = &c[1..];
    let sum: u32 = d[..7]
        .iter()
        .enumerate()
        .map(|(index, digit)| match (index % 2, value(*digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    (10 - (sum + 4) % 10) % 10 == value(d[7])
}

fn be(d: &[u8]) -> bool {
    matches!(d[0], b'0' | b'1') && 97 - number(&d[..8]) % 97 == number(&d[8..])
}

fn bg(d: &[u8]) -> bool {
    if d.len() == 9 {
        let check = match weighted(d, &[1, 2, 3, 4, 5, 6, 7, 8]) % 11 {
            10 => weighted(d, &[3, 4, 5, 6, 7, 8, 9, 10]) % 11 % 10,
            check => check,
        };
        return check == value(d[8]);
    }
    let last = value(d[9]);
    // A citizen, a foreigner, anybody else.
    weighted(d, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == last
        || weighted(d, &[21, 19, 17, 13, 11, 9, 7, 3, 1]) % 10 == last
        || (11 - weighted(d, &[4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11 == last
}

fn cy(c: &[u8]) -> bool {
    const ODD: [u32; 10] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21];
    let places = c[..8].iter().map(|digit| value(*digit)).enumerate();
    let sum: u32 =
        places.map(|(index, digit)| if index % 2 == 0 { ODD[digit as usize] } else { digit }).sum();
    &c[..2] != b"12" && u32::from(c[8] - b'A') == sum % 26
}

fn cz(d: &[u8]) -> bool {
    match d.len() {
        8 => {
            let check = (11 - weighted(d, &[8, 7, 6, 5, 4, 3, 2]) % 11) % 10;
            d[0] != b'9' && check == value(d[7])
        }
        // Of persons: a date comes first, women's months count from 51.
        9 => {
            let special = weighted(&d[1..8], &[8, 7, 6, 5, 4, 3, 2]) % 11;
            d[0] == b'6' && (8 + 11 - (10 - special) % 11) % 11 % 10 == value(d[8]) || is_birth(d)
        }
        _ => is_birth(d) && number(&d[..9]) % 11 % 10 == u64::from(value(d[9])),
    }
}

fn is_birth(d: &[u8]) -> bool {
    let (month, day) = (number(&d[2..4]) % 50, number(&d[4..6]));
    matches!(month, 1..=12 | 21..=32) && (1..=31).contains(&day)
}

fn el(d: &[u8]) -> bool {
    weighted(d, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10 == value(d[8])
}

fn es(c: &[u8]) -> bool {
    if between(&c[..8], b'0', b'9') {
        return es_nif(c);
    }
    if !between(&c[1..8], b'0', b'9') {
        return false;
    }
    let doubled = |digit: u32| digit * 2 / 10 + digit * 2 % 10;
    let places = c[1..8].iter().map(|digit| value(*digit)).enumerate();
    let sum: u32 = places.map(|(index, digit)| if index % 2 == 0 { doubled(digit) } else { digit }).sum();
    let check = (10 - sum % 10) % 10;
    let control = value(c[8]) == check || b"JABCDEFGHI"[check as usize] == c[8];
    es_nie(c) || b"ABCDEFGHJNPQRSUVW".contains(&c[0]) && control
}

fn fr(c: &[u8]) -> bool {
    let siren = &c[2..];
    // Keys with letters are given too, by a rule that is not published.
    luhn(siren)
        && (!between(&c[..2], b'0', b'9') || (12 + 3 * (number(siren) % 97)) % 97 == number(&c[..2]))
        && !b"IO".contains(&c[0])
        && !b"IO".contains(&c[1])
}

fn ie(c: &[u8]) -> bool {
    const LETTERS: &[u8; 23] = b"WABCDEFGHIJKLMNOPQRSTUV";
    let mut digits = [b'0'; 7];
    let extra = match (c.len(), c[1]) {
        (8, b'0'..=b'9') => {
            digits.copy_from_slice(&c[..7]);
            0
        }
        // The form before 2013: the second character is a letter, and counts for nothing.
        (8, _) => {
            digits[1..6].copy_from_slice(&c[2..7]);
            digits[6] = c[0];
            0
        }
        _ => {
            digits.copy_from_slice(&c[..7]);
            LETTERS.iter().position(|letter| *letter == c[8]).unwrap_or(0)
        }
    };
    let sum = weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) as usize + 9 * extra;
    LETTERS[sum % 23] == c[7]
}

fn lt(d: &[u8]) -> bool {
    let body = d.len() - 1;
    let sum = |from: u32| -> u32 {
        (from..).zip(&d[..body]).map(|(index, digit)| (1 + index % 9) * value(*digit)).sum::<u32>() % 11
    };
    let check = if sum(0) == 10 { sum(2) % 10 } else { sum(0) };
    d[body - 1] == b'1' && check == value(d[body])
}

fn lv(d: &[u8]) -> bool {
    if d[0] > b'3' {
        return weighted(d, &[9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1]) % 11 == 3;
    }
    // A person's code, with a date before 2017.
    let dated = matches!(number(&d[..2]), 1..=31) && matches!(number(&d[2..4]), 1..=12);
    let check = (1 + weighted(d, &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9])) % 11 % 10;
    (dated || &d[..2] == b"32") && check == value(d[10])
}

/// Companies have a BSN's digits; persons have had MOD 97-10 over the whole since 2020 (letters count from 10).
fn nl(c: &[u8]) -> bool {
    let remainder = b"NL".iter().chain(c).fold(0u32, |sum, c| match c {
        b'0'..=b'9' => (sum * 10 + value(*c)) % 97,
        letter => (sum * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    &c[10..] != b"00" && (remainder == 1 || bsn(&c[..9]))
}

fn pt(d: &[u8]) -> bool {
    d[0] != b'0' && (11 - weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 % 10 == value(d[8])
}

fn ro(d: &[u8]) -> bool {
    const WEIGHTS: [u32; 9] = [7, 5, 3, 2, 1, 7, 5, 3, 2];
    let (check, body) = (value(d[d.len() - 1]), &d[..d.len() - 1]);
    d[0] != b'0' && weighted(body, &WEIGHTS[9 - body.len()..]) * 10 % 11 % 10 == check
}

fn si(d: &[u8]) -> bool {
    let check = 11 - weighted(d, &[8, 7, 6, 5, 4, 3, 2]) % 11;
    d[0] != b'0' && check < 11 && check % 10 == value(d[7])
}

fn xi(d: &[u8]) -> bool {
    let sum = u64::from(weighted(d, &[8, 7, 6, 5, 4, 3, 2])) + number(&d[7..9]);
    sum.is_multiple_of(97) || (sum + 55).is_multiple_of(97)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that is published for each form, and the same with its last digit changed.
    #[test]
    fn every_member_state_is_checked() {
        let published = [
            "ATU13585627",
            "BE0428759497",
            "BG175074752",
            "BG7523169263",
            "CY10259033P",
            "CZ25123891",
            "CZ7103192745",
            "DE136695976",
            "DK13585628",
            "EE100931558",
            "EL023456780",
            "ESB58378431",
            "ES54362315K",
            "ESX2482300W",
            "FI20774740",
            "FR40303265045",
            "HR33392005961",
            "HU12892312",
            "IE6433435F",
            "IE6433435OA",
            "IE8D79739I",
            "IT00743110157",
            "LT119511515",
            "LT100001919017",
            "LU15027442",
            "LV40003521600",
            "MT11679112",
            "NL004495445B01",
            "PL8567346215",
            "PT501964843",
            "RO18547290",
            "SE123456789701",
            "SI50223054",
            "SK2022749619",
            "XI980780684",
        ];
        for example in published {
            let member = MEMBERS.iter().find(|member| example.as_bytes().starts_with(&member.code)).unwrap();
            let number = &example.as_bytes()[2..];
            assert!(member.forms.iter().any(|form| fits(form, number)), "{example}: form");
            assert!((member.check)(number), "{example}");
            let mut slip = number.to_vec();
            // The end of a Dutch or Swedish number counts businesses.
            let at = if matches!(&member.code, b"NL" | b"SE") { 8 } else { slip.len() - 1 };
            slip[at] = match slip[at] {
                b'9' => b'0',
                b'Z' => b'A',
                other => other + 1,
            };
            let is_person = &member.code == b"CZ" && slip.len() == 9;
            assert!(is_person || !(member.check)(&slip), "{example} with a slip");
        }
    }
}
