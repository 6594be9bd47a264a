//! What a configuration allows and may not mean.

use std::path::Path;

use serde_json::Value;

use super::load::Loaded;
use super::origin::Origin;
use super::{InForce, InspectedProvider, Inspection, environment, secret, wrong};

impl Inspection {
    /// Everything that is worth a warning.
    pub(super) fn risks(&self, loaded: &Loaded) -> Vec<String> {
        let mut risks = Vec::new();
        let limited = |setting: &InForce| setting.key.starts_with("budget.") && setting.key.ends_with("_usd");
        if !self.settings.iter().any(|setting| limited(setting) && !setting.value.is_null()) {
            risks.push("no budget is set: calls may cost any amount (budget.limit_usd)".to_owned());
        }
        for upstream in self.routes.iter().flat_map(|route| &route.upstreams) {
            if upstream.input_usd.is_none() {
                let key = wrong::path(["prices", &upstream.model]);
                risks.push(format!("{} has no known price and counts as free: add [{key}]", upstream.model));
            }
        }
        let used = |provider: &&InspectedProvider| {
            let prefix = format!("{}/", provider.name);
            self.routes.iter().flat_map(|route| &route.upstreams).any(|to| to.model.starts_with(&prefix))
        };
        risks.extend(self.providers.iter().filter(used).filter_map(|provider| provider.missing_key.clone()));
        risks.extend(loaded.settings.audit.missing_key(&loaded.environment));
        risks.extend(self.keys_in_files());
        for name in environment::foreign(&loaded.environment, &loaded.tree) {
            risks.push(format!("environment variable {name} is not one of ours: it sets nothing"));
        }
        risks
    }

    fn keys_in_files(&self) -> Vec<String> {
        let keys: Vec<_> = self.settings.iter().filter(|setting| setting.is_key_in_file()).collect();
        let mut risks: Vec<_> = keys
            .iter()
            .filter_map(|key| Some((key.origin.as_ref()?, &key.key)))
            .map(|(origin, key)| {
                format!("{origin}: {key} stands in the file: name a variable by api_key_env instead")
            })
            .collect();
        if let Some(file) = self.file.as_deref().filter(|_| !keys.is_empty())
            && let Some(mode) = open_mode(file)
        {
            let file = file.display();
            risks
                .push(format!("{file} holds a key and others can read it (mode {mode:o}): chmod 600 {file}"));
        }
        risks
    }
}

impl InForce {
    fn is_key_in_file(&self) -> bool {
        let hidden = |value: &Value| value == secret::HIDDEN;
        self.value.as_array().map_or_else(|| hidden(&self.value), |values| values.iter().any(hidden))
            && matches!(self.origin, Some(Origin::File { .. }))
            && self.key.contains(".api_key")
    }
}

/// The mode of a file that its owner's group or others can read.
#[cfg(unix)]
fn open_mode(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    (mode & 0o044 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_mode(_: &Path) -> Option<u32> {
    None
}
