//! Whose calls, which models, which tools and which sizes rules speak of, and several policies at once.

use super::*;

const MAIL: &str = "to jane@example.org";

fn named(name: &str, rule: RuleSettings) -> RuleSettings {
    RuleSettings { name: Some(name.into()), ..rule }
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn calls(action: Action) -> RuleSettings {
    RuleSettings::new(Vec::<String>::new(), action)
}

/// What is done about the mail address in a call by that agent with those tags, to that model.
fn done(
    policies: &[&PolicySet],
    agent: Option<&str>,
    tags: &[&str],
    model: &str,
    upstreams: &[&str],
) -> Action {
    let who = Who::new(agent, tags).unwrap();
    let caller = Caller::new(&who, model, upstreams.iter().copied());
    let judged = Chain::new(policies.iter().copied(), &caller).judge(MAIL, Direction::Input, None);
    judged.decisions[0].action
}

fn admitted(policy: &PolicySet, agent: Option<&str>, model: &str, upstreams: &[&str]) -> Result<(), String> {
    let who = Who::new::<&str>(agent, &[]).unwrap();
    let caller = Caller::new(&who, model, upstreams.iter().copied());
    Chain::new([policy], &caller).admit(&caller).map_err(|error| error.to_string())
}

#[test]
fn a_rule_speaks_of_its_agents_and_tags_alone() {
    let policy = policy(vec![
        RuleSettings { agents: list(&["research-*"]), ..rule("*", Action::Block) },
        RuleSettings { tags: list(&["eu", "uk"]), ..rule("*", Action::Redact) },
        rule("*", Action::Log),
    ]);
    for (agent, tags, action) in [
        (Some("research-7"), &["eu"][..], Action::Block),
        (Some("planner"), &["us", "uk"], Action::Redact),
        (Some("planner"), &["us"], Action::Log),
        (None, &[], Action::Log),
    ] {
        assert_eq!(done(&[&policy], agent, tags, "m", &[]), action, "{agent:?} {tags:?}");
    }
}

#[test]
fn a_call_that_may_go_to_several_models_is_held_as_the_one_that_is_held_most() {
    let policy = policy(vec![
        RuleSettings { models: list(&["ollama/*"]), ..rule("*", Action::Allow) },
        RuleSettings { models: list(&["openai/*"]), ..rule("*", Action::Mask) },
        rule("*", Action::Block),
    ]);
    for (upstreams, action) in [
        (&["ollama/a"][..], Action::Allow),
        (&["ollama/a", "openai/b"], Action::Mask),
        (&["ollama/a", "openai/b", "xai/c"], Action::Block),
    ] {
        assert_eq!(done(&[&policy], None, &[], "fast", upstreams), action, "{upstreams:?}");
    }
}

#[test]
fn an_alias_can_be_named_and_is_lent_no_other_name() {
    let strict = policy(vec![
        RuleSettings { models: list(&["fa*"]), ..rule("*", Action::Block) },
        RuleSettings { models: list(&["*mini*"]), ..rule("*", Action::Allow) },
        rule("*", Action::Redact),
    ]);
    for (model, upstream, action) in [
        ("fast", "openai/gpt-5-mini", Action::Block),
        ("cheap", "openai/gpt-5-mini", Action::Allow),
        ("mini", "openai/gpt-5-pro", Action::Redact),
    ] {
        assert_eq!(done(&[&strict], None, &[], model, &[upstream]), action, "{model}");
    }
    let only = policy(vec![RuleSettings { not_models: list(&["*mini*", "cheap"]), ..calls(Action::Block) }]);
    assert!(admitted(&only, None, "openai/gpt-5-mini", &[]).is_ok());
    assert!(admitted(&only, None, "cheap", &["openai/gpt-5-pro"]).is_ok());
    assert!(admitted(&only, None, "mini", &["openai/gpt-5-pro"]).is_err());
    assert!(admitted(&only, None, "OpenAI/GPT-5-pro", &[]).is_err());
}

#[test]
fn an_agent_may_be_left_some_models_alone() {
    let shared = policy(vec![named(
        "cheap ones",
        RuleSettings {
            agents: list(&["intern-*"]),
            not_models: list(&["ollama/*", "openai/*-mini"]),
            ..calls(Action::Block)
        },
    )]);
    assert!(admitted(&shared, Some("intern-1"), "openai/gpt-5-mini", &[]).is_ok());
    assert!(admitted(&shared, Some("senior"), "openai/gpt-5", &[]).is_ok());
    let refused =
        admitted(&shared, Some("intern-1"), "fast", &["openai/gpt-5-mini", "openai/gpt-5"]).unwrap_err();
    assert_eq!(
        refused,
        "rule \"cheap ones\" refuses the call: agent \"intern-1\" may not use \"openai/gpt-5\", an upstream of \"fast\"; \
         ask for a model that the policy lets it use"
    );
    let listed = policy(vec![
        RuleSettings { agents: list(&["a"]), models: list(&["xai/*"]), ..calls(Action::Allow) },
        RuleSettings { models: list(&["*"]), ..calls(Action::Block) },
    ]);
    assert!(admitted(&listed, Some("a"), "xai/grok", &[]).is_ok());
    assert!(admitted(&listed, Some("b"), "xai/grok", &[]).is_err());
    assert!(admitted(&listed, None, "xai/grok", &[]).is_err());
}

#[test]
fn a_rule_for_tools_speaks_of_them_and_one_that_acts_of_those_it_cannot_tell() {
    let acts = policy(vec![RuleSettings { tools: list(&["web_*"]), ..rule("*", Action::Redact) }]);
    let lets = policy(vec![
        RuleSettings { tools: list(&["web_*"]), ..rule("*", Action::Allow) },
        rule("*", Action::Block),
    ]);
    let who = Who::default();
    let caller = Caller::new(&who, "m", []);
    for (tool, direction, redacted, blocked) in [
        (Some("web_search"), Direction::ToolResults, true, false),
        (Some("web_search"), Direction::ToolArguments, true, false),
        (Some("shell"), Direction::ToolResults, false, true),
        (None, Direction::ToolResults, true, true),
        (None, Direction::Input, false, true),
    ] {
        let judge = |policy| Chain::new([policy], &caller).judge(MAIL, direction, tool);
        assert_eq!(judge(&acts).text.is_some(), redacted, "{tool:?}");
        assert_eq!(judge(&lets).blocked().is_some(), blocked, "{tool:?}");
    }
}

#[test]
fn sizes_of_a_text_and_of_all_of_them() {
    let size = |action, most, total| RuleSettings {
        max_bytes: most,
        max_total_bytes: total,
        ..rule("size", action)
    };
    let policy = policy(vec![
        size(Action::Block, Some(100), None),
        RuleSettings { direction: vec![Direction::Input], ..size(Action::Log, None, Some(50)) },
    ]);
    let (who, mut totals) = (Who::default(), Totals::default());
    let chain = Chain::new([&policy], &Caller::new(&who, "m", []));
    let mut measure = |bytes: usize, direction| {
        chain.measure(bytes, direction, None, &mut totals).map(|decision| decision.action)
    };
    assert_eq!(measure(30, Direction::Input), None);
    assert_eq!(measure(30, Direction::ToolResults), None, "counts where its rule speaks");
    assert_eq!(measure(20, Direction::Input), None);
    assert_eq!(measure(1, Direction::Input), Some(Action::Log));
    assert_eq!(measure(1, Direction::Input), None, "told once");
    assert_eq!(measure(101, Direction::Output), Some(Action::Block));
}

#[test]
fn the_strictest_of_several_policies_holds_and_what_each_looks_for_is_its_own() {
    let keywords = |word: &str, action| {
        PolicySet::new(&PolicySettings {
            keywords: [("names".to_owned(), list(&[word]))].into(),
            rules: vec![rule("keyword:names", action), rule("EMAIL_ADDRESS", Action::Log)],
            ..PolicySettings::default()
        })
        .unwrap()
    };
    let (inner, outer) = (keywords("jane", Action::Allow), keywords("to", Action::Redact));
    let anything = policy(vec![rule("*", Action::Allow)]);
    let hashing = policy(vec![rule("EMAIL_ADDRESS", Action::Hash)]);
    let who = Who::default();
    let chain = Chain::new([&anything, &inner, &hashing, &outer], &Caller::new(&who, "m", []));
    let judged = chain.judge(MAIL, Direction::Input, None);
    let told: Vec<_> =
        judged.decisions.iter().map(|one| (one.finding.entity.to_string(), one.action)).collect();
    assert_eq!(
        told,
        [
            ("keyword:names".to_owned(), Action::Redact),
            ("keyword:names".to_owned(), Action::Allow),
            ("EMAIL_ADDRESS".to_owned(), Action::Hash),
        ]
    );
    assert!(judged.text.unwrap().starts_with("[keyword:names] [EMAIL_ADDRESS:"));
    assert_eq!(done(&[&anything, &hashing], None, &[], "m", &[]), Action::Hash);
    assert_eq!(done(&[&hashing, &anything], None, &[], "m", &[]), Action::Hash);
}

#[test]
fn rules_that_cannot_mean_anything_are_refused() {
    let wrong = |rule| {
        PolicySet::new(&PolicySettings { rules: vec![rule], ..PolicySettings::default() })
            .unwrap_err()
            .to_string()
    };
    let size = || RuleSettings { max_bytes: Some(1), ..rule("size", Action::Block) };
    let agent = |action| RuleSettings { agents: list(&["a"]), ..calls(action) };
    let tools = |to| RuleSettings { tools: list(&["t"]), direction: vec![to], ..rule("*", Action::Log) };
    for (rule, told) in [
        (calls(Action::Block), "what is empty"),
        (agent(Action::Redact), "action must be \"allow\" or \"block\""),
        (RuleSettings { tools: list(&["t"]), ..agent(Action::Block) }, "direction and tools have no meaning"),
        (RuleSettings { action: Action::Mask, ..size() }, "a size cannot be rewritten"),
        (RuleSettings { threshold: Some(0.5), ..size() }, "threshold has no meaning"),
        (RuleSettings { max_bytes: None, ..size() }, "\"size\" stands alone"),
        (RuleSettings { what: list(&["size", "pii"]), ..size() }, "\"size\" stands alone"),
        (RuleSettings { max_bytes: Some(1), ..rule("pii", Action::Log) }, "what must be [\"size\"]"),
        (tools(Direction::Input), "tools has no meaning for direction \"input\""),
        (RuleSettings { models: list(&["a", ""]), ..agent(Action::Block) }, "models[1] is empty"),
    ] {
        let error = wrong(rule);
        assert!(error.starts_with("policy.rules[0].") && error.contains(told), "{error}");
    }
}

#[test]
fn what_can_never_decide_is_told() {
    let told =
        |rules: Vec<RuleSettings>| policy(rules).warnings(Some(&list(&["openai/gpt-5", "xai/grok", "fast"])));
    let of = |agents: &[&str], models: &[&str], action| RuleSettings {
        agents: list(agents),
        models: list(models),
        ..rule("pii", action)
    };
    let size = |most| RuleSettings { max_bytes: Some(most), ..rule("size", Action::Log) };
    for (rules, expected) in [
        (vec![of(&["a*"], &[], Action::Log), of(&["ab"], &[], Action::Block)], 1),
        (vec![of(&["ab"], &[], Action::Log), of(&["a*"], &[], Action::Block)], 0),
        (vec![of(&[], &["openai/*"], Action::Log), of(&["a"], &["openai/gpt-5"], Action::Block)], 1),
        // An alias may be called so, which the first would not speak of.
        (vec![of(&[], &["f*"], Action::Log), of(&[], &["fast"], Action::Block)], 0),
        (vec![of(&[], &["f*"], Action::Redact), of(&[], &["fast"], Action::Block)], 1),
        (vec![size(10), size(20)], 1),
        (vec![size(20), size(10)], 0),
        (vec![of(&[], &["opnai/*"], Action::Log)], 1),
        (vec![RuleSettings { threshold: Some(0.7), ..rule("URL", Action::Log) }], 1),
        (vec![RuleSettings { threshold: Some(0.6), ..rule("URL", Action::Log) }], 0),
        (vec![RuleSettings { tools: list(&["a"]), ..rule("*", Action::Log) }, rule("*", Action::Block)], 0),
        (vec![rule("*", Action::Log), RuleSettings { tools: list(&["a"]), ..rule("*", Action::Block) }], 1),
    ] {
        let warnings = told(rules.clone());
        assert_eq!(warnings.len(), expected, "{rules:?}: {warnings:?}");
    }
}
