//! What a request asks for and its provider lacks: refused, or left out and said.

use crate::Error;
use crate::config::{Provider, UnsupportedParams};
use crate::json::Json;

/// Where what is left out is said.
pub(crate) struct Lacks<'a> {
    provider: &'a Provider,
    warnings: &'a mut Vec<String>,
}

impl<'a> Lacks<'a> {
    pub(crate) fn new(provider: &'a Provider, warnings: &'a mut Vec<String>) -> Self {
        Self { provider, warnings }
    }

    /// The provider does not take `what`: refuse it, or leave it out, as is configured.
    ///
    /// # Errors
    /// [`Error::Config`] unless it may be left out.
    pub(crate) fn found(&mut self, what: &str) -> Result<(), Error> {
        let name = &self.provider.name;
        match self.provider.unsupported_params {
            UnsupportedParams::Refuse => Err(Error::config(format!(
                "provider {name:?} does not take {what}: leave it out, or set \
                 providers.{name}.unsupported_params = \"drop\""
            ))),
            UnsupportedParams::Drop => {
                self.say(format!("{what} was left out: provider {name:?} does not take it"));
                Ok(())
            }
        }
    }

    /// Whether the parameter goes out; one that asks for nothing is left out without a word.
    ///
    /// # Errors
    /// As [`Lacks::found`], for one that the provider's vendor lacks.
    pub(crate) fn lets(&mut self, name: &str, value: &Json) -> Result<bool, Error> {
        if !self.provider.vendor.lacks(name) {
            return Ok(true);
        }
        // What is left to the provider is left to it.
        if !asks_nothing(value.as_str()) && value.as_str().trim() != "\"auto\"" {
            self.found(name)?;
        }
        Ok(false)
    }

    /// The error of a request for several choices, which cannot be left out: the reply would be another.
    pub(crate) fn one_choice(&self) -> Error {
        Error::config(format!(
            "provider {:?} gives one choice a call: ask for n = 1, and call it as often as choices are wanted",
            self.provider.name
        ))
    }

    /// Say what was done otherwise than asked, once for all attempts.
    pub(crate) fn say(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(crate) fn provider(&self) -> &'a Provider {
        self.provider
    }
}

/// A value that changes nothing, as frameworks send it for what was not set.
pub(crate) fn asks_nothing(json: &str) -> bool {
    matches!(json.trim(), "null" | "false" | "0" | "0.0" | "\"\"" | "{}" | "[]")
}
