//! LiteLLM's table of prices: JSON, dollars a token.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use iron_protocol::NanoUsd;
use serde_json::value::RawValue;

/// Prices are dollars a token there, and dollars a million tokens here.
const PER_MILLION: i32 = 6;

/// LiteLLM's names of providers that have others here.
const PROVIDERS: [(&str, &str); 10] = [
    ("azure_ai", "azure"),
    ("bedrock_converse", "bedrock"),
    ("cohere_chat", "cohere"),
    ("fireworks_ai", "fireworks"),
    ("gemini", "google"),
    ("nvidia_nim", "nvidia"),
    ("text-completion-openai", "openai"),
    ("together_ai", "together"),
    ("lm_studio", "lmstudio"),
    ("hosted_vllm", "vllm"),
];

/// Keys of prices there and here.
const RATES: [(&str, &str); 10] = [
    ("input_cost_per_token", "input_usd"),
    ("cache_read_input_token_cost", "cached_input_usd"),
    ("cache_creation_input_token_cost", "cache_write_usd"),
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h_usd"),
    ("input_cost_per_audio_token", "audio_input_usd"),
    ("input_cost_per_image_token", "image_input_usd"),
    ("output_cost_per_token", "output_usd"),
    ("output_cost_per_reasoning_token", "reasoning_usd"),
    ("output_cost_per_audio_token", "audio_output_usd"),
    ("output_cost_per_image_token", "image_output_usd"),
];

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// What came of a table.
#[derive(Debug, Default)]
pub(super) struct Imported {
    /// TOML tables by `provider/model`.
    pub(super) models: BTreeMap<String, String>,
    /// Names that were skipped, by reason.
    pub(super) skipped: BTreeMap<String, Vec<String>>,
}

/// Read a table.
///
/// # Errors
/// The text is no JSON object.
pub(super) fn read(text: &str) -> Result<Imported, serde_json::Error> {
    let entries: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
    let mut imported = Imported::default();
    for (name, entry) in entries {
        let (reason, skipped) = match model(&name, entry) {
            Ok((model, table)) => match imported.models.insert(model, table) {
                None => continue,
                Some(_) => ("another entry of the same name stands in its place".to_owned(), name),
            },
            Err(reason) => (reason, name),
        };
        imported.skipped.entry(reason).or_default().push(skipped);
    }
    Ok(imported)
}

/// The model's name here and its table, or why it has none.
fn model(name: &str, entry: &RawValue) -> Result<(String, String), String> {
    let fields: Fields<'_> = serde_json::from_str(entry.get()).map_err(|_| "not an object".to_owned())?;
    let kind = match text(&fields, "mode").as_deref() {
        Some("embedding") => "embedding",
        None | Some("chat" | "completion" | "responses") => "chat",
        Some(other) => return Err(format!("prices of {other} are not kept")),
    };
    let theirs = text(&fields, "litellm_provider").ok_or("no litellm_provider")?;
    let ours = PROVIDERS.iter().find(|(name, _)| *name == theirs).map_or(&*theirs, |(_, ours)| ours);
    let prefixes = [format!("{theirs}/"), format!("{ours}/")];
    let model = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix.as_str())).unwrap_or(name);

    let rates = rates(&fields, "", "")?;
    if !rates.iter().any(|(key, _)| *key == "input_usd") {
        return Err("no price of a token".to_owned());
    }
    let mut table = String::new();
    let mut set = |key: &str, value: &str| {
        // Writing to a text cannot fail.
        let _ = writeln!(table, "{key} = {value}");
    };
    set("kind", &quoted(kind));
    for (key, amount) in &rates {
        set(key, &quoted(&amount.to_string()));
    }
    for (key, amount) in fees(&fields)? {
        set(key, &quoted(&amount.to_string()));
    }
    let long = long_context(&fields)?;
    if !long.is_empty() {
        set("long_context", &format!("[{}]", long.join(", ")));
    }
    for tier in ["priority", "flex", "ultrafast"] {
        let rates = self::rates(&fields, "", &format!("_{tier}"))?;
        if !rates.is_empty() {
            set(tier, &inline(&rates, None));
        }
    }
    let output = count(&fields, "max_output_tokens");
    let context = count(&fields, "max_input_tokens").or_else(|| count(&fields, "max_tokens"));
    if let Some(context) = context.max(output) {
        set("context_tokens", &context.to_string());
    }
    if let Some(output) = output.filter(|_| kind == "chat") {
        set("max_output_tokens", &output.to_string());
    }
    for (theirs, ours) in [("deprecation_date", "retires"), ("source", "source")] {
        if let Some(value) = text(&fields, theirs) {
            set(ours, &quoted(&value));
        }
    }
    Ok((format!("{ours}/{model}"), table))
}

/// The prices whose keys have these ends.
fn rates(fields: &Fields<'_>, middle: &str, end: &str) -> Result<Vec<(&'static str, NanoUsd)>, String> {
    let mut rates = Vec::new();
    for (theirs, ours) in RATES {
        if let Some(amount) = dollars(fields, &format!("{theirs}{middle}{end}"), PER_MILLION)? {
            rates.push((ours, amount));
        }
    }
    Ok(rates)
}

/// Prices of long input, in the order of their thresholds.
fn long_context(fields: &Fields<'_>) -> Result<Vec<String>, String> {
    let thousands = fields.keys().filter_map(|key| {
        key.strip_prefix("input_cost_per_token_above_")?.strip_suffix("k_tokens")?.parse::<u64>().ok()
    });
    let mut thousands: Vec<_> = thousands.collect();
    thousands.sort_unstable();
    let item = |thousand: u64| {
        let rates = rates(fields, &format!("_above_{thousand}k_tokens"), "")?;
        Ok(inline(&rates, Some(thousand * 1_000)))
    };
    thousands.into_iter().map(item).collect()
}

/// What is billed by the piece.
fn fees(fields: &Fields<'_>) -> Result<Vec<(&'static str, NanoUsd)>, String> {
    let mut fees = Vec::new();
    for (theirs, ours) in [
        ("input_cost_per_request", "usd_per_request"),
        ("code_interpreter_cost_per_session", "usd_per_code_execution"),
    ] {
        if let Some(amount) = dollars(fields, theirs, 0)? {
            fees.push((ours, amount));
        }
    }
    if let Some(sizes) = fields.get("search_context_cost_per_query") {
        let sizes: Fields<'_> = serde_json::from_str(sizes.get()).unwrap_or_default();
        // The size of a search is not known before: the dearest.
        let mut dearest = None;
        for size in sizes.keys() {
            dearest = dearest.max(dollars(&sizes, size, 0)?);
        }
        fees.extend(dearest.map(|amount| ("usd_per_web_search", amount)));
    }
    Ok(fees)
}

/// A price as it is written, exactly: a float would have lost digits.
fn dollars(fields: &Fields<'_>, key: &str, scale: i32) -> Result<Option<NanoUsd>, String> {
    let Some(value) = fields.get(key).map(|value| value.get()).filter(|value| *value != "null") else {
        return Ok(None);
    };
    match NanoUsd::from_decimal(value.trim_matches('"'), scale) {
        Ok(amount) if amount < NanoUsd::ZERO => Err(format!("{key} is negative")),
        Ok(amount) => Ok(Some(amount)),
        Err(_) => Err(format!("{key} is not a price")),
    }
}

fn text(fields: &Fields<'_>, key: &str) -> Option<String> {
    serde_json::from_str(fields.get(key)?.get()).ok()
}

/// A count that a table can hold.
fn count(fields: &Fields<'_>, key: &str) -> Option<u32> {
    serde_json::from_str(fields.get(key)?.get()).ok()
}

fn inline(rates: &[(&str, NanoUsd)], threshold: Option<u64>) -> String {
    let threshold = threshold.map(|tokens| format!("above_input_tokens = {tokens}"));
    let rates = rates.iter().map(|(key, amount)| format!("{key} = {}", quoted(&amount.to_string())));
    format!("{{ {} }}", threshold.into_iter().chain(rates).collect::<Vec<_>>().join(", "))
}

/// As TOML writes text: JSON's escapes are among its own.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(json: &str) -> String {
        let imported = read(&format!(r#"{{"m": {json}}}"#)).unwrap();
        assert!(imported.skipped.is_empty(), "{:?}", imported.skipped);
        imported.models.into_values().next().unwrap()
    }

    #[test]
    fn prices_are_exact() {
        let table = table(
            r#"{"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-07,
                "output_cost_per_token": 0.000002, "cache_read_input_token_cost": 2.5E-8,
                "input_cost_per_token_above_128k_tokens": 5e-7, "output_cost_per_token_priority": 3.6e-06,
                "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.025},
                "max_input_tokens": 272000, "max_output_tokens": 128000, "source": "https://a.example/\"x\""}"#,
        );
        assert_eq!(
            table,
            "kind = \"chat\"\ninput_usd = \"0.25\"\ncached_input_usd = \"0.025\"\noutput_usd = \"2.00\"\n\
             usd_per_web_search = \"0.025\"\n\
             long_context = [{ above_input_tokens = 128000, input_usd = \"0.50\" }]\n\
             priority = { output_usd = \"3.60\" }\n\
             context_tokens = 272000\nmax_output_tokens = 128000\nsource = \"https://a.example/\\\"x\\\"\"\n"
        );
    }

    #[test]
    fn what_cannot_be_taken_is_told_with_its_reason() {
        let imported = read(
            r#"{"a": {"litellm_provider": "x", "mode": "image_generation"},
                "b": {"litellm_provider": "x", "mode": "chat"},
                "c": {"mode": "chat", "input_cost_per_token": 1e-6},
                "d": {"litellm_provider": "x", "input_cost_per_token": -1e-6},
                "e": {"litellm_provider": "x", "input_cost_per_token": "free"},
                "f": 3,
                "bedrock/g": {"litellm_provider": "bedrock", "input_cost_per_token": 1e-6},
                "g": {"litellm_provider": "bedrock_converse", "input_cost_per_token": 2e-6}}"#,
        )
        .unwrap();
        assert_eq!(imported.models.keys().collect::<Vec<_>>(), ["bedrock/g"]);
        let reasons: Vec<_> =
            imported.skipped.iter().map(|(reason, names)| (reason.as_str(), names.join(" "))).collect();
        assert_eq!(
            reasons,
            [
                ("another entry of the same name stands in its place", "g".to_owned()),
                ("input_cost_per_token is negative", "d".to_owned()),
                ("input_cost_per_token is not a price", "e".to_owned()),
                ("no litellm_provider", "c".to_owned()),
                ("no price of a token", "b".to_owned()),
                ("not an object", "f".to_owned()),
                ("prices of image_generation are not kept", "a".to_owned()),
            ]
        );
    }
}
