//! Each setting in force, and where it was written.

use serde::Serialize;
use serde_json::Value;

use super::load::Loaded;
use super::origin::Origin;
use super::shape::Shape;
use super::tree::Node;
use super::wrong;

/// A setting in force.
#[derive(Debug, Serialize)]
pub struct InForce {
    /// The table it stands in, as TOML writes it; empty at the top.
    pub section: String,
    /// Its whole path, as TOML writes it.
    pub key: String,
    /// Its value; null where there is none. Secrets are hidden.
    pub value: Value,
    /// Where it was written; `None` for a default.
    pub origin: Option<Origin>,
}

/// Every setting of a section, and what is written below names of the user's.
pub(super) fn settings(loaded: &Loaded) -> Vec<InForce> {
    // Settings always have a form in JSON: their keys are text.
    let values = serde_json::to_value(&loaded.settings).unwrap_or_default();
    let mut walk = Walk { path: Vec::new(), settings: Vec::new() };
    walk.enter(values, Some(&loaded.tree), Shape::settings(), false);
    walk.settings
}

/// A walk through settings, beside the tree that they were read from.
struct Walk {
    path: Vec<String>,
    settings: Vec<InForce>,
}

impl Walk {
    /// Note a setting, or go into a table. Below a name of the user's, what was not written is left out.
    fn enter(&mut self, value: Value, node: Option<&Node>, shape: &Shape, named: bool) {
        match (value, shape) {
            // Names of which there are none, and profiles, which are none of the settings.
            (Value::Object(fields), _) if fields.is_empty() => {}
            (Value::Object(fields), Shape::Keys(_) | Shape::Names(_)) => {
                for (key, value) in fields {
                    let (shape, named) = match shape {
                        Shape::Keys(keys) => (keys.get(&key).unwrap_or(&Shape::Value), named),
                        Shape::Names(below) => (&**below, true),
                        Shape::Value => (shape, named),
                    };
                    let node = node.and_then(|node| node.get(&key));
                    self.path.push(key);
                    self.enter(value, node, shape, named);
                    self.path.pop();
                }
            }
            (value, _) if node.is_some() || !named => {
                let keys = || self.path.iter().map(String::as_str);
                self.settings.push(InForce {
                    section: wrong::path(keys().take(self.path.len().saturating_sub(1))),
                    key: wrong::path(keys()),
                    value,
                    origin: node.map(|node| node.origin.clone()),
                });
            }
            _ => {}
        }
    }
}
