//! What an error says, and the place that it names.

use std::path::Path;

use super::load::{Environment, Loaded};
use super::origin::Origin;
use super::tree::Node;
use super::{Config, parse};

/// The error of a file with this text.
fn refused(text: &str) -> String {
    let loaded = parse::toml(Path::new("iron.toml"), text)
        .map_err(Into::into)
        .and_then(|tree| Loaded::new(tree, Environment::new()));
    loaded.and_then(|loaded| Config::new(&loaded)).map(drop).expect_err(text).to_string()
}

#[test]
fn every_error_in_a_file_names_its_place() {
    for (text, expected) in [
        // Not TOML.
        ("[budget\n", "iron.toml:1:8: "),
        ("a = 1\n\n a = 2", "iron.toml:3:2: duplicate key"),
        ("é = 1; ", "iron.toml:1:1: "),
        // Names.
        ("[budgte]\nlimit_usd = 1", "iron.toml:1:2: unknown key `budgte`: did you mean `budget`?"),
        (
            "[budget]\n  limt_usd = 1",
            "iron.toml:2:3: budget: unknown key `limt_usd`: did you mean `limit_usd`?",
        ),
        (
            "limits = { on_limit = \"wiat\" }",
            "iron.toml:1:12: limits.on_limit: unknown value `wiat`: did you mean `wait`?",
        ),
        ("[limits]\non_limit = 1", "iron.toml:2:1: limits.on_limit is an integer: give `wait` or `fail`"),
        // Types.
        ("budget = 5", "iron.toml:1:1: budget is an integer: give a table"),
        (
            "[budget]\nlimit_usd = [1]",
            "iron.toml:2:1: budget.limit_usd is a list: give an amount in US dollars",
        ),
        ("[budget]\nlimit_usd = 2020-01-01", "iron.toml:2:1: budget.limit_usd is a date: give an amount"),
        (
            "[budget]\nlimit_usd = 0xffff_ffff_ffff_ffff_f",
            "iron.toml:2:1: budget.limit_usd is an integer that is too",
        ),
        (
            "[limits]\nconcurrency = -5",
            "iron.toml:2:1: limits.concurrency is -5: give an integer from 0 to 4294967295",
        ),
        (
            "[timeouts]\nidle_ms = 1.5",
            "iron.toml:2:1: timeouts.idle_ms is a number with a point: give an integer",
        ),
        ("[providers.x]\nbase_url = true", "iron.toml:2:1: providers.x.base_url is true or false: give text"),
        (
            "[providers.x.headers]\n'a b' = 1",
            "iron.toml:2:1: providers.x.headers.\"a b\" is an integer: give text",
        ),
        (
            "[models.fast]\nupstreams = [\n  'openai/gpt-5-mini',\n  7]",
            "iron.toml:4:3: models.fast.upstreams[1] is an integer",
        ),
        ("[models.fast]", "iron.toml:1:9: models.fast needs the key `upstreams`"),
        ("[prices.'x/y']\noutput_usd = '1'", "iron.toml:1:9: prices.\"x/y\" needs the key `input_usd`"),
        // Settings against each other.
        ("[budget]\nlimit_usd = '-1'", "iron.toml:2:1: budget.limit_usd is negative"),
        ("limits.concurrency = 0", "iron.toml:1:8: limits.concurrency is 0"),
        ("[retry]\ninitial_ms = 9\nmax_ms = 8", "iron.toml:2:1: retry.initial_ms is larger"),
        ("[retry]\nmax_ms = 8", "iron.toml:2:1: retry.initial_ms is larger"),
        ("\n[providers.x]\n", "iron.toml:2:12: providers.x needs base_url"),
        ("[providers.x]\nbase_url = 'ftp://x'", "iron.toml:2:1: providers.x.base_url is neither"),
        ("[providers.'x/y']", "iron.toml:1:12: providers.\"x/y\": a provider's name"),
        ("[models.\"gpt-4.1\"]\nupstreams = []", "iron.toml:2:1: models.gpt-4.1.upstreams is empty"),
        ("[models.fast]\nupstreams = ['opnai/gpt-5-mini']", "iron.toml:2:1: models.fast.upstreams: model"),
        (
            "default_model = 'openai/gpt-5-mni'\n[budget]\nunpriced = 'refuse'",
            "iron.toml:1:1: default_model: unknown model",
        ),
        ("[prices.y]\ninput_usd = '1'", "iron.toml:1:9: prices.\"y\": write the name"),
        ("[prices.'x/y']\ninput_usd = '-1'", "iron.toml:1:9: prices.\"x/y\": a price is negative"),
    ] {
        let error = refused(text);
        assert!(error.starts_with(expected), "{text}\n{error}");
    }
}

#[test]
fn secrets_are_described_and_not_quoted() {
    for text in [
        "[providers.openai]\napi_key = 481516",
        "[providers.openai]\napi_key = '481516",
        "[providers.openai]\napi_key = '481516'''",
        "[providers.openai]\napi_key = \"481516\\n\"",
        "[providers.openai]\napi_key = ['481516']",
        "[providers.openai]\napi_key = {value = '481516'}",
        "[providers.openai]\nheaders = '481516'",
        "[providers.openai]\nheaders.x-key = \"481516\\u0000\"",
        "[providers.openai]\nbase_url = 'https://u:481516@x'",
        "[providers]\nopenai = '481516'",
        "[limits]\nconcurrency = '481516'",
    ] {
        let error = refused(text);
        assert!(error.starts_with("iron.toml:2:"), "{text}\n{error}");
        assert!(!error.contains("481516"), "{text}\n{error}");
    }
}

#[test]
fn a_table_and_a_value_do_not_replace_each_other() {
    let merged = |below: &str, above: &str| {
        let mut tree = parse::toml(Path::new("iron.toml"), below).unwrap();
        tree.overlay(parse::json(&Origin::Mapping, above).unwrap()).map_err(|wrong| wrong.to_string())
    };
    assert_eq!(
        merged("budget = 5", r#"{"budget": {"limit_usd": 1}}"#).unwrap_err(),
        "iron.toml:1:1: budget is an integer: give a table, as config does"
    );
    assert_eq!(
        merged("[budget]\nlimit_usd = 1", r#"{"budget": 5}"#).unwrap_err(),
        "config: budget is an integer: give a table, as iron.toml:1:2 does"
    );
    assert!(merged("[models.a]\nupstreams = ['x/y']", r#"{"models": {"a": {"upstreams": []}}}"#).is_ok());
}

#[test]
fn what_is_wrong_with_a_variable_of_a_provider_names_the_variable() {
    for (name, value, expected) in [
        ("OPENAI_API_KEY", "sk-secret\nsk", "environment variable OPENAI_API_KEY: has characters"),
        ("OPENAI_BASE_URL", "secret", "environment variable OPENAI_BASE_URL is not a URL"),
    ] {
        let environment = Environment::from([(name.to_owned(), value.to_owned())]);
        let loaded = Loaded::new(Node::table(Origin::Mapping), environment).unwrap();
        let error = Config::new(&loaded).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
