//! Rules on tools, checked and compiled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::guard::Guard;
use super::offered::{self, Tool};
use crate::call::Text;
use crate::config::{OnDenied, ToolSettings, toml_path};
use crate::glob::Globs;
use crate::json::Json;
use crate::schema::{Cache, Schema};
use crate::{Error, PolicyDenied};

/// The rules of `[tools]`.
#[derive(Clone, Debug)]
pub(crate) struct ToolRules(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    guards: Vec<Guard>,
    on_denied: OnDenied,
    check_arguments: bool,
    schemas: HashMap<String, Arc<Schema>>,
    approval_timeout: Duration,
    /// What the lists of tools come to that requests bring.
    lists: Cache<Arc<Listed>>,
    warnings: Vec<String>,
}

/// A list of tools that a request brought.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) tools: Vec<Tool>,
    /// The list as it was read, which is what is sent: a key that it has twice would be read otherwise by somebody else.
    pub(super) json: Json,
}

impl ToolRules {
    /// Check settings; `None` if they have no rule.
    ///
    /// # Errors
    /// [`Error::Config`] that names the key, what is wrong, and what would be right.
    pub(crate) fn new(settings: &ToolSettings) -> Result<Option<Self>, Error> {
        if !settings.has_rules() {
            return Ok(None);
        }
        let everyone = settings.for_all();
        let mut guards = vec![Guard::new(&["tools"], None, &everyone)?];
        let mut warnings = guards[0].warnings(everyone.allow.as_deref());
        for (name, settings) in &settings.agents {
            let at = ["tools", "agents", name];
            let agents = Globs::new(|| toml_path(at), std::slice::from_ref(name))?;
            let guard = Guard::new(&at, Some(agents), settings)?;
            warnings.extend(guard.warnings(settings.allow.as_deref()));
            guards.push(guard);
        }
        let compile = |(tool, schema): (&String, &Value)| {
            let wrong = |why| Error::config(format!("{} {why}", schema_rule(tool)));
            let schema = Schema::compile(&schema.to_string()).map_err(wrong)?;
            Ok::<_, Error>((tool.clone(), Arc::new(schema)))
        };
        Ok(Some(Self(Arc::new(Compiled {
            guards,
            on_denied: settings.on_denied,
            check_arguments: settings.check_arguments.unwrap_or(true),
            schemas: settings.schemas.iter().map(compile).collect::<Result<_, _>>()?,
            approval_timeout: Duration::from_millis(settings.approval_timeout_ms),
            lists: Cache::default(),
            warnings,
        }))))
    }

    /// Each rule that another makes pointless, in a sentence.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// How long an approval may take.
    pub(crate) fn approval_timeout(&self) -> Duration {
        self.0.approval_timeout
    }

    /// Whether tools that may not be offered are left out of a request, and not a reason to refuse it.
    pub(super) fn drops(&self) -> bool {
        self.0.on_denied == OnDenied::Drop
    }

    /// The rules that hold the calls of `agent`.
    pub(super) fn guards(&self, agent: Option<&str>) -> impl Iterator<Item = &Guard> {
        self.0.guards.iter().filter(move |guard| guard.holds(agent))
    }

    /// The tools of the list in the field `field`.
    ///
    /// # Errors
    /// [`Error::Config`] for what is no tool, and for a schema that cannot be used.
    pub(super) fn list(&self, field: &str, list: &Json) -> Result<Arc<Listed>, Error> {
        // Lists of both names are told apart by more than their text.
        let key = if field == "tools" {
            list.text().clone()
        } else {
            Text::from(format!("{field} {}", list.as_str()))
        };
        self.0.lists.get(&key, || {
            let (tools, json) = offered::read(field, list, self.0.check_arguments)?;
            Ok(Arc::new(Listed { tools, json }))
        })
    }

    /// Hold the arguments of a call of `tool` against its schemas.
    pub(super) fn check(&self, tool: &Tool, arguments: Option<&Value>) -> Result<(), PolicyDenied> {
        let own = self.0.schemas.get(&**tool.name()).map(|schema| (schema, schema_rule(tool.name())));
        let declared = tool.schema.as_ref().map(|schema| (schema, CHECK.to_owned()));
        if !self.0.check_arguments && own.is_none() {
            return Ok(());
        }
        let wrong = |rule: &str, why: &str| Err(PolicyDenied::called(rule, tool.name(), why));
        let Some(arguments) = arguments else { return wrong(CHECK, "its arguments are not valid JSON") };
        if !tool.free && !arguments.is_object() {
            return wrong(CHECK, "its arguments are no JSON object");
        }
        for (schema, rule) in own.into_iter().chain(declared) {
            let violations = schema.violations(arguments);
            if !violations.is_empty() {
                let told: Vec<_> = violations.iter().take(TOLD).map(ToString::to_string).collect();
                return wrong(&rule, &format!("its arguments do not fit the schema: {}", told.join("; ")));
            }
        }
        Ok(())
    }
}

/// The rule that arguments have to fit the schema which the request declares.
const CHECK: &str = "tools.check_arguments";
/// So many violations of arguments are told.
const TOLD: usize = 3;

fn schema_rule(tool: &str) -> String {
    toml_path(["tools", "schemas", tool])
}
