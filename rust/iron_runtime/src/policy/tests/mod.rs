//! Rules in order, actions on text, and what is wrong with settings.

mod calls;

use super::*;
use crate::config::RuleSettings;

fn rule(what: &str, action: Action) -> RuleSettings {
    RuleSettings::new([what], action)
}

fn policy(rules: Vec<RuleSettings>) -> PolicySet {
    PolicySet::new(&PolicySettings { rules, ..PolicySettings::default() }).unwrap()
}

fn after(rules: Vec<RuleSettings>, text: &str) -> String {
    policy(rules).judge(text, Direction::Input).text.unwrap_or_else(|| text.to_owned())
}

#[test]
fn the_first_rule_that_applies_decides() {
    let rules = || {
        vec![
            rule("CREDIT_CARD", Action::Mask),
            rule("pii", Action::Redact),
            RuleSettings { direction: vec![Direction::Output], ..rule("*", Action::Block) },
        ]
    };
    let text = "Pay 4111 1111 1111 1111, write to a.b@example.org, at https://example.org.";
    assert_eq!(
        after(rules(), text),
        "Pay **** **** **** 1111, write to [EMAIL_ADDRESS], at https://example.org."
    );
    assert!(policy(rules()).judge(text, Direction::Input).blocked().is_none());
    let judged = policy(rules()).judge(text, Direction::Output);
    let blocked = judged.blocked().unwrap();
    assert_eq!(
        (blocked.finding.entity.to_string(), blocked.rule.as_deref()),
        ("URL".into(), Some("policy.rules[2]"))
    );
}

#[test]
fn a_hash_is_the_same_for_the_same_text_and_one_policy() {
    let policy = policy(vec![rule("EMAIL_ADDRESS", Action::Hash)]);
    let text = policy.judge("a@example.org b@example.org a@example.org", Direction::Input).text.unwrap();
    let hashes: Vec<&str> = text.split(' ').collect();
    assert_eq!(hashes[0], hashes[2]);
    assert_ne!(hashes[0], hashes[1]);
    assert!(!text.contains("example"));
}

#[test]
fn overlapping_findings_get_the_strictest_action() {
    let settings = PolicySettings {
        keywords: [("names".to_owned(), vec!["example.org".to_owned()])].into(),
        rules: vec![rule("keyword:names", Action::Redact), rule("EMAIL_ADDRESS", Action::Mask)],
        ..PolicySettings::default()
    };
    let judged = PolicySet::new(&settings).unwrap().judge("to jane@example.org now", Direction::Input);
    assert_eq!(judged.text.unwrap(), "to [keyword:names] now");
}

#[test]
fn pseudonyms_are_placeholders_on_the_way_to_a_model_alone() {
    let policy =
        policy(vec![rule("EMAIL_ADDRESS", Action::Pseudonymize), rule("EMAIL_ADDRESS", Action::Log)]);
    let judged = |text, direction| policy.judge(text, direction);
    let text = "a@example.org, b@example.org, a@example.org";
    let placeholders = "[EMAIL_ADDRESS_1], [EMAIL_ADDRESS_2], [EMAIL_ADDRESS_1]";
    for direction in [Direction::Input, Direction::ToolResults] {
        assert_eq!(judged(text, direction).text.as_deref(), Some(placeholders), "{direction:?}");
    }
    for direction in [Direction::Output, Direction::ToolArguments] {
        let judged = judged(text, direction);
        assert!(judged.text.is_none() && judged.decisions[0].action == Action::Log, "{direction:?}");
    }
    let crowd: Vec<_> = (0..=10_000).map(|nth| format!("{nth}@example.org")).collect();
    let shown = judged(&crowd.join(" "), Direction::Input).text.unwrap();
    assert!(shown.starts_with("[EMAIL_ADDRESS] [EMAIL_ADDRESS]"), "what no scope holds is redacted");

    for direction in [Direction::Output, Direction::ToolArguments] {
        let both = RuleSettings {
            direction: vec![Direction::Input, direction],
            ..rule("pii", Action::Pseudonymize)
        };
        let settings = PolicySettings { rules: vec![both], ..PolicySettings::default() };
        let error = PolicySet::new(&settings).unwrap_err().to_string();
        let told =
            format!("has no meaning for direction {:?}, where placeholders are restored", direction.as_str());
        assert!(error.starts_with("policy.rules[0].action") && error.contains(&told), "{error}");
    }
}

#[test]
fn what_never_comes_back_is_stricter_than_a_pseudonym_and_what_shows_less_than_a_mask() {
    use Action::{Allow, Block, Hash, Log, Mask, Pseudonymize, Redact};
    assert!([Allow, Log, Mask, Pseudonymize, Hash, Redact, Block].is_sorted());
}

#[test]
fn wrong_rules_say_what_and_where() {
    let wrong = |settings: PolicySettings| PolicySet::new(&settings).unwrap_err().to_string();
    let one = |rule| PolicySettings { rules: vec![rule], ..PolicySettings::default() };
    let error = wrong(one(rule("CREDIT_CRD", Action::Log)));
    assert!(
        error.contains("policy.rules[0].what: unknown entity \"CREDIT_CRD\": did you mean \"CREDIT_CARD\"?"),
        "{error}"
    );
    let error = wrong(one(RuleSettings { threshold: Some(1.5), ..rule("*", Action::Log) }));
    assert!(error.contains("policy.rules[0].threshold is 1.5"), "{error}");
    let error = wrong(one(rule("keyword:x", Action::Log)));
    assert!(error.contains("there is no list policy.keywords.x"), "{error}");
    let settings =
        PolicySettings { patterns: [("x".into(), "(".into())].into(), ..PolicySettings::default() };
    assert!(wrong(settings).contains("policy.patterns.x"));
}

#[test]
fn a_rule_below_one_that_takes_everything_is_told() {
    let policy =
        policy(vec![rule("pii", Action::Log), rule("US_SSN", Action::Block), rule("URL", Action::Log)]);
    let warnings = policy.warnings(None);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("policy.rules[1]") && warnings[0].contains("says log"), "{warnings:?}");
}

#[test]
fn the_default_rules_are_sound() {
    let policy = policy(default_rules());
    assert_eq!(policy.warnings(None), Vec::<String>::new());
    let judged = policy.judge("key AKIAQ3EGRZ2VMX7LTWHB", Direction::Input);
    assert_eq!(judged.blocked().and_then(|decision| decision.rule.as_deref()), Some("secrets"));
}
