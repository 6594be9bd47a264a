use std::collections::BTreeSet;

use super::*;

fn price(name: &str) -> Arc<ModelPrice> {
    Catalog::default().get(name).unwrap().unwrap()
}

fn is_day(text: &str) -> bool {
    let shape = text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    shape.eq(*b"0000-00-00") && ("2020-01-01".."2100-01-01").contains(&text)
}

#[test]
fn three_hundred_models_and_every_large_provider_have_prices() {
    let models = Catalog::default().models().unwrap();
    assert!(models.len() >= 300, "{}", models.len());
    let providers: BTreeSet<_> =
        models.iter().filter_map(|model| model.name.split_once('/')).map(|(provider, _)| provider).collect();
    for provider in [
        "openai",
        "anthropic",
        "google",
        "mistral",
        "deepseek",
        "xai",
        "cohere",
        "groq",
        "together",
        "azure",
        "bedrock",
    ] {
        assert!(providers.contains(provider), "{provider}");
    }
    assert!(models.iter().filter(|model| model.kind == ModelKind::Embedding).count() >= 20);
}

#[test]
fn every_built_in_price_says_where_it_comes_from_and_is_sane() {
    let dollars = |text: &str| text.parse::<NanoUsd>().unwrap();
    for model in Catalog::default().models().unwrap() {
        let (name, price) = (&model.name, &model.price);
        let source = model.source.as_deref().unwrap_or_default();
        assert!(source.starts_with("https://"), "{name}: {source:?}");
        assert!(source.contains("; ") || model.note.is_some(), "{name}: more than one source, or a note");
        assert!(model.as_of.as_deref().is_some_and(is_day), "{name}: {:?}", model.as_of);
        assert!(model.retires.as_deref().is_none_or(is_day), "{name}: {:?}", model.retires);

        let rates = price.standard;
        let amount = |kind: Kind| rates[kind].amount();
        assert!(amount(Kind::Input) > NanoUsd::ZERO && amount(Kind::Input) <= dollars("200"), "{name}");
        assert!(amount(Kind::CachedInput) <= amount(Kind::Input), "{name}");
        assert!(amount(Kind::CacheWrite) >= amount(Kind::Input), "{name}");
        assert!(amount(Kind::CacheWrite1h) >= amount(Kind::CacheWrite), "{name}");
        assert!(amount(Kind::Output) <= dollars("1000"), "{name}");
        assert_eq!(amount(Kind::Output) > NanoUsd::ZERO, model.kind == ModelKind::Chat, "{name}");
        for (tier, rates) in &price.tiers {
            assert!(rates[Kind::CachedInput] <= rates[Kind::Input], "{name} {tier:?}");
        }
        for long in &price.long_context {
            assert!(long.above_input_tokens < price.context_tokens.unwrap(), "{name}");
            assert!(long.rates[Kind::Input] >= rates[Kind::Input], "{name}");
            assert!(long.rates[Kind::Output] >= rates[Kind::Output], "{name}");
            assert!(long.rates[Kind::CachedInput] <= long.rates[Kind::Input], "{name}");
        }
        let context = price.context_tokens.unwrap_or_default();
        // Titan's image embeddings read 128 tokens.
        assert!(context >= 128 && context >= price.max_output_tokens.unwrap_or(0), "{name}");
        assert!(price.fees.most(1) < dollars("1"), "{name}: {:?}", price.fees);
    }
}

#[test]
fn every_name_leads_to_its_own_price() {
    let catalog = Catalog::default();
    let mut known = BTreeSet::new();
    for model in catalog.models().unwrap() {
        for name in model.aliases.iter().chain([&model.name]) {
            assert!(known.insert(name.clone()), "{name} stands twice");
            assert_eq!(catalog.find(name).unwrap().as_deref(), Some(&*model), "{name}");
        }
    }
    assert_eq!(catalog.names().collect::<BTreeSet<_>>(), known);
}

#[test]
fn known_models_have_the_published_price() {
    let mini = price("openai/gpt-5-mini").standard;
    assert_eq!(mini[Kind::Input].amount(), "0.25".parse().unwrap());
    assert_eq!(mini[Kind::CachedInput].amount(), "0.025".parse().unwrap());
    assert_eq!(mini[Kind::Output].amount(), "2.00".parse().unwrap());
    let small = price("openai/text-embedding-3-small").standard;
    assert_eq!(small[Kind::Input].amount(), "0.02".parse().unwrap());
    let sonnet = price("anthropic/claude-sonnet-4-5");
    assert_eq!(sonnet.standard[Kind::CacheWrite1h].amount(), "6".parse().unwrap());
    assert_eq!(sonnet.fees.web_search, "0.01".parse().unwrap());
    let flash = price("google/gemini-2.5-flash").standard;
    assert_eq!(flash[Kind::AudioInput].amount(), "1.00".parse().unwrap());
    assert_eq!(price("openai/gpt-audio").standard[Kind::AudioOutput].amount(), "64".parse().unwrap());
    let grok = price("xai/grok-4.6");
    assert!(grok.tells_cost);
    assert_eq!(grok.rates(200_000, None)[Kind::Input].amount(), "4".parse().unwrap());
}

#[test]
fn configuration_stands_above_what_is_built_in() {
    let settings: Prices = toml::from_str(
        r#"
        ["openai/gpt-5-mini"]
        input_usd = "9"
        audio_input_usd = "20"
        usd_per_web_search = "0.5"
        long_context = [{ above_input_tokens = 20, input_usd = "27" }, { above_input_tokens = 10, input_usd = "18" }]
        priority = { input_usd = "18" }
        tells_cost = true
        reasoning = false
        aliases = ["mine"]
        image = { rule = "pixels", per_token = 750, max_tokens = 1600 }
        "#,
    )
    .unwrap();
    let catalog = Catalog::with_prices(&settings).unwrap();
    let price = catalog.get("openai/mine").unwrap().unwrap();
    assert_eq!(catalog.get("openai/gpt-5-mini").unwrap(), Some(price.clone()));
    let input = |tokens, tier| price.rates(tokens, tier)[Kind::Input].amount().nanos() / 1_000_000_000;
    assert_eq!((input(10, None), input(11, None), input(21, None)), (9, 18, 27));
    assert_eq!(input(21, Some(Tier::Priority)), 54);
    // What is absent keeps its ratio: sound is 20 to 9.
    assert_eq!(price.rates(11, None)[Kind::AudioInput].amount(), "40".parse().unwrap());
    assert_eq!(price.fees.web_search, "0.5".parse().unwrap());
    assert!(price.tells_cost && !price.reasons && price.image.is_some());
    let listed = catalog.models().unwrap();
    let mini: Vec<_> = listed.iter().filter(|model| model.name == "openai/gpt-5-mini").collect();
    assert!(matches!(&mini[..], [model] if model.configured));
}

#[test]
fn a_wrong_price_says_which() {
    for (text, expected) in [
        ("['x']\ninput_usd = '1'", "prices.\"x\": write the name as \"provider/model\""),
        ("['x/y']\noutput_usd = '1'", "prices.\"x/y\" needs the key `input_usd`"),
        ("['x/y']\ninput_usd = '1'\nflex = { output_usd = '-1' }", "prices.\"x/y\": a price is negative"),
        ("['x/y']\ninput_usd = '1'\nusd_per_request = '-1'", "prices.\"x/y\": a price is negative"),
    ] {
        let error = Catalog::with_prices(&toml::from_str(text).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
