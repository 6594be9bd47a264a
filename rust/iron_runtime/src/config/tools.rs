//! `[tools]`: which tools a model may call, how often, and with whose approval.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// `[tools]`. Names of tools may be globs: `*` stands for any text.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolSettings {
    /// The only tools that may be offered to a model, if it is given.
    #[schemars(example = ["search", "db_*"])]
    pub allow: Option<Vec<String>>,
    /// Tools that may not be offered, whatever `allow` says.
    #[schemars(example = ["db_drop"])]
    pub deny: Vec<String>,
    /// What to do with a request that offers a tool which may not be.
    pub on_denied: OnDenied,
    /// Whether the arguments of a call must fit the schema that the request declares for the tool.
    #[schemars(example = true)]
    pub check_arguments: Option<bool>,
    /// JSON Schemas by name of a tool, which arguments have to fit as well.
    #[schemars(example = json!({"search": {"type": "object", "required": ["query"]}}))]
    pub schemas: BTreeMap<String, serde_json::Value>,
    /// Tools that the approver is asked about, each time that a model calls one.
    #[schemars(example = ["send_*"])]
    pub require_approval: Vec<String>,
    /// How long an approval may take; then it is refused.
    #[schemars(range(min = 1))]
    pub approval_timeout_ms: u64,
    /// How often tools may be called in one run, by name; those of one glob together.
    #[schemars(example = BTreeMap::from([("search", 10)]))]
    pub limits: BTreeMap<String, u32>,
    /// How many calls of tools one run may have.
    #[schemars(range(min = 1), example = 50)]
    pub per_run: Option<u32>,
    /// How often a tool may be called with the same arguments in one run.
    #[schemars(range(min = 1), example = 3)]
    pub max_repeats: Option<u32>,
    /// More rules, for agents of that name, which may be a glob.
    #[schemars(extend("propertyNames" = { "examples": ["research-*"] }))]
    pub agents: BTreeMap<String, AgentToolSettings>,
}

/// `[tools.agents.NAME]`: has to be passed beside `[tools]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentToolSettings {
    /// As in `[tools]`.
    #[schemars(example = ["search"])]
    pub allow: Option<Vec<String>>,
    /// As in `[tools]`.
    #[schemars(example = ["db_*"])]
    pub deny: Vec<String>,
    /// As in `[tools]`.
    #[schemars(example = ["send_*"])]
    pub require_approval: Vec<String>,
    /// As in `[tools]`.
    #[schemars(example = BTreeMap::from([("search", 3)]))]
    pub limits: BTreeMap<String, u32>,
    /// As in `[tools]`.
    #[schemars(range(min = 1), example = 10)]
    pub per_run: Option<u32>,
    /// As in `[tools]`.
    #[schemars(range(min = 1), example = 1)]
    pub max_repeats: Option<u32>,
}

/// What to do with a request that offers a tool which may not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDenied {
    /// Refuse the request.
    #[default]
    Refuse,
    /// Leave the tool out, and say so in the reply's warnings.
    Drop,
}

impl Default for ToolSettings {
    fn default() -> Self {
        Self {
            allow: None,
            deny: Vec::new(),
            on_denied: OnDenied::default(),
            check_arguments: None,
            schemas: BTreeMap::new(),
            require_approval: Vec::new(),
            // Long enough for a person at a screen, and well within a call's ten minutes.
            approval_timeout_ms: 120_000,
            limits: BTreeMap::new(),
            per_run: None,
            max_repeats: None,
            agents: BTreeMap::new(),
        }
    }
}

impl ToolSettings {
    /// What holds for every agent, in the form of what holds for some.
    pub(crate) fn for_all(&self) -> AgentToolSettings {
        AgentToolSettings {
            allow: self.allow.clone(),
            deny: self.deny.clone(),
            require_approval: self.require_approval.clone(),
            limits: self.limits.clone(),
            per_run: self.per_run,
            max_repeats: self.max_repeats,
        }
    }

    /// Whether some rule holds.
    pub(crate) fn has_rules(&self) -> bool {
        self.for_all().has_rules()
            || !self.schemas.is_empty()
            || self.check_arguments == Some(true)
            || self.agents.values().any(AgentToolSettings::has_rules)
    }
}

impl AgentToolSettings {
    fn has_rules(&self) -> bool {
        self.allow.is_some()
            || !self.deny.is_empty()
            || !self.require_approval.is_empty()
            || !self.limits.is_empty()
            || self.per_run.is_some()
            || self.max_repeats.is_some()
    }
}
