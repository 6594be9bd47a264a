//! Rules on tools, without a call around them.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tally::Claim;
use super::*;
use crate::call::{ChatRequest, Message};
use crate::config::ToolSettings;
use crate::json::Json;
use crate::{Error, PolicyDenied};

fn rules(settings: Value) -> ToolRules {
    ToolRules::new(&serde_json::from_value::<ToolSettings>(settings).unwrap()).unwrap().unwrap()
}

fn wrong(settings: Value) -> String {
    ToolRules::new(&serde_json::from_value::<ToolSettings>(settings).unwrap()).unwrap_err().to_string()
}

fn request(fields: Value) -> ChatRequest {
    let mut request = ChatRequest::new("sim/m", vec![Message::user("x")]);
    let Value::Object(fields) = fields else { unreachable!() };
    for (name, value) in fields {
        request.params.push((name.into(), Json::from_value(&value).unwrap()));
    }
    request
}

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}})
}

fn offer(rules: &ToolRules, fields: Value, agent: Option<&str>) -> Result<Offer, Error> {
    rules.offer(&mut request(fields), agent.map(Into::into), &mut Vec::new())
}

fn refused(rules: &ToolRules, fields: Value, agent: Option<&str>) -> (String, String) {
    match offer(rules, fields, agent).unwrap_err() {
        Error::PolicyDenied(denied) => (denied.rule.to_string(), denied.tool.unwrap_or_default().to_string()),
        other => panic!("{other:?}"),
    }
}

fn body(calls: &[(&str, &str)]) -> Vec<u8> {
    let call = |(name, arguments): &(&str, &str)| json!({"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}});
    let calls: Vec<_> = calls.iter().map(call).collect();
    json!({"choices": [{"message": {"role": "assistant", "tool_calls": calls}}]}).to_string().into()
}

fn judge(offer: &Offer, calls: &[(&str, &str)], tally: &Arc<Tally>) -> Result<(), PolicyDenied> {
    offer.judge(&called(&body(calls)).unwrap(), tally).map(Claim::keep)
}

#[test]
fn nothing_written_is_no_rule() {
    for settings in [json!({}), json!({"approval_timeout_ms": 5}), json!({"check_arguments": false})] {
        let settings: ToolSettings = serde_json::from_value(settings).unwrap();
        assert!(ToolRules::new(&settings).unwrap().is_none());
    }
}

#[test]
fn wrong_settings_name_the_key() {
    assert_eq!(wrong(json!({"deny": [""]})), "tools.deny[0] is empty: write a name, or \"*\" for all");
    assert!(wrong(json!({"limits": {"db_*": 0}})).starts_with("tools.limits.\"db_*\" is 0"));
    assert!(wrong(json!({"per_run": 0})).starts_with("tools.per_run is 0"));
    assert!(
        wrong(json!({"agents": {"a*": {"max_repeats": 0}}})).starts_with("tools.agents.\"a*\".max_repeats")
    );
    assert!(
        wrong(json!({"schemas": {"pay": {"type": "strin"}}}))
            .starts_with("tools.schemas.pay is no JSON Schema")
    );
    let pointless = rules(json!({"allow": ["db_read", "search"], "deny": ["db_*"]}));
    assert_eq!(pointless.warnings(), ["tools.allow has \"db_read\", which tools.deny takes back"]);
}

#[test]
fn deny_wins_over_allow_and_what_is_not_allowed_is_refused() {
    let rules = rules(json!({"allow": ["search", "db_*"], "deny": ["*_drop"]}));
    assert!(offer(&rules, json!({"tools": [function("search"), function("db_read")]}), None).is_ok());
    let tools = |name| json!({"tools": [function("search"), function(name)]});
    assert_eq!(refused(&rules, tools("db_drop"), None), ("tools.deny".into(), "db_drop".into()));
    assert_eq!(refused(&rules, tools("DB_DROP"), None), ("tools.deny".into(), "DB_DROP".into()));
    assert_eq!(refused(&rules, tools("mail"), None), ("tools.allow".into(), "mail".into()));
    let functions = json!({"functions": [{"name": "mail", "parameters": {}}]});
    assert_eq!(refused(&rules, functions, None), ("tools.allow".into(), "mail".into()));
    let nothing = super::tests::rules(json!({"allow": []}));
    assert_eq!(refused(&nothing, tools("mail"), None), ("tools.allow".into(), "search".into()));
}

#[test]
fn rules_of_an_agent_are_passed_beside_those_of_all() {
    let rules = rules(json!({"deny": ["x"], "agents": {"research-*": {"allow": ["search"]}}}));
    let tools = json!({"tools": [function("mail")]});
    assert!(offer(&rules, tools.clone(), None).is_ok());
    assert!(offer(&rules, tools.clone(), Some("writer")).is_ok());
    let told = refused(&rules, tools, Some("research-1"));
    assert_eq!(told, ("tools.agents.\"research-*\".allow".into(), "mail".into()));
    assert_eq!(refused(&rules, json!({"tools": [function("x")]}), Some("research-1")).0, "tools.deny");
}

#[test]
fn tools_that_the_provider_runs_are_held_by_name_and_by_type() {
    let search = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    for (settings, fields, refusing) in [
        (json!({"deny": ["web_search"]}), search.clone(), Some("tools.deny")),
        (json!({"deny": ["web_search_*"]}), search.clone(), Some("tools.deny")),
        (json!({"allow": ["web_search"]}), search.clone(), None),
        (json!({"allow": ["search"]}), search.clone(), Some("tools.allow")),
        // Nobody sees a call of it before it is made.
        (json!({"require_approval": ["web_search"]}), search.clone(), Some("tools.require_approval")),
        (json!({"limits": {"web_*": 3}}), search.clone(), Some("tools.limits.\"web_*\"")),
        (json!({"per_run": 3}), search, None),
        (json!({"deny": ["web_search"]}), json!({"web_search_options": {}}), Some("tools.deny")),
        (json!({"allow": []}), json!({"web_search_options": null}), None),
        (json!({"allow": ["a"]}), json!({"mcp_servers": [{"url": "https://x"}]}), Some("tools.allow")),
        (json!({"deny": ["google_search"]}), json!({"tools": [{"google_search": {}}]}), Some("tools.deny")),
        // The caller runs it.
        (
            json!({"require_approval": ["bash"]}),
            json!({"tools": [{"type": "bash_20250124", "name": "bash"}]}),
            None,
        ),
        (json!({"limits": {"x": 1}}), json!({"tools": [{"name": "x", "input_schema": {}}]}), None),
    ] {
        let offered = offer(&rules(settings.clone()), fields.clone(), None);
        let refused = offered.err().map(|error| match error {
            Error::PolicyDenied(denied) => denied.rule.to_string(),
            other => panic!("{settings} {fields}: {other}"),
        });
        assert_eq!(refused.as_deref(), refusing, "{settings} {fields}");
    }
}

#[test]
fn what_is_no_tool_is_refused_with_its_place() {
    let rules = rules(json!({"deny": ["x"]}));
    for (tools, told) in [
        (json!({}), "tools is no list"),
        (json!([1]), "tools[0] is no table"),
        (json!([function("a"), {"type": "function", "function": {}}]), "tools[1] has no name"),
        (json!([{"type": "web_search", "function": {"name": "a"}}]), "tools[0] has \"function\", and a type"),
        (
            json!([{"type": "function", "function": {"name": "a", "parameters": {"type": "strin"}}}]),
            "tools[0]: what its arguments have to fit is no JSON Schema",
        ),
    ] {
        let error = offer(&rules, json!({"tools": tools}), None).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn a_tool_that_is_left_out_leaves_a_request_that_makes_sense() {
    let rules = rules(json!({"allow": ["search"], "on_denied": "drop"}));
    let drop = |fields: Value| {
        let (mut request, mut warnings) = (request(fields), Vec::new());
        rules.offer(&mut request, None, &mut warnings)?;
        let fields = request.params.iter().map(|(name, json)| format!("{name}={}", json.as_str()));
        Ok::<_, Error>((fields.collect::<Vec<_>>(), warnings))
    };
    let (fields, warnings) =
        drop(json!({"tools": [function("search"), function("mail")], "tool_choice": "required"})).unwrap();
    assert_eq!(fields, [format!("tools=[{}]", function("search")), "tool_choice=\"required\"".into()]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("\"mail\"") && warnings[0].contains("tools.allow"), "{warnings:?}");

    let (fields, _) = drop(json!({
        "tools": [function("mail")], "web_search_options": {}, "tool_choice": "auto",
        "parallel_tool_calls": false, "seed": 1,
    }))
    .unwrap();
    assert_eq!(fields, ["seed=1"]);

    let chosen = json!({"type": "function", "function": {"name": "mail"}});
    assert!(drop(json!({"tools": [function("search"), function("mail")], "tool_choice": chosen})).is_err());
    assert!(drop(json!({"tools": [function("mail")], "tool_choice": "required"})).is_err());
}

#[test]
fn what_is_judged_is_what_is_sent() {
    let rules = rules(json!({"deny": ["mail"]}));
    let mut request = request(json!({}));
    // Other readers take the first of two keys.
    let twice = r#"[{"type": "function", "function": {"name": "mail", "name": "search"}}]"#;
    request.params.push(("tools".into(), Json::parse(twice).unwrap()));
    rules.offer(&mut request, None, &mut Vec::new()).unwrap();
    assert_eq!(request.params[0].1.as_str(), r#"[{"type":"function","function":{"name":"search"}}]"#);
}

#[test]
fn arguments_fit_the_schema_that_was_declared_and_the_one_that_is_configured() {
    let schema = json!({"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]});
    let tools = json!({"tools": [{"type": "function", "function": {"name": "send", "parameters": schema}},
        function("ping"), {"type": "custom", "custom": {"name": "sql"}}]});
    let with = json!({"schemas": {"send": {"properties": {"to": {"format": "email"}}}}});
    let (checking, configured) = (rules(json!({"check_arguments": true})), rules(with.clone()));
    let only = rules(json!({"schemas": with["schemas"], "check_arguments": false}));
    let told = |rules: &ToolRules, name, arguments| {
        let judged =
            judge(&offer(rules, tools.clone(), None).unwrap(), &[(name, arguments)], &Arc::default());
        judged.err().map(|denied| denied.to_string()).unwrap_or_default()
    };
    let malformed =
        "rule \"tools.check_arguments\" refuses the tool \"send\": its arguments are not valid JSON";
    for (rules, name, arguments, expected) in [
        (&checking, "send", r#"{"to": "x"}"#, ""),
        (&checking, "ping", "", ""),
        (
            &checking,
            "send",
            r#"{"to": 1}"#,
            "its arguments do not fit the schema: to: the value is not of type \"string\"",
        ),
        (&checking, "send", "{}", "\"to\" is a required property"),
        (&checking, "send", "", "\"to\" is a required property"),
        (&checking, "send", r#"{"to": "#, malformed),
        (&checking, "send", "[]", "its arguments are no JSON object"),
        (&checking, "sned", "{}", "rule \"tools\" refuses the tool \"sned\": the request does not offer it"),
        (&checking, "{to: 1}", "{}", "rule \"tools\" refuses the call: the request does not offer it"),
        (&configured, "send", r#"{"to": "x"}"#, "rule \"tools.schemas.send\" refuses"),
        (&configured, "send", r#"{"to": "a@example.org"}"#, ""),
        (&only, "send", r#"{"to": "x"}"#, "rule \"tools.schemas.send\" refuses"),
        (&only, "send", r#"{"to": 1}"#, ""),
        (&only, "ping", "not JSON", ""),
    ] {
        let told = told(rules, name, arguments);
        assert!(
            told.contains(expected) && told.is_empty() == expected.is_empty(),
            "{name}({arguments}): {told}"
        );
    }
    let free = json!({"choices": [{"message": {"tool_calls": [{"type": "custom", "custom": {"name": "sql", "input": "select 1"}}]}}]});
    let calls = called(free.to_string().as_bytes()).unwrap();
    assert!(offer(&checking, tools, None).unwrap().judge(&calls, &Arc::default()).is_ok());
}

#[test]
fn calls_of_every_form_and_choice_are_found() {
    let body = json!({"choices": [
        {"message": {"content": "x", "tool_calls": null}},
        {"message": {"tool_calls": [{"function": {"name": "a", "arguments": "{}"}}, {"function": {"name": "b", "arguments": {"x": 1}}}]}},
        {"message": {"function_call": {"name": "c"}}},
    ]});
    let names: Vec<_> =
        called(body.to_string().as_bytes()).unwrap().into_iter().map(|call| call.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for message in [
        json!({"tool_calls": {}}),
        json!({"tool_calls": [{"type": "shell", "shell": {"command": "x"}}]}),
        json!({"tool_calls": [{"function": {"name": ""}}]}),
        json!({"function_call": "x"}),
    ] {
        let body = json!({"choices": [{"message": message}]}).to_string();
        let denied = called(body.as_bytes()).err().unwrap();
        assert_eq!((&*denied.rule, denied.tool), ("tools", None), "{body}");
    }
}

#[test]
fn limits_count_what_a_rule_names_together_and_a_run_as_a_whole() {
    let rules = rules(json!({"limits": {"db_*": 2}, "per_run": 4}));
    let tools = json!({"tools": [function("db_read"), function("db_list"), function("mail")]});
    let (offer, tally) = (offer(&rules, tools, None).unwrap(), Arc::<Tally>::default());
    judge(&offer, &[("db_read", "{}")], &tally).unwrap();
    // Two at once, of which one is too many: neither counts.
    let denied = judge(&offer, &[("mail", "{}"), ("db_list", "1"), ("db_read", "2")], &tally).unwrap_err();
    assert_eq!(denied.rule.as_ref(), "tools.check_arguments");
    let denied = judge(&offer, &[("mail", "{}"), ("db_list", "{}"), ("db_read", "{}")], &tally).unwrap_err();
    assert_eq!((&*denied.rule, denied.tool.as_deref()), ("tools.limits.\"db_*\"", Some("db_read")));
    judge(&offer, &[("mail", "{}"), ("db_list", "{}")], &tally).unwrap();
    assert!(judge(&offer, &[("db_list", "{}")], &tally).is_err());
    judge(&offer, &[("mail", "{}")], &tally).unwrap();
    let denied = judge(&offer, &[("mail", "{}")], &tally).unwrap_err();
    assert_eq!((&*denied.rule, denied.tool.as_deref()), ("tools.per_run", Some("mail")));
    // Another run has counts of its own.
    judge(&offer, &[("mail", "{}")], &Arc::default()).unwrap();
}

#[test]
fn a_claim_that_is_dropped_counts_nothing() {
    let rules = rules(json!({"per_run": 1, "max_repeats": 1}));
    let offer = offer(&rules, json!({"tools": [function("mail")]}), None).unwrap();
    let tally = Arc::<Tally>::default();
    let calls = called(&body(&[("mail", "{}")])).unwrap();
    for _ in 0..3 {
        let claim = offer.judge(&calls, &tally).unwrap();
        assert!(offer.judge(&calls, &tally).is_err(), "while it may still count");
        drop(claim);
    }
    offer.judge(&calls, &tally).unwrap().keep();
    assert!(offer.judge(&calls, &tally).is_err());
}

#[test]
fn the_same_call_again_and_again_is_a_loop() {
    let rules = rules(json!({"max_repeats": 2}));
    let offer = offer(&rules, json!({"tools": [function("search")]}), None).unwrap();
    let tally = Arc::<Tally>::default();
    judge(&offer, &[("search", r#"{"q": "tea", "n": 2}"#)], &tally).unwrap();
    judge(&offer, &[("search", r#"{"n":2.0,"q":"t\u0065a"}"#)], &tally).unwrap();
    judge(&offer, &[("search", r#"{"q": "tea", "n": "2"}"#)], &tally).unwrap();
    let denied = judge(&offer, &[("search", r#" {"n": 2e0, "q": "tea"} "#)], &tally).unwrap_err();
    assert_eq!(&*denied.rule, "tools.max_repeats");
    assert!(denied.reason.contains("2 times with the same arguments"), "{denied}");
    let twice = [("search", "{}"), ("search", "{}"), ("search", "{}")];
    assert!(judge(&offer, &twice, &tally).is_err(), "three at once are three");
    judge(&offer, &twice[..2], &tally).unwrap();
}

#[test]
fn a_limit_is_never_passed_by_many_at_once() {
    let rules = rules(json!({"limits": {"search": 10}}));
    let offer = Arc::new(offer(&rules, json!({"tools": [function("search")]}), None).unwrap());
    let tally = Arc::<Tally>::default();
    let passed: usize = std::thread::scope(|scope| {
        let one = || (0..125).filter(|_| judge(&offer, &[("search", "{}")], &tally).is_ok()).count();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 10);
}

/// A JSON value, with numbers that have several forms.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1_000i32..1_000).prop_map(|number| json!(f64::from(number) / 8.0)),
        "[a-z\"\\\\{}:,é ]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The same value, written otherwise: keys in reverse, integers with a fraction, space around.
fn otherwise(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            format!("[ {} ]", values.iter().map(otherwise).collect::<Vec<_>>().join(" , "))
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().rev().map(|(key, value)| format!("{} : {}", json!(key), otherwise(value)));
            format!("{{\n{} }}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Number(number) if number.is_i64() => format!("{number}.0"),
        other => other.to_string(),
    }
}

fn print(arguments: &str) -> [u8; 32] {
    called(&body(&[("t", arguments)])).unwrap()[0].fingerprint()
}

proptest! {
    #[test]
    fn arguments_are_the_same_however_they_are_written(value in value()) {
        prop_assert_eq!(print(&value.to_string()), print(&otherwise(&value)));
    }

    #[test]
    fn other_arguments_are_other_calls(a in value(), b in value()) {
        let same = |a: &Value, b: &Value| {
            // As JSON Schema compares: 2 and 2.0 are one number, and keys have no order.
            fn canon(value: &Value) -> Value {
                match value {
                    Value::Array(values) => values.iter().map(canon).collect(),
                    Value::Object(fields) => {
                        let sorted: std::collections::BTreeMap<_, _> = fields.iter().map(|(k, v)| (k.clone(), canon(v))).collect();
                        Value::Object(sorted.into_iter().collect())
                    }
                    Value::Number(number) => json!(number.as_f64()),
                    other => other.clone(),
                }
            }
            canon(a) == canon(b)
        };
        prop_assert_eq!(print(&a.to_string()) == print(&b.to_string()), same(&a, &b));
    }

    #[test]
    fn a_loop_is_found_at_its_turn(most in 1u32..6, turns in prop::collection::vec(0usize..3, 1..40)) {
        let rules = rules(json!({"max_repeats": most}));
        let offer = offer(&rules, json!({"tools": [function("t")]}), None).unwrap();
        let tally = Arc::<Tally>::default();
        let mut made = [0u32; 3];
        for turn in turns {
            let passed = judge(&offer, &[("t", &json!({"turn": turn}).to_string())], &tally).is_ok();
            prop_assert_eq!(passed, made[turn] < most);
            made[turn] += u32::from(passed);
        }
    }
}
