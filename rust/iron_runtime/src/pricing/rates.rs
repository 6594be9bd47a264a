//! The price of each kind of token.

use std::ops::Index;

use iron_protocol::{NanoUsd, Price};

/// A kind of token that may have a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Input.
    Input,
    /// Input that the provider had cached.
    CachedInput,
    /// Input that the provider writes to its cache.
    CacheWrite,
    /// Input that it writes there for an hour or longer.
    CacheWrite1h,
    /// Input that is sound.
    AudioInput,
    /// Input that is images.
    ImageInput,
    /// Output.
    Output,
    /// Output that is reasoning.
    Reasoning,
    /// Output that is sound.
    AudioOutput,
    /// Output that is images.
    ImageOutput,
}

impl Kind {
    /// Every kind; one that stands in for another comes before it.
    pub const ALL: [Self; 10] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::AudioInput,
        Self::ImageInput,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
        Self::ImageOutput,
    ];

    /// The key of its price in `[prices]`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Input => "input_usd",
            Self::CachedInput => "cached_input_usd",
            Self::CacheWrite => "cache_write_usd",
            Self::CacheWrite1h => "cache_write_1h_usd",
            Self::AudioInput => "audio_input_usd",
            Self::ImageInput => "image_input_usd",
            Self::Output => "output_usd",
            Self::Reasoning => "reasoning_usd",
            Self::AudioOutput => "audio_output_usd",
            Self::ImageOutput => "image_output_usd",
        }
    }

    /// The kind whose price stands where this one has none of its own.
    const fn stand_in(self) -> Option<Self> {
        match self {
            Self::Input | Self::Output => None,
            Self::CachedInput | Self::CacheWrite | Self::AudioInput | Self::ImageInput => Some(Self::Input),
            Self::CacheWrite1h => Some(Self::CacheWrite),
            Self::Reasoning | Self::AudioOutput | Self::ImageOutput => Some(Self::Output),
        }
    }
}

/// The price of each kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates([Price; Kind::ALL.len()]);

impl Index<Kind> for Rates {
    type Output = Price;

    fn index(&self, kind: Kind) -> &Price {
        &self.0[kind as usize]
    }
}

impl Rates {
    /// Nothing costs anything.
    pub(crate) const FREE: Self = Self([Price::per_million(NanoUsd::ZERO); Kind::ALL.len()]);

    /// The prices that are given; a kind without one has that of the kind it stands beside, and input and output
    /// without one are free.
    pub(crate) fn new(given: impl Fn(Kind) -> Option<NanoUsd>) -> Self {
        Self::filled(given, |rates, kind| kind.stand_in().map_or(NanoUsd::ZERO, |kind| rates[kind].amount()))
    }

    /// The prices that are given; a kind without one keeps the ratio that it has in `base` to input or output.
    pub(crate) fn over(base: &Self, given: impl Fn(Kind) -> Option<NanoUsd>) -> Self {
        Self::filled(given, |rates, kind| {
            let beside = match kind {
                Kind::Input => return base[kind].amount(),
                Kind::Reasoning | Kind::AudioOutput | Kind::ImageOutput => Kind::Output,
                _ => Kind::Input,
            };
            carried(base[kind], rates[beside], base[beside])
        })
    }

    fn filled(given: impl Fn(Kind) -> Option<NanoUsd>, absent: impl Fn(&Self, Kind) -> NanoUsd) -> Self {
        let mut rates = Self::FREE;
        for kind in Kind::ALL {
            let amount = given(kind).unwrap_or_else(|| absent(&rates, kind));
            rates.0[kind as usize] = Price::per_million(amount);
        }
        rates
    }

    /// What `self` is to `standard`, done to `other`.
    pub(crate) fn applied(&self, other: &Self, standard: &Self) -> Self {
        Self::new(|kind| Some(carried(self[kind], other[kind], standard[kind])))
    }

    /// Of each kind the higher price.
    pub(crate) fn max(&self, other: &Self) -> Self {
        Self::new(|kind| Some(self[kind].max(other[kind]).amount()))
    }

    /// The highest price among `kinds`.
    pub(crate) fn dearest(&self, kinds: impl IntoIterator<Item = Kind>) -> Price {
        kinds.into_iter().map(|kind| self[kind]).max().unwrap_or_default()
    }
}

/// `a * b / c`, rounded up: how a published ratio carries over. What was free has no ratio, and stays at `b` and above.
fn carried(a: Price, b: Price, c: Price) -> NanoUsd {
    if c.amount() <= NanoUsd::ZERO {
        return a.max(b).amount();
    }
    let divisor = i128::from(c.amount().nanos());
    let product = i128::from(a.amount().nanos()) * i128::from(b.amount().nanos());
    NanoUsd::from_nanos(i64::try_from((product + divisor - 1) / divisor).unwrap_or(i64::MAX))
}
