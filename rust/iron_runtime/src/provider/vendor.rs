//! What vendors publish of their APIs: where each is, which variable holds its key, and how it differs from OpenAI's.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WireFormat;
use crate::Error;

const BUILT_IN: &str = include_str!("vendors.toml");

/// One vendor's API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vendor {
    /// What stands before the slash in `provider/model`.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) format: WireFormat,
    /// Where the API begins; a server of one's own says it in the configuration.
    pub(crate) base_url: Option<String>,
    /// The variable that the vendor's own client reads for it.
    pub(crate) base_url_env: Option<String>,
    /// The variables that may hold the key, in the order they are looked at.
    #[serde(default)]
    pub(crate) key_env: Vec<String>,
    /// The variables that may hold a token, which is sent in place of a key as `authorization: Bearer TOKEN`.
    #[serde(default)]
    pub(crate) token_env: Vec<String>,
    /// Below what path of a resource each model may have an address of its own, of an API in some version.
    pub(crate) deployments: Option<String>,
    /// Whether a call without a key makes sense, as it does to a server on the same machine.
    #[serde(default)]
    pub(crate) key_optional: bool,
    #[serde(default)]
    pub(crate) key_header: KeyHeader,
    /// Headers sent with each request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) max_tokens_field: MaxTokensField,
    /// Whether it has an endpoint for embeddings in OpenAI's shape.
    #[serde(default)]
    pub(crate) embeddings: bool,
    /// Why the endpoint that it has is not taken for one.
    pub(crate) no_embeddings: Option<String>,
    /// Whether it takes instructions in the role `developer`; otherwise they go as `system`.
    #[serde(default)]
    pub(crate) developer_role: bool,
    /// Parameters of a chat that it refuses or passes over.
    #[serde(default)]
    lacks: Vec<String>,
    /// Parameters of a chat that it takes by another name.
    #[serde(default)]
    pub(crate) renames: BTreeMap<String, String>,
}

/// How the key is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeyHeader {
    /// `authorization: Bearer KEY`.
    #[default]
    Authorization,
    /// `x-api-key: KEY`.
    XApiKey,
    /// `api-key: KEY`.
    ApiKey,
}

impl Vendor {
    /// Whether it refuses or passes over the parameter of that name.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        self.lacks.iter().any(|lacking| lacking == name)
    }
}

/// The request field that bounds the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// What most OpenAI-compatible vendors read.
    #[default]
    MaxTokens,
    /// What OpenAI reads; its reasoning models refuse the other.
    MaxCompletionTokens,
}

impl MaxTokensField {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

#[derive(Deserialize)]
struct File {
    /// What is known of a server whose vendor is not named.
    unnamed: Vendor,
    vendor: Vec<Vendor>,
}

fn file() -> Result<&'static File, Error> {
    static FILE: OnceLock<Result<File, String>> = OnceLock::new();
    let file = FILE.get_or_init(|| toml::from_str(BUILT_IN).map_err(|error| error.to_string()));
    file.as_ref().map_err(|error| Error::Internal { message: format!("the built-in vendors: {error}") })
}

/// Every vendor, in the order of the file.
///
/// # Errors
/// [`Error::Internal`] if the built-in file is broken.
pub(crate) fn vendors() -> Result<&'static [Vendor], Error> {
    Ok(&file()?.vendor)
}

/// What is known of any server that speaks OpenAI's protocol.
///
/// # Errors
/// As [`vendors`].
pub(crate) fn unnamed() -> Result<&'static Vendor, Error> {
    Ok(&file()?.unnamed)
}

#[cfg(test)]
mod tests;
