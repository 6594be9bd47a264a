//! Offers: what one request lets the model call, and what calls of that may pass.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::called::Called;
use super::offered::Tool;
use super::rules::ToolRules;
use super::tally::{Claim, Tally};
use crate::call::ChatRequest;
use crate::json::Json;
use crate::policy::Direction;
use crate::{Error, PolicyDenied};

/// Fields that switch on tools of the provider's own, and what those are called.
const SWITCHES: [(&str, &str); 4] = [
    ("web_search_options", "web_search"),
    ("search_parameters", "web_search"),
    ("mcp_servers", "mcp"),
    ("plugins", "plugins"),
];
/// Fields that choose among the tools.
const CHOICES: [&str; 2] = ["tool_choice", "function_call"];
/// The rule that a model calls what the request offers, which holds where any rule does.
const OFFERED: &str = "tools";

/// The tools that a request offers and rules let pass.
#[derive(Debug)]
pub(crate) struct Offer {
    rules: ToolRules,
    agent: Option<Arc<str>>,
    tools: Vec<Tool>,
}

impl ToolRules {
    /// Hold what `request` offers against the rules. Where they say so, what they refuse is left out of it, with a warning.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`] for a tool that may not be offered, [`Error::Config`] for what is no tool or has a schema
    /// that cannot be used.
    pub(crate) fn offer(
        &self,
        request: &mut ChatRequest,
        agent: Option<Arc<str>>,
        warnings: &mut Vec<String>,
    ) -> Result<Offer, Error> {
        let mut offer = Offer { rules: self.clone(), agent, tools: Vec::new() };
        let mut refused: Vec<PolicyDenied> = Vec::new();
        let mut emptied = HashSet::new();
        for (field, json) in &mut request.params {
            if json.is_null() {
                continue;
            }
            if matches!(&**field, "tools" | "functions") {
                let listed = self.list(field, json)?;
                let before = refused.len();
                let kept: Vec<bool> =
                    listed.tools.iter().map(|tool| offer.take(tool, &mut refused)).collect();
                *json =
                    if refused.len() == before { listed.json.clone() } else { without(&listed.json, &kept)? };
                if !kept.contains(&true) {
                    emptied.insert(field.clone());
                }
            } else if let Some((_, name)) = SWITCHES.iter().find(|(switch, _)| field == switch)
                && !offer.take(&Tool::served(name), &mut refused)
            {
                emptied.insert(field.clone());
            }
        }
        if refused.is_empty() {
            return Ok(offer);
        }
        let chosen = request.params.iter().filter(|(field, _)| CHOICES.contains(&&**field));
        let chosen: Vec<_> =
            chosen.filter_map(|(_, json)| serde_json::from_str(json.as_str()).ok()).collect();
        let needed = |denied: &PolicyDenied| {
            chosen.iter().any(|choice| chooses(choice, denied, offer.tools.is_empty()))
        };
        if let Some(nth) = refused.iter().position(|denied| !self.drops() || needed(denied)) {
            return Err(Error::PolicyDenied(Box::new(refused.swap_remove(nth))));
        }
        warnings.extend(refused.iter().map(|denied| format!("a tool was left out of the request: {denied}")));
        let nothing_left = offer.tools.is_empty();
        request.params.retain(|(field, _)| {
            let idle = nothing_left && (CHOICES.contains(&&**field) || field == "parallel_tool_calls");
            !idle && !emptied.contains(field)
        });
        Ok(offer)
    }
}

impl Offer {
    /// Whether the rules let a tool be offered; if not, why is added to `refused`.
    fn take(&mut self, tool: &Tool, refused: &mut Vec<PolicyDenied>) -> bool {
        let names: Vec<&str> = tool.names.iter().map(|name| &**name).collect();
        let denied = self.rules.guards(self.agent.as_deref()).find_map(|guard| {
            let counted = || guard.asks(&names).or_else(|| guard.counts(&names)).filter(|_| tool.served);
            guard
                .refuses(&names)
                .or_else(|| Some((counted()?, "the provider runs it, and asks nobody before")))
        });
        let Some((rule, why)) = denied else {
            self.tools.push(tool.clone());
            return true;
        };
        refused.push(PolicyDenied::tool(rule, Direction::Input, Some(tool.name()), why));
        false
    }

    /// Hold calls of a reply against the rules, and count them.
    ///
    /// # Errors
    /// [`PolicyDenied`] for the first that may not be made; then none of them counts.
    pub(crate) fn judge(&self, calls: &[Called], tally: &Arc<Tally>) -> Result<Claim, PolicyDenied> {
        for call in calls {
            self.check(call)?;
        }
        let guards: Vec<_> = self.rules.guards(self.agent.as_deref()).collect();
        Tally::claim(tally, &guards, calls)
    }

    fn check(&self, call: &Called) -> Result<(), PolicyDenied> {
        let mut known = false;
        // One that takes free text is not called with JSON, nor the other way round.
        let own = |tool: &&Tool| *tool.name() == call.name && tool.free == call.free;
        for tool in self.tools.iter().filter(own) {
            known = true;
            self.rules.check(tool, call.value.as_ref())?;
        }
        if known {
            return Ok(());
        }
        Err(PolicyDenied::called(OFFERED, &call.name, "the request does not offer it"))
    }

    /// The rule that asks for approval of a call.
    pub(crate) fn asks(&self, call: &Called) -> Option<Arc<str>> {
        let tool = self.tools.iter().find(|tool| *tool.name() == call.name)?;
        let names: Vec<&str> = tool.names.iter().map(|name| &**name).collect();
        self.rules.guards(self.agent.as_deref()).find_map(|guard| guard.asks(&names)).cloned()
    }

    /// The rules that it was held against.
    pub(crate) fn rules(&self) -> &ToolRules {
        &self.rules
    }
}

/// The list without what isn't kept.
fn without(list: &Json, kept: &[bool]) -> Result<Json, Error> {
    let list: Vec<Value> = serde_json::from_str(list.as_str())
        .map_err(|error| Error::config(format!("tools: not valid JSON: {error}")))?;
    let list: Vec<_> = list.into_iter().zip(kept).filter(|(_, kept)| **kept).map(|(tool, _)| tool).collect();
    Json::from_value(&list)
}

/// Whether a choice among the tools needs the one that is refused, or any where none is left.
fn chooses(choice: &Value, denied: &PolicyDenied, nothing_left: bool) -> bool {
    match choice {
        Value::String(choice) => nothing_left && matches!(&**choice, "required" | "any"),
        Value::Object(fields) => fields.iter().any(|(key, value)| match value {
            Value::String(text) if key == "name" => denied.tool.as_deref() == Some(text),
            Value::String(_) => false,
            value => chooses(value, denied, nothing_left),
        }),
        Value::Array(values) => values.iter().any(|value| chooses(value, denied, nothing_left)),
        _ => false,
    }
}
