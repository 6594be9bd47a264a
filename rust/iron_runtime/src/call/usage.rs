//! What a call used, as providers count it.

use iron_protocol::NanoUsd;

/// What one call used, as the provider counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input in tokens, of whatever kind: cached, written to the cache, sound, images.
    pub input_tokens: u64,
    /// Input that the provider had cached.
    pub cached_input_tokens: u64,
    /// Input that the provider wrote to its cache, for however long.
    pub cache_write_tokens: u64,
    /// Of that, what it keeps for an hour or longer, where that has another price.
    pub cache_write_1h_tokens: u64,
    /// Input that was sound.
    pub audio_input_tokens: u64,
    /// Input that was images, where the provider counts it by itself.
    pub image_input_tokens: u64,
    /// All output in tokens, reasoning included.
    pub output_tokens: u64,
    /// Output that the model spent on reasoning.
    pub reasoning_tokens: u64,
    /// Output that is sound.
    pub audio_output_tokens: u64,
    /// Output that is images.
    pub image_output_tokens: u64,
    /// Web searches that the provider ran and bills by the piece.
    pub web_searches: u64,
    /// Searches in files that the provider ran.
    pub file_searches: u64,
    /// Programs that the provider ran.
    pub code_executions: u64,
    /// What the provider says that it bills for the call, where it says so.
    pub told_cost: Option<NanoUsd>,
}

impl Usage {
    /// Every count; Python's `Usage` and a client's counters have this order.
    pub const fn counts(&self) -> [u64; 13] {
        [
            self.input_tokens,
            self.cached_input_tokens,
            self.cache_write_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.cache_write_1h_tokens,
            self.audio_input_tokens,
            self.image_input_tokens,
            self.audio_output_tokens,
            self.image_output_tokens,
            self.web_searches,
            self.file_searches,
            self.code_executions,
        ]
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let (own, others) = (self.counts(), other.counts());
        let told_cost = self.told_cost.into_iter().chain(other.told_cost).reduce(NanoUsd::saturating_add);
        let counts = std::array::from_fn(|place| own[place].saturating_add(others[place]));
        Self { told_cost, ..Self::from_counts(counts) }
    }

    /// The usage of these counts, in the order of [`Usage::counts`].
    pub const fn from_counts(counts: [u64; 13]) -> Self {
        Self {
            input_tokens: counts[0],
            cached_input_tokens: counts[1],
            cache_write_tokens: counts[2],
            output_tokens: counts[3],
            reasoning_tokens: counts[4],
            cache_write_1h_tokens: counts[5],
            audio_input_tokens: counts[6],
            image_input_tokens: counts[7],
            audio_output_tokens: counts[8],
            image_output_tokens: counts[9],
            web_searches: counts[10],
            file_searches: counts[11],
            code_executions: counts[12],
            told_cost: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_in_the_order_they_are_told() {
        let counts = std::array::from_fn(|place| place as u64);
        assert_eq!(Usage::from_counts(counts).counts(), counts);
    }
}
