//! What a call would reserve, told to whoever asks.

use std::sync::Arc;

use iron_protocol::NanoUsd;

use super::ChatBound;
use crate::Error;
use crate::call::ChatRequest;
use crate::config::Target;

/// What a call would reserve, were it made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The upstream it is of, `provider/model`: of a route, the one where the call may cost most.
    pub upstream: Arc<str>,
    /// What one attempt costs at most.
    pub most: NanoUsd,
    /// What a budget has to have left: less than `most` where the call sets no bound on its output, so that it can be
    /// lowered.
    pub least: NanoUsd,
    /// Input at most.
    pub input_tokens: u64,
    /// Output at most, all choices together.
    pub output_tokens: u64,
    /// Whether the model has a price; without one it counts as free.
    pub priced: bool,
}

impl Estimate {
    /// The dearest of `targets`, of which there is one at least.
    pub(crate) fn dearest<'t>(
        request: &ChatRequest,
        targets: impl IntoIterator<Item = &'t Target>,
        least_output: u32,
    ) -> Result<Self, Error> {
        let mut dearest: Option<Self> = None;
        for target in targets {
            let bound = ChatBound::new(request, target.price.as_deref(), least_output)?;
            let ask = bound.ask();
            if dearest.as_ref().is_none_or(|dearest| ask.most > dearest.most) {
                dearest = Some(Self {
                    upstream: target.name.clone(),
                    most: ask.most,
                    least: ask.least,
                    input_tokens: bound.bound.input_tokens,
                    output_tokens: bound.output_tokens(),
                    priced: target.price.is_some(),
                });
            }
        }
        dearest.ok_or_else(|| Error::Internal { message: "a route has no upstream".to_owned() })
    }
}
