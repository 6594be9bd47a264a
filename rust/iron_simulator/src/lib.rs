//! A model provider on loopback, for tests, demos and benches: scripted or generated replies, exact usage, and faults.
//!
//! It speaks the OpenAI wire format: `POST /v1/chat/completions` (plain and streamed, tools, `n`, structured output),
//! `POST /v1/embeddings`, `GET /v1/models` and `GET /v1/models/{id}`, with OpenAI's error bodies; and Anthropic's:
//! `POST /v1/messages` (plain and streamed, tools, thinking, cache usage, structured output) and
//! `POST /v1/messages/count_tokens`, with Anthropic's.
//!
//! ```
//! use iron_simulator::{Reply, Rule, Settings, Simulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), iron_simulator::Error> {
//! let simulator = Simulator::start(Settings {
//!     rules: vec![Rule::from(Reply::text("Hello to you"))],
//!     ..Settings::default()
//! })
//! .await?;
//! let base_url = simulator.url(); // what a client takes as its base URL
//! // ... make calls ...
//! assert_eq!(simulator.stats().served, 0);
//! simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is replied
//!
//! The first rule that matches and is not used up decides. Where it says nothing of the reply, or no rule matches:
//!
//! - if `tool_choice` demands a tool, that tool (or the first) is called with arguments generated from its schema;
//! - if `response_format` is `json_schema`, a value that satisfies the schema; if `json_object`, `{"echo": ...}`;
//! - otherwise `echo: ` and the text of the last user message.
//!
//! To a request for thoughts they come first, as the rule's `thinking` or else as a line about the last message.
//!
//! `stop` ends a text, and `max_completion_tokens` or `max_tokens` cuts any reply, with `finish_reason` "length".
//!
//! # Determinism
//!
//! The same settings and the same sequence of requests give the same bytes: ids, words, latencies and chances are drawn
//! from `seed` and the request's place in the sequence, and `created` is fixed. (A date in a header is the exception.)
//! [`Simulator::reset`] starts the sequence again.
//!
//! # Tokens
//!
//! Text is cut into tokens of at most four UTF-8 bytes without splitting a character (see [`count_tokens`]), so a text
//! never has more tokens than bytes. Input is the sum over message texts, names (and one more for each), tool calls,
//! tool definitions and the response schema, with 3 for each message and 3 for the reply's priming, as OpenAI's cookbook
//! documents. An image counts 85 with `"detail": "low"` and 765 otherwise; a file or a piece of audio 100. Output is the
//! sum over texts, thoughts, tools' names and arguments, and the rule's `reasoning_tokens`. Of Anthropic's messages an
//! image counts 1,590 and a document 2,000, unless its text is in the request. [`Stats`] says what counts as served.
//!
//! # Settings as JSON
//!
//! [`Settings`] and all in it read and write JSON; unknown keys are errors.
//!
//! ```
//! let settings: iron_simulator::Settings = serde_json::from_str(r#"{
//!     "seed": 7,
//!     "bind": "127.0.0.1:0",
//!     "api_key": "sk-test",
//!     "latency_ms": [20, 50],
//!     "tokens_per_second": 80,
//!     "tokens_per_chunk": 1,
//!     "models": ["gpt-5-mini"],
//!     "any_model": false,
//!     "record_limit": 1000,
//!     "rate_limit_headers": {"requests": 500, "tokens": 200000},
//!     "rules": [
//!         {
//!             "when": {"model": "gpt-*", "text": "weather", "headers": {"x-team": "a"}, "stream": false},
//!             "reply": {
//!                 "tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "time"}],
//!                 "cached_tokens": 5
//!             },
//!             "latency_ms": 100,
//!             "times": 2
//!         },
//!         {"when": {"path": "/v1/embeddings", "nth": 3}, "fault": {"kind": "status", "status": 503, "body": "html"}},
//!         {"every": 10, "fault": {"kind": "status", "status": 429, "retry_after": 1}},
//!         {"probability": 0.01, "fault": {"kind": "reset", "at": {"after_chunks": 3}}},
//!         {"probability": 0.01, "fault": {"kind": "stall", "at": "before_headers", "ms": 30000}},
//!         {"probability": 0.01, "fault": {"kind": "close", "at": {"after_bytes": 100}}},
//!         {"probability": 0.01, "fault": {"kind": "padded", "bytes": 1000000000, "coding": "gzip"}},
//!         {"probability": 0.01, "fault": {"kind": "endless", "with": "comments", "every_ms": 100}},
//!         {"when": {"text": "long"}, "reply": {"output_tokens": 400, "reasoning_tokens": 100}},
//!         {"when": {"text": "bad"}, "reply": {"refusal": "I can't help with that."}},
//!         {"reply": {"text": ["first", "second"], "usage": {"input_tokens": 10, "output_tokens": 2}}}
//!     ]
//! }"#)?;
//! let again = serde_json::to_string(&settings)?;
//! assert_eq!(settings, serde_json::from_str(&again)?);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod answer;
mod anthropic;
mod azure;
mod body;
mod clock;
mod coding;
mod dialect;
mod draw;
mod ending;
mod error;
mod events;
mod fault;
mod flight;
mod form;
mod openai;
mod padding;
mod record;
mod refusal;
mod reply;
mod rule;
mod schema;
mod script;
mod server;
mod service;
mod settings;
mod simulator;
mod stats;
mod tasks;
mod tokens;
mod wire;

pub use error::Error;
pub use fault::{
    At, Bare, BreakFault, Coding, EmptyFault, EndlessFault, ErrorBody, EventFault, Fault, Filler,
    LengthFault, PaddingFault, RedirectFault, RetryAfter, StallFault, StatusFault, TruncateFault,
};
pub use record::{Outcome, RecordedRequest};
pub use rule::{Match, Reply, Rule, Text, ToolCall, UsageOverride};
pub use settings::{Millis, RateLimitHeaders, Settings};
pub use simulator::Simulator;
pub use stats::{ModelStats, Stats};
pub use tokens::count_tokens;
