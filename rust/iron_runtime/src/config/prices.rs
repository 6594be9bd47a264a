//! `[prices."provider/model"]`, which is also how the built-in prices are written.

use std::collections::BTreeMap;

use iron_protocol::NanoUsd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pricing::{ImageRule, Kind, ModelKind};

/// A struct with a price for each kind of token beside its own fields: what a table may hold is a flat list of keys, so
/// that one that is not known is told from its neighbours.
macro_rules! with_rates {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident: $type:ty,)* }) => {
        #[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        $(#[$about])*
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
            /// Input, a million tokens of it, as everything down to `image_output_usd`.
            #[schemars(example = "0.60")]
            pub input_usd: Option<NanoUsd>,
            /// Input that the provider had cached.
            #[schemars(example = "0.06")]
            pub cached_input_usd: Option<NanoUsd>,
            /// Input that the provider writes to its cache.
            #[schemars(example = "0.75")]
            pub cache_write_usd: Option<NanoUsd>,
            /// Input that it writes there for an hour or longer.
            #[schemars(example = "1.20")]
            pub cache_write_1h_usd: Option<NanoUsd>,
            /// Input that is sound.
            #[schemars(example = "4.00")]
            pub audio_input_usd: Option<NanoUsd>,
            /// Input that is images.
            #[schemars(example = "0.60")]
            pub image_input_usd: Option<NanoUsd>,
            /// Output.
            #[schemars(example = "2.40")]
            pub output_usd: Option<NanoUsd>,
            /// Output that is reasoning.
            #[schemars(example = "2.40")]
            pub reasoning_usd: Option<NanoUsd>,
            /// Output that is sound.
            #[schemars(example = "8.00")]
            pub audio_output_usd: Option<NanoUsd>,
            /// Output that is images.
            #[schemars(example = "30.00")]
            pub image_output_usd: Option<NanoUsd>,
        }

        impl $name {
            /// The price of that kind, if it has one of its own.
            pub(crate) fn rate(&self, kind: Kind) -> Option<NanoUsd> {
                match kind {
                    Kind::Input => self.input_usd,
                    Kind::CachedInput => self.cached_input_usd,
                    Kind::CacheWrite => self.cache_write_usd,
                    Kind::CacheWrite1h => self.cache_write_1h_usd,
                    Kind::AudioInput => self.audio_input_usd,
                    Kind::ImageInput => self.image_input_usd,
                    Kind::Output => self.output_usd,
                    Kind::Reasoning => self.reasoning_usd,
                    Kind::AudioOutput => self.audio_output_usd,
                    Kind::ImageOutput => self.image_output_usd,
                }
            }
        }
    };
}

with_rates! {
    /// `[prices."provider/model"]`: tokens in US dollars per million, the rest by the piece.
    #[schemars(extend("required" = ["input_usd"]))]
    pub struct PriceSettings {
        /// Other names of the model at the same provider.
        pub aliases: Vec<String>,
        /// What the model does.
        pub kind: ModelKind,
        /// Each request, whatever it holds.
        #[schemars(example = "0.005")]
        pub usd_per_request: NanoUsd,
        /// Each web search that the provider runs.
        #[schemars(example = "0.01")]
        pub usd_per_web_search: NanoUsd,
        /// Each search in files.
        #[schemars(example = "0.0025")]
        pub usd_per_file_search: NanoUsd,
        /// Each run of a program.
        #[schemars(example = "0.03")]
        pub usd_per_code_execution: NanoUsd,
        /// The provider's replies say what they cost, in US dollars.
        pub tells_cost: bool,
        /// Prices of a whole request once its input is long, by threshold.
        pub long_context: Vec<LongContextSettings>,
        /// Prices of OpenAI's `service_tier` "priority".
        pub priority: Option<TierSettings>,
        /// Prices of Anthropic's `speed` "fast".
        pub fast: Option<TierSettings>,
        /// Prices of `service_tier` "ultrafast".
        pub ultrafast: Option<TierSettings>,
        /// Prices of `service_tier` "flex".
        pub flex: Option<TierSettings>,
        /// Input and output together, at most.
        #[schemars(example = 131_072)]
        pub context_tokens: Option<u32>,
        /// Output at most, each choice.
        #[schemars(example = 16_384)]
        pub max_output_tokens: Option<u32>,
        /// Whether it may reason out of sight; it may, unless this says no.
        #[schemars(example = false)]
        pub reasoning: Option<bool>,
        /// How many tokens an image is, at most: by `tiles` of 512 px (`base_tokens`, `tile_tokens`), by `patches` of 32 px (`multiplier`, `max_patches`), or by `pixels` (`per_token`, `max_tokens`).
        #[schemars(example = ImageRule::Pixels { per_token: 750, max_tokens: 1_600 })]
        pub image: Option<ImageRule>,
        /// The day from which the provider refuses the model.
        #[schemars(example = "2027-06-30")]
        pub retires: Option<String>,
        /// Where the prices were found.
        #[schemars(example = "https://llm.acme.example/prices")]
        pub source: Option<String>,
        /// The day on which they were.
        #[schemars(example = "2026-11-24")]
        pub as_of: Option<String>,
        /// What else to know about them.
        #[schemars(example = "list price")]
        pub note: Option<String>,
    }
}

with_rates! {
    /// An item of `long_context`. A kind without a price keeps its ratio to input or output.
    pub struct LongContextSettings {
        /// The most input tokens, cached ones included, that are not long.
        #[schemars(example = 200_000)]
        pub above_input_tokens: u32,
    }
}

with_rates! {
    /// A tier's prices. A kind without a price keeps its ratio to input or output.
    pub struct TierSettings {}
}

/// Prices by `provider/model`.
pub type Prices = BTreeMap<String, PriceSettings>;
