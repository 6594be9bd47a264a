//! What a provider counted, as far as it can be true.

use crate::call::Usage;

/// No model has a context of a billion tokens: a count beyond it is a fault, not a bill.
const MOST_TOKENS: u64 = 1_000_000_000;

/// `usage`, unless it cannot be true.
pub(super) fn credible(usage: Usage) -> Option<Usage> {
    // Nothing is never what a call used: such counts come from servers that do not count.
    let nothing = usage.input_tokens == 0 && usage.output_tokens == 0;
    let absurd = usage.counts().into_iter().any(|count| count > MOST_TOKENS);
    (!nothing && !absurd).then_some(usage)
}
