//! Decimal numbers as JSON and price tables write them, exactly.

use crate::{MoneyError, NanoUsd};

/// More digits than any amount of money has.
const MOST_DIGITS: usize = 30;
/// Of ten, within `i128`.
const MOST_POWER: i64 = 38;

impl NanoUsd {
    /// The dollars that `text × 10^scale` is, rounded up to a nano-dollar: `2.5e-07` dollars a token is, with a scale of
    /// 6, `0.25` dollars a million.
    ///
    /// # Errors
    /// [`MoneyError`] if the text is not a decimal number, or too large.
    ///
    /// # Examples
    /// ```
    /// use iron_protocol::NanoUsd;
    /// assert_eq!(NanoUsd::from_decimal("2.5e-07", 6).unwrap(), "0.25".parse().unwrap());
    /// ```
    pub fn from_decimal(text: &str, scale: i32) -> Result<Self, MoneyError> {
        let shown = || text.chars().take(60).collect::<String>();
        let wrong = || MoneyError::NotANumber(shown());
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(wrong());
        }
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Ok(Self::ZERO);
        }
        let too_large = || MoneyError::TooLarge(shown());
        if digits.len() > MOST_DIGITS {
            return Err(too_large());
        }
        let number: i128 = digits.parse().map_err(|_| wrong())?;
        let number = if negative { -number } else { number };
        // Nine more, to nano-dollars.
        let power =
            i64::from(exponent) + i64::from(scale) + 9 - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        let ten = |power: i64| u32::try_from(power).ok().and_then(|power| 10_i128.checked_pow(power));
        let nanos = match power {
            0.. => ten(power).and_then(|ten| number.checked_mul(ten)).ok_or_else(too_large)?,
            _ if -power > MOST_POWER => i128::from(number > 0),
            _ => {
                let ten = ten(-power).ok_or_else(wrong)?;
                number.div_euclid(ten) + i128::from(number.rem_euclid(ten) > 0)
            }
        };
        i64::try_from(nanos).map(Self::from_nanos).map_err(|_| too_large())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_exactly_and_rounded_up() {
        for (text, scale, nanos) in [
            ("2.5e-07", 6, 250_000_000),
            ("3E-8", 6, 30_000_000),
            ("0.0000012", 6, 1_200_000_000),
            ("5e-7", 6, 500_000_000),
            ("0.1", 0, 100_000_000),
            ("37756000", -10, 3_775_600),
            ("1", -10, 1),
            ("0.00", 6, 0),
            ("1e-400", 0, 1),
            ("-1e-400", 0, 0),
            ("-0.5", 0, -500_000_000),
            ("0.1234567891", 0, 123_456_790),
        ] {
            assert_eq!(NanoUsd::from_decimal(text, scale).unwrap().nanos(), nanos, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for text in ["", ".", "-", "e5", "1e", "0x1", "NaN", "1_0", " 1", "1e99999999999"] {
            assert!(matches!(NanoUsd::from_decimal(text, 0), Err(MoneyError::NotANumber(_))), "{text}");
        }
        for text in ["1e300", "9223372036.854775808", &"9".repeat(31)] {
            assert!(matches!(NanoUsd::from_decimal(text, 0), Err(MoneyError::TooLarge(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn money_text_is_a_decimal(nanos in any::<i32>(), shift in 0_i32..6) {
            let amount = NanoUsd::from_nanos(nanos.into());
            prop_assert_eq!(NanoUsd::from_decimal(&amount.to_string(), 0).unwrap(), amount);
            prop_assert_eq!(NanoUsd::from_decimal(&format!("{amount}e-{shift}"), shift).unwrap(), amount);
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,40}", scale in -50_i32..50) {
            drop(NanoUsd::from_decimal(&text, scale));
        }
    }
}
