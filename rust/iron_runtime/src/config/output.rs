//! `[output]`: what replies have to be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// What a model has not repaired by then it does not repair.
const MOST_REPAIRS: u32 = 10;

/// `[output]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutputSettings {
    /// Whether a reply has to be what `response_format` asks for.
    pub validate: bool,
    /// How often an answer that is not is sent back to be repaired, which is paid for like any other request.
    #[schemars(range(max = 10))]
    pub max_repairs: u32,
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self { validate: true, max_repairs: 0 }
    }
}

impl OutputSettings {
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.max_repairs {
            0..=MOST_REPAIRS => Ok(()),
            more => {
                Err(Error::config(format!("output.max_repairs is {more}: it must be at most {MOST_REPAIRS}")))
            }
        }
    }
}
