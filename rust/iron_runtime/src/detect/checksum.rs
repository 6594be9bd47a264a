//! Checksums that many issuers use. Every function takes the characters without separators.

/// The value of an ASCII digit.
pub(super) fn value(digit: u8) -> u32 {
    u32::from(digit.wrapping_sub(b'0'))
}

/// The sum of the digits, each times its weight.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| value(*digit) * weight).sum()
}

/// Whether all characters are one and the same.
pub(super) fn all_same(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| pair[0] == pair[1])
}

/// ISO/IEC 7812-1, annex B.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| if index % 2 == 1 { doubled(value(*digit)) } else { value(*digit) })
        .sum();
    sum.is_multiple_of(10) && !all_same(digits)
}

/// ISO/IEC 7064, MOD 97-10, as IBAN uses it (ISO 13616): the first four characters come last, letters count from 10.
pub(super) fn mod_97(chars: &[u8]) -> bool {
    let (head, rest) = chars.split_at(4);
    let remainder = rest.iter().chain(head).fold(0u32, |sum, c| match c {
        b'0'..=b'9' => (sum * 10 + value(*c)) % 97,
        _ => (sum * 100 + u32::from(c.to_ascii_uppercase() - b'A') + 10) % 97,
    });
    remainder == 1
}

/// ISO/IEC 7064, MOD 11,10.
pub(super) fn mod_11_10(d: &[u8]) -> bool {
    let (body, check) = d.split_at(d.len() - 1);
    let product = body.iter().fold(10, |product, digit| {
        let sum = (product + value(*digit)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == value(check[0])
}

/// ICAO Doc 9303, part 3: weights 7, 3, 1; letters count from 10.
pub(super) fn icao(c: &[u8]) -> bool {
    let sum: u32 = c[..c.len() - 1]
        .iter()
        .zip([7, 3, 1].iter().cycle())
        .map(|(c, weight)| char::from(*c).to_digit(36).unwrap_or(0) * weight)
        .sum();
    c[1..].iter().any(u8::is_ascii_digit) && c[0].is_ascii_alphabetic() && sum % 10 == value(c[c.len() - 1])
}

/// The number that ASCII digits are.
pub(super) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(value(*digit)))
}
