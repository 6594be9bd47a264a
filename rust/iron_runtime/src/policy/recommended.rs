//! The rules that hold where the configuration has none: keys and numbers that must not leave, and open attacks.

use super::Action;
use super::Direction::{self, Input, Output, ToolArguments, ToolResults};
use crate::config::RuleSettings;

pub(crate) fn default_rules() -> Vec<RuleSettings> {
    let rule = |name: &str, what: &[&str], directions: &[Direction], action, threshold| RuleSettings {
        name: Some(name.to_owned()),
        direction: directions.to_vec(),
        threshold: Some(threshold),
        ..RuleSettings::new(what.iter().copied(), action)
    };
    let accounts = ["CREDIT_CARD", "IBAN_CODE", "US_SSN"];
    vec![
        rule("secrets", &["API_KEY", "PRIVATE_KEY", "JWT", "CONNECTION_STRING"], &[], Action::Block, 0.9),
        rule("injection", &["prompt_injection"], &[Input, ToolResults], Action::Block, 0.9),
        rule("accounts", &accounts, &[Input, ToolArguments], Action::Redact, 0.6),
        rule("accounts told", &accounts, &[Output, ToolResults], Action::Log, 0.6),
        rule("everything else", &["*"], &[], Action::Log, 0.5),
    ]
}
