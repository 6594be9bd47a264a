//! Checksums of single countries' identifiers, each as its issuer publishes it. Every function takes the characters
//! without separators.

use super::checksum::{all_same, luhn, mod_11_10, value, weighted};

/// US Social Security Administration: area 000, 666 and 900 up, group 00 and serial 0000 are never assigned.
pub(super) fn ssn(d: &[u8]) -> bool {
    /// Printed on sample cards and in advertisements, by the SSA's own account.
    const WELL_KNOWN: [&[u8]; 3] = [b"078051120", b"219099999", b"123456789"];
    let area = &d[..3];
    area != b"000"
        && area != b"666"
        && d[0] != b'9'
        && &d[3..5] != b"00"
        && &d[5..] != b"0000"
        && !all_same(d)
        && !WELL_KNOWN.contains(&d)
}

/// IRS, Internal Revenue Manual 3.21.263: begins with 9, fourth and fifth digit in these ranges.
pub(super) fn itin(d: &[u8]) -> bool {
    let group = value(d[3]) * 10 + value(d[4]);
    d[0] == b'9' && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// American Bankers Association: weights 3, 7, 1; the first two digits are a Federal Reserve district.
pub(super) fn aba(d: &[u8]) -> bool {
    let district = value(d[0]) * 10 + value(d[1]);
    matches!(district, 0..=12 | 21..=32 | 61..=72 | 80)
        && weighted(d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
        && !all_same(d)
}

/// Centers for Medicare & Medicaid Services: Luhn behind the prefix 80840.
pub(super) fn npi(d: &[u8]) -> bool {
    let prefixed: Vec<u8> = b"80840".iter().chain(d).copied().collect();
    matches!(d[0], b'1' | b'2') && luhn(&prefixed)
}

/// US Drug Enforcement Administration: (1st+3rd+5th) + 2 (2nd+4th+6th digit) ends in the 7th.
pub(super) fn dea(c: &[u8]) -> bool {
    let d = &c[2..];
    let sum = weighted(&d[..6], &[1, 2, 1, 2, 1, 2]);
    b"ABCDEFGHJKLMPRSTUX".contains(&c[0]) && sum % 10 == value(d[6]) && !all_same(d)
}

/// NHS Data Dictionary: weights 10 to 2, modulus 11.
pub(super) fn nhs(d: &[u8]) -> bool {
    let check = (11 - weighted(&d[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    check == value(d[9]) && !all_same(d)
}

/// HMRC, National Insurance Manual NIM39110: letters that a prefix and a suffix may have.
pub(super) fn nino(c: &[u8]) -> bool {
    let (first, second) = (c[0], c[1]);
    !b"DFIQUV".contains(&first)
        && !b"DFIQUVO".contains(&second)
        && ![*b"BG", *b"GB", *b"KN", *b"NK", *b"NT", *b"TN", *b"ZZ"].contains(&[first, second])
        && (b'A'..=b'D').contains(&c[8])
}

/// Bundeszentralamt für Steuern: ISO/IEC 7064 MOD 11,10; among the first ten digits one stands twice or three times.
pub(super) fn de_tax_id(d: &[u8]) -> bool {
    let mut counts = [0u8; 10];
    for digit in &d[..10] {
        counts[value(*digit) as usize] += 1;
    }
    let repeated = counts.iter().filter(|count| **count > 1).count();
    d[0] != b'0' && repeated == 1 && counts.iter().all(|count| *count < 4) && mod_11_10(d)
}

/// INSEE: the key is 97 less the number modulo 97; 2A and 2B of Corsica count as 19 and 18.
pub(super) fn nir(c: &[u8]) -> bool {
    let mut digits = [0; 13];
    digits.copy_from_slice(&c[..13]);
    match digits[6] {
        b'A' => digits[5..7].copy_from_slice(b"19"),
        b'B' => digits[5..7].copy_from_slice(b"18"),
        _ => {}
    }
    if !digits.iter().chain(&c[13..]).all(u8::is_ascii_digit) {
        return false;
    }
    let month = value(c[3]) * 10 + value(c[4]);
    let number = digits.iter().fold(0u64, |number, digit| number * 10 + u64::from(value(*digit)));
    let key = u64::from(value(c[13]) * 10 + value(c[14]));
    matches!(c[0], b'1'..=b'4' | b'7' | b'8')
        && matches!(month, 1..=12 | 20..=42 | 50..=99)
        && key == 97 - number % 97
}

/// Spanish Ministry of the Interior: the letter at the number modulo 23.
pub(super) fn es_nif(c: &[u8]) -> bool {
    let number = c[..8].iter().fold(0, |number, digit| number * 10 + value(*digit));
    number > 0 && b"TRWAGMYFPDXBNJZSQVHLCKE"[(number % 23) as usize] == c[8]
}

/// As [`es_nif`], where X, Y and Z stand for 0, 1 and 2.
pub(super) fn es_nie(c: &[u8]) -> bool {
    let mut as_nif = [0; 9];
    as_nif.copy_from_slice(c);
    as_nif[0] = match c[0] {
        b'X' => b'0',
        b'Y' => b'1',
        b'Z' => b'2',
        _ => return false,
    };
    es_nif(&as_nif)
}

/// Agenzia delle Entrate, DM 23 December 1976: odd places have values of their own, the sum modulo 26 is the letter.
pub(super) fn it_fiscal_code(c: &[u8]) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let number = |c: u8| if c.is_ascii_digit() { value(c) } else { u32::from(c - b'A') };
    let sum: u32 = c[..15]
        .iter()
        .enumerate()
        .map(|(index, c)| if index % 2 == 0 { ODD[number(*c) as usize % 26] } else { number(*c) })
        .sum();
    u32::from(c[15] - b'A') == sum % 26 && b"ABCDEHLMPRST".contains(&c[8])
}

/// Polish Ministry of Digital Affairs: weights 1, 3, 7, 9; the first six digits are a date, the century in its month.
pub(super) fn pesel(d: &[u8]) -> bool {
    let month = (value(d[2]) * 10 + value(d[3])) % 20;
    let day = value(d[4]) * 10 + value(d[5]);
    (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

/// Belastingdienst, "elfproef": weights 9 to 2 and -1.
pub(super) fn bsn(d: &[u8]) -> bool {
    weighted(&d[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == value(d[8]) && !all_same(d)
}

/// Income Tax Department of India: the fourth letter is the kind of holder.
pub(super) fn in_pan(c: &[u8]) -> bool {
    b"ABCFGHLJPTK".contains(&c[3]) && &c[5..9] != b"0000"
}

/// UIDAI: Verhoeff's checksum (J. Verhoeff, 1969) over the dihedral group of order ten; begins with 2 to 9.
pub(super) fn aadhaar(d: &[u8]) -> bool {
    const PERMUTATION: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    // Rotations are 0 to 4, reflections 5 to 9.
    let product = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b) % 5,
        (false, true) => 5 + (a + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let check = d.iter().rev().enumerate().fold(0, |check, (index, digit)| {
        product(check, (0..index % 8).fold(value(*digit), |digit, _| PERMUTATION[digit as usize]))
    });
    matches!(d[0], b'2'..=b'9') && check == 0
}

/// ICA of Singapore: weights 2, 7, 6, 5, 4, 3, 2, an offset and a row of letters for each first letter.
pub(super) fn sg_nric(c: &[u8]) -> bool {
    let sum = weighted(&c[1..8], &[2, 7, 6, 5, 4, 3, 2]);
    let (offset, letters): (u32, &[u8; 11]) = match c[0] {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    letters[(sum + offset) as usize % 11] == c[8]
}

/// Australian Taxation Office: weights 1, 4, 3, 7, 5, 8, 6, 9, 10, modulus 11.
pub(super) fn tfn(d: &[u8]) -> bool {
    weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11) && !all_same(d)
}

/// Australian Business Register: one from the first digit, weights 10, 1, 3, 5, ..., modulus 89.
pub(super) fn abn(d: &[u8]) -> bool {
    let sum = weighted(d, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    d[0] != b'0' && (sum - 10).is_multiple_of(89)
}

/// Australian Securities and Investments Commission: weights 8 to 1, the complement to ten.
pub(super) fn acn(d: &[u8]) -> bool {
    (10 - weighted(&d[..8], &[8, 7, 6, 5, 4, 3, 2, 1]) % 10) % 10 == value(d[8]) && !all_same(d)
}

/// Services Australia: weights 1, 3, 7, 9 over eight digits, the ninth is the sum modulo 10; begins with 2 to 6.
pub(super) fn au_medicare(d: &[u8]) -> bool {
    matches!(d[0], b'2'..=b'6') && weighted(&d[..8], &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == value(d[8])
}

/// Ministry of the Interior and Safety of Korea: weights 2 to 9 and 2 to 5; a date comes first.
pub(super) fn kr_rrn(d: &[u8]) -> bool {
    let (month, day) = (value(d[2]) * 10 + value(d[3]), value(d[4]) * 10 + value(d[5]));
    let sum = weighted(&d[..12], &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && d[6] != b'0'
        && (11 - sum % 11) % 10 == value(d[12])
}

/// Since October 2020 the last six digits of new numbers are drawn, and no checksum holds: a date, and a sex and century.
pub(super) fn kr_rrn_form(d: &[u8]) -> bool {
    let (month, day) = (value(d[2]) * 10 + value(d[3]), value(d[4]) * 10 + value(d[5]));
    (1..=12).contains(&month) && (1..=31).contains(&day) && matches!(d[6], b'1'..=b'8') && !all_same(&d[7..])
}

/// Receita Federal: two check digits, each modulus 11.
pub(super) fn cpf(d: &[u8]) -> bool {
    brazilian(d, 9, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])
}

/// As [`cpf`], with weights 2 to 9 again and again.
pub(super) fn cnpj(d: &[u8]) -> bool {
    brazilian(d, 12, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
}

fn brazilian(d: &[u8], body: usize, weights: &[u32]) -> bool {
    let check = |len: usize| {
        let sum = weighted(&d[..len], &weights[weights.len() - len..]);
        (sum * 10 % 11) % 10
    };
    check(body) == value(d[body]) && check(body + 1) == value(d[body + 1]) && !all_same(d)
}

#[cfg(test)]
mod tests {
    use super::super::checksum::{icao, mod_97};
    use super::*;

    /// A published example and the same with its last character changed.
    #[test]
    fn published_examples_pass_and_one_slip_fails() {
        type Check = fn(&[u8]) -> bool;
        let examples: [(&str, Check, &str); 20] = [
            ("luhn", luhn, "4242424242424242"),
            ("iban", mod_97, "GB82WEST12345698765432"),
            ("aba", aba, "021000021"),
            ("npi", npi, "1234567893"),
            ("dea", dea, "AB1234563"),
            ("nhs", nhs, "9434765919"),
            ("de_tax_id", de_tax_id, "86095742719"),
            ("nir", nir, "255081416802538"),
            ("es_nif", es_nif, "12345678Z"),
            ("es_nie", es_nie, "X1234567L"),
            ("it_fiscal_code", it_fiscal_code, "RSSMRA85T10A562S"),
            ("pesel", pesel, "44051401359"),
            ("bsn", bsn, "111222333"),
            ("aadhaar", aadhaar, "234123412346"),
            ("sg_nric", sg_nric, "S1234567D"),
            ("tfn", tfn, "123456782"),
            ("abn", abn, "51824753556"),
            ("acn", acn, "004085616"),
            ("cpf", cpf, "52998224725"),
            ("cnpj", cnpj, "11222333000181"),
        ];
        for (name, check, example) in examples {
            assert!(check(example.as_bytes()), "{name}: {example}");
            let mut slip = example.as_bytes().to_vec();
            let last = slip.last_mut().unwrap();
            *last = match *last {
                b'9' => b'0',
                b'Z' => b'A',
                other => other + 1,
            };
            assert!(!check(&slip), "{name}: {}", String::from_utf8_lossy(&slip));
        }
        assert!(au_medicare(b"2123456701") && !au_medicare(b"2123456711"));
        assert!(icao(b"L01X00T471"), "the specimen of the German identity card");
    }
}
