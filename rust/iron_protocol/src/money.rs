//! Exact money: integer nano-dollars with one rounding rule, up.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANO: i64 = 1_000_000_000;
const FRACTION_DIGITS: usize = 9;
const TOKENS_PER_PRICE: i128 = 1_000_000;

/// An amount in 10⁻⁹ US dollars.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(i64);

impl NanoUsd {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The largest amount, about 9.2 billion dollars.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount given in nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The amount in nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole dollars, if they fit.
    pub const fn from_dollars(dollars: i64) -> Option<Self> {
        match dollars.checked_mul(NANO) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// The sum, or `None` past the largest amount.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` below the smallest amount.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// The sum, held at the largest amount. For totals that are shown, and for bounds that may only err upwards.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, never below zero.
    #[must_use]
    pub const fn minus_or_zero(self, other: Self) -> Self {
        if self.0 > other.0 { Self(self.0.saturating_sub(other.0)) } else { Self::ZERO }
    }
}

/// Why a text is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Not a plain decimal number.
    #[error("{} is not an amount in US dollars: write digits with at most one point, such as \"0.50\"", told(.0))]
    NotANumber(String),
    /// Digits below a nano-dollar.
    #[error("{0:?} has more than nine digits after the point: the smallest amount is 0.000000001 USD")]
    TooFine(String),
    /// Beyond `i64` nano-dollars.
    #[error("{0:?} is too large: the largest amount is 9223372036.854775807 USD")]
    TooLarge(String),
}

/// A text that may be anything, a key in the wrong place as well: shown only if it looks like a number.
fn told(text: &str) -> String {
    let of_numbers = |c: char| c.is_ascii_digit() || " .,'_+-$€£eE".contains(c);
    if text.chars().all(of_numbers) { format!("{text:?}") } else { "a text that is no number".to_owned() }
}

impl FromStr for NanoUsd {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let shown = || text.chars().take(60).collect::<String>();
        let not_a_number = || MoneyError::NotANumber(shown());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return Err(not_a_number());
        }
        // Trailing zeros carry no value: Decimal("0.5000000000") is fifty cents.
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > FRACTION_DIGITS {
            return Err(MoneyError::TooFine(shown()));
        }
        let too_large = || MoneyError::TooLarge(shown());
        let digit = |byte: u8| i128::from(byte - b'0');
        let mut nanos: i128 = 0;
        for byte in whole
            .bytes()
            .chain(fraction.bytes())
            .chain(std::iter::repeat_n(b'0', FRACTION_DIGITS - fraction.len()))
        {
            nanos = nanos * 10 + digit(byte);
            if nanos > i128::from(i64::MAX) {
                return Err(too_large());
            }
        }
        i64::try_from(if negative { -nanos } else { nanos }).map(Self).map_err(|_| too_large())
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let nano = NANO.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = format!("{:09}", magnitude % nano);
        // At least cents, so that amounts read as money.
        let shown = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{}.{}", magnitude / nano, &fraction[..shown])
    }
}

impl fmt::Debug for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${self}")
    }
}

impl Serialize for NanoUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NanoUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount;
        impl Visitor<'_> for Amount {
            type Value = NanoUsd;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount in US dollars as text, such as \"5.00\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<NanoUsd, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<NanoUsd, E> {
                NanoUsd::from_dollars(dollars)
                    .ok_or_else(|| E::custom(MoneyError::TooLarge(dollars.to_string())))
            }
            fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<NanoUsd, E> {
                let too_large = || E::custom(MoneyError::TooLarge(dollars.to_string()));
                i64::try_from(dollars).ok().and_then(NanoUsd::from_dollars).ok_or_else(too_large)
            }
            fn visit_f64<E: de::Error>(self, dollars: f64) -> Result<NanoUsd, E> {
                // A float has already lost the digits that were written.
                Err(E::custom(format_args!("money is written as text, to be exact: \"{dollars}\"")))
            }
        }
        deserializer.deserialize_any(Amount)
    }
}

/// Money as a setting or a message gives it, which is never below zero.
impl JsonSchema for NanoUsd {
    fn schema_name() -> Cow<'static, str> {
        "NanoUsd".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "anyOf": [
                // Nine digits after the point, and zeros, which carry no value.
                { "type": "string", "pattern": r"^\+?([0-9]+(\.[0-9]{0,9}0*)?|\.[0-9]{1,9}0*)$" },
                { "type": "integer", "minimum": 0 },
            ],
            "examples": ["0.50", 20],
        })
    }
}

/// A price in nano-dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Price(NanoUsd);

impl Price {
    /// A price per million tokens.
    pub const fn per_million(amount: NanoUsd) -> Self {
        Self(amount)
    }

    /// The price of a million tokens.
    pub const fn amount(self) -> NanoUsd {
        self.0
    }

    /// The most tokens whose charge, rounded up, is at most `amount`; `None` when the tokens are free.
    pub fn tokens_for(self, amount: NanoUsd) -> Option<u64> {
        if self.0.0 <= 0 {
            return None;
        }
        let tokens = i128::from(amount.0.max(0)) * TOKENS_PER_PRICE / i128::from(self.0.0);
        Some(u64::try_from(tokens).unwrap_or(u64::MAX))
    }
}

/// Some tokens at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCharge {
    /// How many tokens.
    pub tokens: u64,
    /// What a million of them cost.
    pub price: Price,
}

/// What the charges of one call cost together, rounded up once, held at [`NanoUsd::MAX`].
///
/// # Examples
/// ```
/// use iron_protocol::{NanoUsd, Price, TokenCharge, charge};
/// let price = Price::per_million("0.25".parse().unwrap());
/// assert_eq!(charge([TokenCharge { tokens: 3, price }]), NanoUsd::from_nanos(750));
/// ```
pub fn charge(charges: impl IntoIterator<Item = TokenCharge>) -> NanoUsd {
    let total = charges.into_iter().fold(0_i128, |sum, part| {
        sum.saturating_add(i128::from(part.tokens).saturating_mul(i128::from(part.price.0.0)))
    });
    let nanos = total.saturating_add(TOKENS_PER_PRICE - 1).div_euclid(TOKENS_PER_PRICE);
    NanoUsd(i64::try_from(nanos).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> NanoUsd {
        text.parse().unwrap()
    }

    #[test]
    fn reads_decimal_text_exactly() {
        assert_eq!(usd("0.50").nanos(), 500_000_000);
        assert_eq!(usd("5").nanos(), 5 * NANO);
        assert_eq!(usd(".5").nanos(), 500_000_000);
        assert_eq!(usd("-0.000000001").nanos(), -1);
        assert_eq!(usd("1.0000000000").nanos(), NANO);
        assert_eq!(usd("9223372036.854775807"), NanoUsd::MAX);
    }

    #[test]
    fn refuses_what_is_not_exact_money() {
        for text in ["", ".", "-", "1e3", "NaN", "inf", "1,000", " 1", "0x1", "१"] {
            assert!(matches!(text.parse::<NanoUsd>(), Err(MoneyError::NotANumber(_))), "{text}");
        }
        assert!(matches!("0.0000000001".parse::<NanoUsd>(), Err(MoneyError::TooFine(_))));
        assert!(matches!("9223372036.854775808".parse::<NanoUsd>(), Err(MoneyError::TooLarge(_))));
        assert!(matches!("1".repeat(100_000).parse::<NanoUsd>(), Err(MoneyError::TooLarge(_))));
    }

    #[test]
    fn configuration_takes_text_and_whole_dollars_but_no_float() {
        assert_eq!(serde_json::from_str::<NanoUsd>("\"0.25\"").unwrap(), usd("0.25"));
        assert_eq!(serde_json::from_str::<NanoUsd>("5").unwrap(), usd("5"));
        let error = serde_json::from_str::<NanoUsd>("0.1").unwrap_err();
        assert!(error.to_string().contains("written as text"), "{error}");
    }

    proptest! {
        #[test]
        fn text_round_trips(nanos in any::<i64>().prop_filter("no opposite", |n| *n != i64::MIN)) {
            let amount = NanoUsd::from_nanos(nanos);
            prop_assert_eq!(amount.to_string().parse::<NanoUsd>().unwrap(), amount);
        }

        #[test]
        fn a_charge_is_rounded_up_once(tokens in 0_u64..10_000_000, other in 0_u64..10_000_000,
                                       a in 0_i64..100_000_000_000, b in 0_i64..100_000_000_000) {
            let price = |nanos| Price::per_million(NanoUsd::from_nanos(nanos));
            let exact = i128::from(tokens) * i128::from(a) + i128::from(other) * i128::from(b);
            let sum = charge([TokenCharge { tokens, price: price(a) }, TokenCharge { tokens: other, price: price(b) }]);
            let nanos = i128::from(sum.nanos());
            prop_assert!(nanos * TOKENS_PER_PRICE >= exact && (nanos - 1) * TOKENS_PER_PRICE < exact);
        }

        #[test]
        fn tokens_for_is_the_most_that_fit(amount in 0_i64..10_000_000_000, nanos in 1_i64..100_000_000_000) {
            let price = Price::per_million(NanoUsd::from_nanos(nanos));
            let tokens = price.tokens_for(NanoUsd::from_nanos(amount)).unwrap();
            let cost = |tokens| charge([TokenCharge { tokens, price }]).nanos();
            prop_assert!(cost(tokens) <= amount && cost(tokens + 1) > amount);
        }
    }
}
