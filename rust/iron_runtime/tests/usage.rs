//! Every shape of usage: what it counts, and what it costs, whole and streamed, to the nano-dollar.
//!
//! A fixture holds the `usage` that a vendor sends, the model's `price`, and what is expected: the `counts` that are not
//! zero and the `cost` in dollars. Without `counts` the usage cannot be true, and the call is settled without it.

use std::path::PathBuf;

use iron_protocol::NanoUsd;
use iron_runtime::budget::Ledger;
use iron_runtime::{CallContext, CallReport, Settlement, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::faults::raw::Raw;
use crate::rig::{Wire, ask, within};

const PROMPT: &str = "Hello";
const MOST_OUTPUT: u32 = 10;

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    OpenAi,
    Anthropic,
}

impl Format {
    fn wire(self) -> Wire {
        match self {
            Self::OpenAi => Wire::OpenAi,
            Self::Anthropic => Wire::Anthropic,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    /// Whose shape it is, and where it is documented.
    about: String,
    /// In which format it is told; OpenAI's unless it says so.
    #[serde(default)]
    format: Format,
    price: Value,
    usage: Box<RawValue>,
    counts: Option<Map<String, Value>>,
    cost: Option<NanoUsd>,
}

impl Fixture {
    fn expected(&self) -> Option<Usage> {
        let counts = self.counts.as_ref()?;
        let mut usage = Usage::default();
        for (name, count) in counts {
            let field = match &**name {
                "input_tokens" => &mut usage.input_tokens,
                "cached_input_tokens" => &mut usage.cached_input_tokens,
                "cache_write_tokens" => &mut usage.cache_write_tokens,
                "cache_write_1h_tokens" => &mut usage.cache_write_1h_tokens,
                "audio_input_tokens" => &mut usage.audio_input_tokens,
                "image_input_tokens" => &mut usage.image_input_tokens,
                "output_tokens" => &mut usage.output_tokens,
                "reasoning_tokens" => &mut usage.reasoning_tokens,
                "audio_output_tokens" => &mut usage.audio_output_tokens,
                "image_output_tokens" => &mut usage.image_output_tokens,
                "web_searches" => &mut usage.web_searches,
                "file_searches" => &mut usage.file_searches,
                "code_executions" => &mut usage.code_executions,
                other => panic!("{}: no count is named {other:?}", self.about),
            };
            *field = count.as_u64().unwrap();
        }
        Some(usage)
    }
}

fn fixtures() -> Vec<(String, Fixture)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/usage");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let fixture = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, fixture)
        })
        .collect()
}

async fn server(kind: &str, body: &str, price: &Value) -> Raw {
    speaking(Wire::OpenAi, kind, body, price).await
}

async fn speaking(wire: Wire, kind: &str, body: &str, price: &Value) -> Raw {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    let settings = json!({"prices": {"sim/m": price}, "retry": {"max_attempts": 1}});
    Raw::speaking(wire, format!("{head}{body}"), Vec::new(), 0, settings).await
}

async fn whole(fixture: &Fixture) -> CallReport {
    let usage = fixture.usage.get();
    let body = match fixture.format {
        Format::OpenAi => format!(
            r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"Hi"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        ),
        Format::Anthropic => format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{{"type":"text","text":"Hi"}}],"stop_reason":"end_turn","usage":{usage}}}"#
        ),
    };
    let server = speaking(fixture.format.wire(), "application/json", &body, &fixture.price).await;
    let context = within([server.budget.clone()]);
    let report = server.client.chat(ask(PROMPT, MOST_OUTPUT), context).await.unwrap().report;
    assert_eq!(
        server.budget.snapshot().settled.saturating_add(server.budget.snapshot().overage),
        report.cost
    );
    report
}

/// With the usage on the last chunk, or on an event of its own; in Anthropic's format with all of it at the end, or with
/// the input at the beginning.
async fn streamed(fixture: &Fixture, alone: bool) -> CallReport {
    let usage: String = fixture.usage.get().split('\n').collect();
    let body = match fixture.format {
        Format::OpenAi => openai_events(&usage, alone),
        Format::Anthropic => anthropic_events(&usage, alone && fixture.counts.is_some()),
    };
    let server = speaking(fixture.format.wire(), "text/event-stream", &body, &fixture.price).await;
    let mut stream =
        server.client.stream(ask(PROMPT, MOST_OUTPUT), within([server.budget.clone()])).await.unwrap();
    stream.reply().await.unwrap().report
}

fn anthropic_events(usage: &str, input_first: bool) -> String {
    let (mut began, mut ended) =
        (json!({"input_tokens": 1, "output_tokens": 1}).to_string(), usage.to_owned());
    if input_first {
        let mut first: Value = serde_json::from_str(usage).unwrap();
        let mut last = json!({"input_tokens": null, "cache_read_input_tokens": null});
        for field in ["output_tokens", "output_tokens_details", "server_tool_use", "iterations"] {
            last[field] = first[field].take();
        }
        first["output_tokens"] = json!(1);
        (began, ended) = (first.to_string(), last.to_string());
    } else if usage == "null" || !usage.contains("input_tokens") {
        began = "null".to_owned();
    }
    let events = [
        format!(
            r#"{{"type":"message_start","message":{{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{began}}}}}"#
        ),
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#.to_owned(),
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#.to_owned(),
        r#"{"type":"content_block_stop","index":0}"#.to_owned(),
        format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{ended}}}"#
        ),
        r#"{"type":"message_stop"}"#.to_owned(),
    ];
    events.map(|data| format!("data: {data}\n\n")).concat()
}

fn openai_events(usage: &str, alone: bool) -> String {
    let finish = r#"{"index":0,"delta":{},"finish_reason":"stop"}"#;
    let text = r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}"#;
    let end = if alone {
        format!("data: {{\"choices\":[{finish}]}}\n\ndata: {{\"choices\":[],\"usage\":{usage}}}")
    } else {
        format!("data: {{\"choices\":[{finish}],\"usage\":{usage}}}")
    };
    format!("{text}\n\n{end}\n\ndata: [DONE]\n\n")
}

#[tokio::test]
async fn every_shape_costs_the_same_whole_and_streamed() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 25, "{}", fixtures.len());
    for (name, fixture) in fixtures {
        assert!(!fixture.about.is_empty(), "{name}");
        let reports =
            [whole(&fixture).await, streamed(&fixture, false).await, streamed(&fixture, true).await];
        for (form, report) in ["whole", "on the last chunk", "alone"].into_iter().zip(reports) {
            let usage = Usage { told_cost: None, ..report.usage };
            if let Some(expected) = fixture.expected() {
                assert_eq!(usage, expected, "{name}, {form}");
                assert_eq!(Some(report.cost), fixture.cost, "{name}, {form}");
                assert_eq!(report.settlement, Settlement::Settled, "{name}, {form}");
            } else {
                assert_eq!(usage, Usage::default(), "{name}, {form}");
                assert_ne!(report.settlement, Settlement::Settled, "{name}, {form}");
                assert!(report.cost > NanoUsd::ZERO, "{name}, {form}: unknown spend is never nothing");
            }
        }
    }
}

#[tokio::test]
async fn anthropic_s_shape_costs_what_each_kind_costs() {
    let usage = json!({
        "input_tokens": 100, "cache_read_input_tokens": 2_000, "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 50, "server_tool_use": {"web_search_requests": 2}, "speed": "fast",
    });
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Hi"}], "usage": usage,
    });
    let server = server("application/json", &body.to_string(), &json!({"input_usd": "1"})).await;
    let price = json!({
        "input_usd": "1", "cached_input_usd": "0.1", "cache_write_usd": "1.25", "cache_write_1h_usd": "2",
        "output_usd": "4", "fast": {"input_usd": "2"}, "usd_per_web_search": "0.01", "context_tokens": 200_000,
    });
    let settings = json!({
        "providers": {"anthropic": {"base_url": server.url(), "api_key": "sk-none"}},
        "prices": {"anthropic/m": price},
    });
    let client = crate::rig::client(&Ledger::new(), &server.url(), settings).unwrap();
    let mut request = ask(PROMPT, MOST_OUTPUT);
    request.model = "anthropic/m".to_owned();
    let report = client.chat(request, CallContext::new()).await.unwrap().report;
    assert_eq!(report.usage.cache_write_1h_tokens, 200);
    // Everything twice as dear: 100 × 2, 2000 × 0.2, 100 × 2.5, 200 × 4, 50 × 8, and two searches.
    let tokens = 100 * 2_000 + 2_000 * 200 + 100 * 2_500 + 200 * 4_000 + 50 * 8_000;
    assert_eq!(report.cost, NanoUsd::from_nanos(tokens + 2 * 10_000_000));
}

/// Of Anthropic's stream: what comes of its `message_delta` events with those usages.
async fn counted(usages: &[&str]) -> CallReport {
    let price = json!({"input_usd": "1", "output_usd": "4", "context_tokens": 1_000, "reasoning": false});
    let events = anthropic_events("{}", false);
    let (before, _) = events.split_once("data: {\"type\":\"message_delta\"").unwrap();
    let start = before.replace("\"usage\":null", "\"usage\":{\"input_tokens\":7,\"output_tokens\":1}");
    let deltas = usages.iter().map(|usage| {
        format!("data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},\"usage\":{usage}}}\n\n")
    });
    let body = format!("{start}{}data: {{\"type\":\"message_stop\"}}\n\n", deltas.collect::<String>());
    let server = speaking(Wire::Anthropic, "text/event-stream", &body, &price).await;
    let context = within([server.budget.clone()]);
    let mut stream = server.client.stream(ask(PROMPT, MOST_OUTPUT), context).await.unwrap();
    stream.reply().await.unwrap().report
}

#[tokio::test]
async fn the_counts_of_message_delta_are_sums_and_not_added_up() {
    let report = counted(&[r#"{"output_tokens":3}"#, r#"{"output_tokens":8,"input_tokens":null}"#]).await;
    assert_eq!((report.usage.input_tokens, report.usage.output_tokens), (7, 8));
    assert_eq!(report.cost, NanoUsd::from_nanos(7 * 1_000 + 8 * 4_000));
    assert_eq!(report.settlement, Settlement::Settled);
}

#[tokio::test]
async fn what_a_message_began_with_is_no_bill() {
    for usage in ["null", "{}", r#"{"input_tokens":7}"#, r#"{"output_tokens":-1}"#] {
        let report = counted(&[usage]).await;
        assert_eq!(report.settlement, Settlement::Estimated, "{usage}");
        // 45 bytes of input, and what came: a text of two bytes in a block.
        assert!(report.cost > NanoUsd::from_nanos(45 * 1_000), "{usage}: {:?}", report.cost);
    }
}

#[tokio::test]
async fn a_running_count_is_no_bill() {
    let price = json!({"input_usd": "1", "output_usd": "4", "context_tokens": 1_000});
    let body = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\"}}],\
                \"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n";
    let server = server("text/event-stream", body, &price).await;
    let mut stream =
        server.client.stream(ask(PROMPT, MOST_OUTPUT), within([server.budget.clone()])).await.unwrap();
    stream.reply().await.unwrap_err();
    drop(stream);
    // All that was reserved: 45 bytes of input and ten tokens of output.
    assert_eq!(server.budget.snapshot().settled, NanoUsd::from_nanos(45 * 1_000 + 10 * 4_000));
}

#[tokio::test]
async fn usage_that_comes_after_the_end_is_late_and_the_reply_is_counted() {
    let price = json!({"input_usd": "1", "output_usd": "4", "context_tokens": 1_000, "reasoning": false});
    let body = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n\
                data: [DONE]\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    let server = server("text/event-stream", body, &price).await;
    let context = within([server.budget.clone()]);
    let mut stream = server.client.stream(ask(PROMPT, MOST_OUTPUT), context).await.unwrap();
    let report = stream.reply().await.unwrap().report;
    assert_eq!(report.settlement, Settlement::Estimated);
    // Two bytes are at most two tokens.
    assert_eq!(report.cost, NanoUsd::from_nanos(45 * 1_000 + 2 * 4_000));
}
