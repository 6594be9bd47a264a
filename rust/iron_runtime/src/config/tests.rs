//! What an error says, and the place that it names.

mod property;
mod template;

use std::path::Path;

use iron_protocol::NanoUsd;

use super::environment::Environment;
use super::find::Found;
use super::load::Loaded;
use super::origin::Origin;
use super::{Config, Sources, parse};
use crate::Error;

/// What a file with this text, these variables and these sources come to.
fn load(text: &str, variables: &[(&str, &str)], sources: &Sources) -> Result<Loaded, Error> {
    let environment: Environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let path = Path::new("iron.toml");
    sources.merge(environment, Some(Found { path: path.into(), tree: parse::toml(path, text)? }))
}

/// The error of a file with this text.
fn refused(text: &str) -> String {
    refused_with(text, &[], &Sources::default())
}

fn refused_with(text: &str, variables: &[(&str, &str)], sources: &Sources) -> String {
    let config = load(text, variables, sources).and_then(|loaded| Config::new(&loaded));
    config.map(drop).expect_err(text).to_string()
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
        let error = refused_with("", &[(name, value)], &Sources::default());
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn later_sources_stand_above_earlier_ones_key_by_key() {
    let text = "[timeouts]\nconnect_ms = 1\nttft_ms = 1\nidle_ms = 1\ntotal_ms = 1
        [profiles.p.timeouts]\nttft_ms = 2\nidle_ms = 2\ntotal_ms = 2";
    let variables = [("IRON_TIMEOUTS_IDLE_MS", "3"), ("IRON_TIMEOUTS_TOTAL_MS", "3"), ("IRON_PROFILE", "p")];
    let sources = Sources {
        overrides: Some(
            r#"{"timeouts": {"total_ms": 4, "idle_ms": null}, "retry": {"max_attempts": 4}}"#.into(),
        ),
        arguments: vec![("max_attempts".into(), r#"{"retry": {"max_attempts": 5}}"#.into())],
        ..Sources::default()
    };
    let settings = load(text, &variables, &sources).unwrap().settings;
    let timeouts = settings.timeouts;
    assert_eq!(
        (
            timeouts.connect_ms,
            timeouts.ttft_ms,
            timeouts.idle_ms,
            timeouts.total_ms,
            settings.retry.max_attempts
        ),
        (1, 2, 3, 4, 5)
    );
}

#[test]
fn errors_name_the_variable_the_mapping_or_the_argument() {
    let mapping = |json: &str| Sources { overrides: Some(json.into()), ..Sources::default() };
    let argument = |name: &str, json: &str| Sources {
        arguments: vec![(name.into(), json.into())],
        ..Sources::default()
    };
    for (variable, sources, expected) in [
        (
            ("IRON_LIMITS_CONCURRENCY", "0"),
            Sources::default(),
            "environment variable IRON_LIMITS_CONCURRENCY: limits.concurrency is 0",
        ),
        (
            ("IRON_LIMITS_CONCURRENCY", "many"),
            Sources::default(),
            "environment variable IRON_LIMITS_CONCURRENCY: limits.concurrency is not an integer",
        ),
        (
            ("IRON_LIMITS_ON_LIMIT", "wiat"),
            Sources::default(),
            "environment variable IRON_LIMITS_ON_LIMIT: limits.on_limit: unknown value `wiat`: did you mean `wait`?",
        ),
        (("A", ""), mapping(r#"{"budget": {"limit_usd": "-1"}}"#), "config: budget.limit_usd is negative"),
        (
            ("A", ""),
            mapping(r#"{"timeouts": {"total_sm": 5}}"#),
            "config: timeouts: unknown key `total_sm`: did you mean `total_ms`?",
        ),
        (("A", ""), mapping(r#"{"zebra": 1}"#), "config: unknown key `zebra`, expected `default_model`, "),
        (("A", ""), mapping("[]"), "config: is not a JSON object"),
        (
            ("A", ""),
            argument("budget", r#"{"budget": {"limit_usd": "-1"}}"#),
            "argument budget: budget.limit_usd is negative",
        ),
        (
            ("A", ""),
            argument("model", r#"{"default_model": 5}"#),
            "argument model: default_model is an integer: give text",
        ),
    ] {
        let error = refused_with("", &[variable], &sources);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn each_variable_that_a_vendor_s_users_have_holds_the_key() {
    let text = "budget.unpriced = 'allow'\n[providers.azure]\nbase_url = 'https://x.example'";
    for vendor in crate::provider::vendor::vendors().unwrap() {
        let model = format!("{}/m", vendor.name);
        let missing = |variables: &[(&str, &str)]| {
            let loaded = load(text, variables, &Sources::default()).unwrap();
            Config::new(&loaded).unwrap().missing_key(&model).unwrap()
        };
        assert_eq!(missing(&[]).is_none(), vendor.key_optional, "{model}");
        for variable in &vendor.key_env {
            assert_eq!(missing(&[(variable, "sk-here")]), None, "{model} {variable}");
        }
    }
}

#[test]
fn variables_name_every_setting() {
    let text = "[providers.my-vendor]\nbase_url = 'http://x'\n[prices.'my-vendor/m.1']\ninput_usd = '1'
        [models.max]\nupstreams = ['my-vendor/m.1']";
    let variables = [
        ("IRON_DEFAULT_MODEL", "max"),
        ("IRON_BUDGET_LIMIT_USD", "0.000000001"),
        ("IRON_BUDGET_UNPRICED", "allow"),
        ("IRON_RETRY_MAX_ATTEMPTS", "7"),
        ("IRON_PROVIDERS_MY_VENDOR_BASE_URL", "http://y"),
        ("IRON_PROVIDERS_MY_VENDOR_MAX_TOKENS_FIELD", "max_tokens"),
        ("IRON_PROVIDERS_OPENAI_API_KEY_ENV", "12345"),
        ("IRON_PROVIDERS_NEW_ONE_BASE_URL", "http://z"),
        ("IRON_PROVIDERS_NEW_ONE_HEADERS_TEAM", "7"),
        ("IRON_PRICES_MY_VENDOR_M_1_OUTPUT_USD", "2"),
        ("IRON_PRICES_MY_VENDOR_M_1_CONTEXT_TOKENS", "1000"),
        ("IRON_TOKEN", "somebody else's"),
    ];
    let loaded = load(text, &variables, &Sources::default()).unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.default_model.as_deref(), Some("max"));
    assert_eq!(settings.budget.limit_usd.map(NanoUsd::nanos), Some(1));
    assert_eq!(settings.budget.unpriced, super::Unpriced::Allow);
    assert_eq!(settings.retry.max_attempts, 7);
    assert_eq!(settings.providers["my-vendor"].base_url.as_deref(), Some("http://y"));
    assert_eq!(settings.providers["openai"].api_key_env.as_deref(), Some("12345"));
    assert_eq!(settings.providers["new_one"].headers["team"].reveal(), "7");
    assert_eq!(settings.prices["my-vendor/m.1"].context_tokens, Some(1_000));
    let foreign: Vec<_> = super::environment::foreign(&loaded.environment, &loaded.tree).collect();
    assert_eq!(foreign, ["IRON_TOKEN"]);
    Config::new(&loaded).unwrap();
}

#[test]
fn variables_that_are_slips_name_what_was_meant() {
    for (name, value, expected) in [
        ("IRON_BUDGTE_LIMIT_USD", "1", " is not known: did you mean IRON_BUDGET_LIMIT_USD?"),
        ("IRON_BUDGET_LIMIT", "1", " is not known: did you mean IRON_BUDGET_LIMIT_USD?"),
        (
            "IRON_PROVIDERS_MY_VENDOR_BASEURL",
            "x",
            " is not known: did you mean IRON_PROVIDERS_MY_VENDOR_BASE_URL?",
        ),
        ("IRON_RETRY_ZEBRA", "x", " is not known: it names no key of [retry]"),
        ("IRON_BUDGET_LIMIT_USD", "", " is empty"),
        ("IRON_PROFIL", "x", " is not known: did you mean IRON_PROFILE?"),
        ("IRON_PROFILE", "", " is empty"),
    ] {
        let error = refused_with("", &[(name, value)], &Sources::default());
        assert_eq!(
            error
                .strip_prefix(&format!("environment variable {name}"))
                .map(|rest| rest.starts_with(expected)),
            Some(true),
            "{error}"
        );
    }
}

#[test]
fn a_profile_is_read_whether_chosen_or_not() {
    let text = "[budget]\nlimit_usd = 1\n[profiles.production.budget]\nlimit_usd = 500\n[profiles.test]\n";
    let limit = |variables: &[(&str, &str)], profile: Option<&str>| {
        let sources = Sources { profile: profile.map(Into::into), ..Sources::default() };
        let settings = load(text, variables, &sources).unwrap().settings;
        settings.budget.limit_usd.unwrap().nanos() / 1_000_000_000
    };
    assert_eq!(limit(&[], None), 1);
    assert_eq!(limit(&[("IRON_PROFILE", "production")], None), 500);
    assert_eq!(limit(&[("IRON_PROFILE", "production")], Some("test")), 1);

    for (text, variables, expected) in [
        (
            text,
            &[("IRON_PROFILE", "prodution")][..],
            "environment variable IRON_PROFILE: unknown profile `prodution`: did you mean `production`?",
        ),
        (
            "",
            &[("IRON_PROFILE", "production")],
            "environment variable IRON_PROFILE: unknown profile `production`: the configuration has none",
        ),
        (
            "[profiles.p]\nbudgt.limit_usd = 1",
            &[],
            "iron.toml:2:1: unknown key `budgt`: did you mean `budget`?",
        ),
        ("[profiles]\np = 5", &[], "iron.toml:2:1: profiles.p is an integer: give a table"),
        ("profiles = 5", &[], "iron.toml:1:1: profiles is an integer: give a table"),
        ("[profiles.p.profiles.q]", &[], "iron.toml:1:13: profiles.p.profiles stands in a profile"),
        (
            "[profiles.p.budget]\nlimit_usd = '-1'",
            &[("IRON_PROFILE", "p")],
            "iron.toml:2:1: budget.limit_usd is negative",
        ),
        (
            "[profiles.p]\nbudget = 1\n[budget]\nlimit_usd = 1",
            &[],
            "iron.toml:2:1: budget is an integer: give a table, as iron.toml:3:2",
        ),
    ] {
        let error = refused_with(text, variables, &Sources::default());
        assert!(error.starts_with(expected), "{text}\n{error}");
    }
}
