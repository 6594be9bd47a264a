//! `[audit]`: what is recorded of calls, and where.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Settings;
use super::budget::absolute;
use super::environment::Environment;
use super::load::Loaded;
use super::validate::positive;
use crate::Error;
use crate::audit::{Digest, Key, Options, Sync};

/// The least size of a file: several records of the usual length.
const LEAST_ROTATE_BYTES: u64 = 4_096;

/// `[audit]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSettings {
    /// Where records are written: an absolute path, or one that begins with `~/`. Without it nothing is recorded.
    #[schemars(example = "/var/log/iron")]
    pub directory: Option<String>,
    /// What is recorded of prompts and replies, after the policies.
    pub content: AuditContent,
    /// The environment variable that holds the key of content digests and of the seal. Without it the digests have one
    /// that is made for the directory, and there is no seal.
    #[schemars(example = &"AUDIT_KEY")]
    pub key_env: Option<String>,
    /// When records are made to last through a loss of power.
    pub sync: AuditSync,
    /// How often, with `sync = "interval"`.
    #[schemars(range(min = 1))]
    pub sync_ms: u64,
    /// A file that has grown to so much ends, and the next begins; so it does with each day in UTC.
    #[schemars(range(min = 4096))]
    pub rotate_bytes: u64,
    /// How many files that have ended are kept, of each chain; all when absent.
    #[schemars(range(min = 1), example = 90)]
    pub keep: Option<u64>,
    /// What happens to calls while records cannot be written.
    pub on_failure: OnFailure,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            directory: None,
            content: AuditContent::Hash,
            key_env: None,
            sync: AuditSync::Interval,
            sync_ms: 1_000,
            rotate_bytes: 64 << 20,
            keep: None,
            on_failure: OnFailure::Block,
        }
    }
}

/// What is recorded of prompts and replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditContent {
    /// Nothing.
    None,
    /// A keyed digest.
    #[default]
    Hash,
    /// The text.
    Full,
}

/// When records are made to last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditSync {
    /// Before the call ends that they are of.
    Always,
    /// Every `sync_ms`.
    #[default]
    Interval,
    /// When the system likes.
    Never,
}

/// What happens to calls while records cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// They are refused.
    #[default]
    Block,
    /// They go unrecorded, and are counted.
    Allow,
}

/// How the calls of a client are recorded.
#[derive(Clone, Debug)]
pub(crate) struct AuditPolicy {
    pub(crate) options: Options,
    pub(crate) content: AuditContent,
    pub(crate) on_failure: OnFailure,
    /// Names the configuration in force.
    pub(crate) config: Arc<str>,
    /// What to do about a key that is named and not there: without it nothing is recorded, and no call made.
    pub(crate) missing_key: Option<String>,
}

impl AuditSettings {
    pub(super) fn policy(&self, loaded: &Loaded) -> Result<Option<AuditPolicy>, Error> {
        positive("audit.sync_ms", self.sync_ms)?;
        if let Some(keep) = self.keep {
            positive("audit.keep", keep)?;
        }
        if self.rotate_bytes < LEAST_ROTATE_BYTES {
            let given = self.rotate_bytes;
            return Err(Error::config(format!(
                "audit.rotate_bytes is {given}: it must be at least {LEAST_ROTATE_BYTES}"
            )));
        }
        let environment = &loaded.environment;
        let Some(directory) = &self.directory else {
            return match self.key_env {
                Some(_) => Err(Error::config("audit.key_env has nothing to seal: set audit.directory")),
                None => Ok(None),
            };
        };
        let key = self.key(environment);
        let directory = absolute(directory, environment)
            .map_err(|why| Error::config(format!("audit.directory {why}")))?;
        let sync = match self.sync {
            AuditSync::Always => Sync::Always,
            AuditSync::Interval => Sync::Interval(Duration::from_millis(self.sync_ms)),
            AuditSync::Never => Sync::Never,
        };
        let options = Options { directory, sync, rotate_bytes: self.rotate_bytes, keep: self.keep, key };
        Ok(Some(AuditPolicy {
            options,
            content: self.content,
            on_failure: self.on_failure,
            config: identity(&loaded.settings).into(),
            missing_key: self.missing_key(environment),
        }))
    }

    /// The key that `key_env` names, if the variable is set.
    pub(super) fn key(&self, environment: &Environment) -> Option<Key> {
        environment.get(self.key_env.as_ref()?).and_then(|secret| Key::new(secret.as_bytes()))
    }

    /// What to do about a key that is named and not there.
    pub(super) fn missing_key(&self, environment: &Environment) -> Option<String> {
        let variable = self.key_env.as_ref().filter(|_| self.key(environment).is_none())?;
        Some(format!("audit.key_env names {variable}, which is not set: set it to a long secret"))
    }
}

/// What tells two configurations apart. Keys and headers are not in it.
fn identity(settings: &Settings) -> String {
    // Settings always have a form in JSON: their keys are text.
    Digest::of(&serde_json::to_vec(settings).unwrap_or_default()).short()
}
