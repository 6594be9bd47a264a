//! How a model chooses among tokens: what each generation takes of it, and what of it goes together.

use super::model::Generation;
use crate::Error;
use crate::call::ChatRequest;
use crate::json::Json;
use crate::provider::lacks::Lacks;

/// The least `top_p` that thinking goes together with.
const LEAST_TOP_P: f64 = 0.95;

/// What decides whether a parameter goes out.
pub(super) struct Sampling {
    generation: Generation,
    thinks: bool,
    /// Both `temperature` and `top_p` are given.
    both: bool,
}

impl Sampling {
    pub(super) fn new(request: &ChatRequest, generation: Generation, thinks: bool) -> Self {
        let given = |name| request.param(name).is_some_and(|value| !value.is_null());
        Self { generation, thinks, both: given("temperature") && given("top_p") }
    }

    /// Whether `temperature`, `top_p` or `top_k` goes out with that value; a default that would be refused is left out.
    ///
    /// # Errors
    /// As [`Lacks::found`].
    pub(super) fn lets(&self, name: &str, value: &Json, lacks: &mut Lacks<'_>) -> Result<bool, Error> {
        let json = value.as_str().trim();
        let number: f64 = json.parse().unwrap_or_default();
        let alone = self.both && self.generation.samples_by_one();
        let default = name != "top_k" && matches!(json, "1" | "1.0");
        let why = if !self.generation.samples() {
            "with this model"
        } else if name == "temperature" && number > 1.0 {
            "above 1"
        } else if self.thinks && !default && !(name == "top_p" && number >= LEAST_TOP_P) {
            "beside thinking"
        } else if alone && (default || (name == "top_p" && !self.thinks)) {
            "beside temperature with this model"
        } else {
            return Ok(true);
        };
        if !default {
            lacks.found(&format!("{name} {why}"))?;
        }
        Ok(false)
    }
}
