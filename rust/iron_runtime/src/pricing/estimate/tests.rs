use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::contents::PROMPT_TOKENS;
use super::*;
use crate::call::{Content, Message, Part, Role, Usage};
use crate::json::Json;
use crate::pricing::{Catalog, Fees, ImageRule, LongContext, ModelKind, cost};

fn price(name: &str) -> Arc<ModelPrice> {
    Catalog::default().get(name).unwrap().unwrap()
}

fn request(text: &str) -> ChatRequest {
    ChatRequest::new("openai/gpt-5-mini", vec![Message::user(text.to_owned())])
}

#[test]
fn an_explicit_bound_is_reserved_exactly() {
    let mini = price("openai/gpt-5-mini");
    let mut request = request("hello");
    request.max_tokens = Some(100);
    request.n = Some(3);
    let bound = ChatBound::new(&request, Some(&mini), 256).unwrap();
    let ask = bound.ask();
    assert_eq!(ask.least, ask.most);
    let tokens = 5 + MESSAGE_TOKENS + PROMPT_TOKENS;
    assert_eq!(ask.most.nanos(), i64::try_from(tokens).unwrap() * 250 + 3 * 100 * 2_000);
    assert_eq!(bound.lowered(ask.most), None);
}

#[test]
fn without_one_the_published_maximum_stands_and_may_be_lowered() {
    let mini = price("openai/gpt-5-mini");
    let bound = ChatBound::new(&request("hello"), Some(&mini), 256).unwrap();
    let ask = bound.ask();
    assert_eq!(ask.most, bound.bound.with_output(128_000));
    assert_eq!(ask.least, bound.bound.with_output(256));
    assert_eq!(bound.lowered(ask.most), None);
    assert_eq!(bound.lowered(ask.least), Some(256));
}

#[test]
fn a_file_is_bounded_by_the_context() {
    let mini = price("openai/gpt-5-mini");
    let file = Part::Other(Json::parse(r#"{"type":"file","file":{"file_id":"x"}}"#).unwrap());
    let message = Message { role: Role::User, content: Content::Parts(vec![file]), extra: vec![] };
    let request = ChatRequest::new("openai/gpt-5-mini", vec![message]);
    let bound = ChatBound::new(&request, Some(&mini), 256).unwrap();
    assert_eq!(Some(bound.bound.input_tokens), mini.context_tokens);
}

#[test]
fn sound_files_and_tools_of_the_provider_are_bounded_by_the_context() {
    let mini = price("openai/gpt-5-mini");
    let context = mini.context_tokens.unwrap();
    let with = |name: &'static str, json: &str| {
        let mut request = request("hello");
        request.params.push((name.into(), Json::parse(json.to_owned()).unwrap()));
        ChatBound::new(&request, Some(&mini), 256).unwrap().bound.input_tokens
    };
    assert!(with("tools", r#"[{"type": "function", "function": {"name": "f"}}]"#) < 1_000);
    // Each run is followed by another reading of everything.
    assert_eq!(with("tools", r#"[{"type": "web_search_20250305", "max_uses": 3}]"#), 4 * context);
    assert_eq!(with("tools", r#"[{"type": "code_execution"}]"#), 11 * context);
    assert_eq!(with("web_search_options", "{}"), 11 * context);
    // The sound of an earlier reply is named by an id alone.
    let mut said = Message::user("");
    said.role = Role::Assistant;
    said.extra.push(("audio".into(), Json::parse(r#"{"id": "audio_1"}"#).unwrap()));
    let request = ChatRequest::new("openai/gpt-5-mini", vec![said]);
    assert_eq!(ChatBound::new(&request, Some(&mini), 256).unwrap().bound.input_tokens, context);
}

#[test]
fn a_longer_cache_is_paid_only_when_it_is_asked_for() {
    let sonnet = price("anthropic/claude-sonnet-4-5");
    let mut request = request("hello");
    let cost = |request: &ChatRequest| ChatBound::new(request, Some(&sonnet), 256).unwrap().bound;
    let before = cost(&request);
    assert_eq!(before.input_cost.nanos(), i64::try_from(before.input_tokens).unwrap() * 3_750);
    let text = Part::Text {
        text: "hello".into(),
        extra: vec![("cache_control".into(), Json::parse(r#"{"type": "ephemeral", "ttl": "1h"}"#).unwrap())],
    };
    request.messages[0].content = Content::Parts(vec![text]);
    let after = cost(&request);
    assert_eq!(after.input_cost.nanos(), i64::try_from(after.input_tokens).unwrap() * 6_000);
}

static BUILT_IN: LazyLock<Vec<Arc<ModelPrice>>> = LazyLock::new(|| {
    let models = Catalog::default().models().unwrap();
    let chat = models.iter().filter(|model| model.kind == ModelKind::Chat);
    chat.map(|model| model.price.clone()).collect()
});

/// A share of a whole, in thousandths.
fn part(whole: u64, share: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(share) / 1_000).unwrap()
}

/// Prices of every kind, none like another.
fn rates() -> impl Strategy<Value = Rates> {
    prop::array::uniform10(0_i64..100_000_000_000)
        .prop_map(|nanos| Rates::new(|kind| Some(NanoUsd::from_nanos(nanos[kind as usize]))))
}

prop_compose! {
    fn any_price()(
        standard in rates(), fast in rates(), long in rates(), longer in rates(),
        thresholds in (1_u64..2_000, 2_000_u64..200_000), fees in prop::array::uniform4(0_i64..1_000_000_000),
    ) -> ModelPrice {
        let [request, web_search, file_search, code_execution] = fees.map(NanoUsd::from_nanos);
        ModelPrice {
            standard,
            tiers: vec![(Tier::Priority, fast)],
            long_context: vec![
                LongContext { above_input_tokens: thresholds.0, rates: long },
                LongContext { above_input_tokens: thresholds.1, rates: longer },
            ],
            fees: Fees { request, web_search, file_search, code_execution },
            tells_cost: false,
            context_tokens: Some(300_000),
            max_output_tokens: Some(50_000),
            image: Some(ImageRule::Pixels { per_token: 750, max_tokens: 1_600 }),
            reasons: true,
        }
    }
}

proptest! {
    #[test]
    fn no_usage_within_the_bound_costs_more_than_the_bound(
        priced in any_price(), index in any::<prop::sample::Index>(), built_in in any::<bool>(),
        length in 0_usize..400_000, max_tokens in 1_u32..10_000, n in 1_u32..4,
        sound in any::<bool>(), caches in any::<bool>(), tool_uses in prop::option::of(0_u64..5),
        tier in prop::option::of(Just(Tier::Priority)), shares in prop::array::uniform10(0_u64..=1_000),
    ) {
        let price = if built_in { ModelPrice::clone(&BUILT_IN[index.index(BUILT_IN.len())]) } else { priced };
        let mut request = request(&"x".repeat(length));
        request.max_tokens = Some(max_tokens);
        request.n = Some(n);
        let json = |text: String| Json::parse(text).unwrap();
        if sound {
            let audio = json(r#"{"type": "input_audio", "input_audio": {}}"#.to_owned());
            request.messages.push(Message {
                role: Role::User, content: Content::Parts(vec![Part::Other(audio)]), extra: vec![],
            });
            request.params.push(("modalities".into(), json(r#"["text", "audio"]"#.to_owned())));
        }
        if caches {
            request.params.push(("prompt_cache_retention".into(), json(r#""24h""#.to_owned())));
        }
        if let Some(uses) = tool_uses {
            request.params.push(("tools".into(), json(format!(r#"[{{"type": "web_search", "max_uses": {uses}}}]"#))));
        }
        if tier.is_some() {
            request.params.push(("service_tier".into(), json(r#""priority""#.to_owned())));
        }
        let bound = ChatBound::new(&request, Some(&price), 256).unwrap();

        let input_tokens = part(bound.bound.input_tokens, shares[0]);
        let output_tokens = part(u64::from(max_tokens * n), shares[1]);
        let cache_write_tokens = part(input_tokens, shares[2]);
        let usage = Usage {
            input_tokens,
            cached_input_tokens: part(input_tokens, shares[3]),
            cache_write_tokens,
            cache_write_1h_tokens: if caches { part(cache_write_tokens, shares[4]) } else { 0 },
            audio_input_tokens: if sound { part(input_tokens, shares[5]) } else { 0 },
            image_input_tokens: if sound { part(input_tokens, shares[6]) } else { 0 },
            output_tokens,
            reasoning_tokens: part(output_tokens, shares[7]),
            audio_output_tokens: if sound { part(output_tokens, shares[8]) } else { 0 },
            image_output_tokens: part(output_tokens, shares[9]),
            web_searches: tool_uses.unwrap_or(0),
            file_searches: 0,
            code_executions: 0,
            told_cost: None,
        };
        let most = bound.ask().most;
        // What was asked for, and what a provider may give instead.
        prop_assert!(cost(Some(&price), tier, &usage) <= most);
        prop_assert!(cost(Some(&price), None, &usage) <= most);
    }

    #[test]
    fn a_lowered_output_never_costs_more_than_was_granted(length in 0_usize..10_000, granted in 0_i64..300_000_000) {
        let mini = price("openai/gpt-5-mini");
        let bound = ChatBound::new(&request(&"x".repeat(length)), Some(&mini), 1).unwrap();
        let granted = NanoUsd::from_nanos(granted).max(bound.ask().least);
        if let Some(tokens) = bound.lowered(granted) {
            prop_assert!(tokens >= 1);
            prop_assert!(bound.bound.with_output(tokens) <= granted);
        }
    }
}
