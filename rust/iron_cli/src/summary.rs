//! The summary of a reply: what was said, what it cost, and what was done otherwise than asked.

use iron_protocol::NanoUsd;
use iron_runtime::{Reply, Settlement};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A reply, read for showing.
pub(crate) struct Summary<'a> {
    reply: &'a Reply,
    choice: Choice,
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Default, Deserialize)]
struct Choice {
    #[serde(default)]
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

impl<'a> Summary<'a> {
    pub(crate) fn new(reply: &'a Reply) -> Self {
        // A body without text is a reply too: only what is there can be shown.
        let body: Body = serde_json::from_slice(&reply.body).unwrap_or_default();
        Self { reply, choice: body.choices.into_iter().next().unwrap_or_default() }
    }

    pub(crate) fn text(&self) -> &str {
        self.choice.message.content.as_deref().unwrap_or_default()
    }

    pub(crate) fn refusal(&self) -> &str {
        self.choice.message.refusal.as_deref().unwrap_or_default()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.reply.report.warnings.clone();
        if self.choice.finish_reason.as_deref() == Some("length") {
            warnings.push("the reply was cut at its most output tokens".to_owned());
        }
        warnings
    }

    /// Cost, tokens, model and time.
    pub(crate) fn line(&self) -> String {
        let report = &self.reply.report;
        let settlement = match report.settlement {
            Settlement::Settled => String::new(),
            other => format!(" ({})", other.as_str()),
        };
        format!(
            "{}{settlement} · {} in + {} out tokens · {} · {:.2} s",
            dollars(report.cost),
            report.usage.input_tokens,
            report.usage.output_tokens,
            report.upstream,
            report.timing.total.as_secs_f64(),
        )
    }

    pub(crate) fn json(&self) -> String {
        let report = &self.reply.report;
        let usage = &report.usage;
        let shown = serde_json::json!({
            "text": self.text(),
            "refusal": self.choice.message.refusal,
            "finish_reason": self.choice.finish_reason,
            "upstream": &*report.upstream,
            "request_id": report.request_id.to_string(),
            "usage": {
                "input_tokens": usage.input_tokens,
                "cached_input_tokens": usage.cached_input_tokens,
                "output_tokens": usage.output_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
            },
            "cost_usd": report.cost,
            "settlement": report.settlement.as_str(),
            "attempts": report.attempts,
            "warnings": self.warnings(),
            "total_ms": u64::try_from(report.timing.total.as_millis()).unwrap_or(u64::MAX),
            "raw": serde_json::from_slice::<&RawValue>(self.reply.raw()).ok(),
        });
        shown.to_string()
    }
}

/// An amount to the nano-dollar.
pub(crate) fn dollars(amount: NanoUsd) -> String {
    let nanos = amount.nanos();
    format!("${}.{:09}", nanos / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use iron_protocol::RequestId;
    use iron_runtime::{CallReport, Timing, Usage};

    use super::*;

    fn reply(body: &'static str) -> Reply {
        Reply {
            report: CallReport {
                request_id: RequestId::new(),
                upstream: "openai/gpt-6-luna".into(),
                usage: Usage { input_tokens: 12, output_tokens: 34, ..Usage::default() },
                cost: NanoUsd::from_nanos(18_200),
                settlement: Settlement::Estimated,
                attempts: 1,
                repairs: 0,
                warnings: vec!["lowered".into()],
                findings: Vec::new(),
                timing: Timing { total: Duration::from_millis(1_234), ..Timing::default() },
            },
            body: body.into(),
            raw: None,
        }
    }

    #[test]
    fn the_line_tells_cost_tokens_model_and_time() {
        let line = Summary::new(&reply("{}")).line();
        assert_eq!(line, "$0.000018200 (estimated) · 12 in + 34 out tokens · openai/gpt-6-luna · 1.23 s");
    }

    #[test]
    fn a_reply_that_was_cut_warns() {
        let reply =
            reply(r#"{"choices": [{"message": {"content": "Hi", "x": 1}, "finish_reason": "length"}]}"#);
        let summary = Summary::new(&reply);
        assert_eq!(summary.text(), "Hi");
        assert_eq!(summary.warnings(), ["lowered", "the reply was cut at its most output tokens"]);
    }

    #[test]
    fn json_keeps_money_exact_and_the_body_untouched() {
        let reply = reply(r#"{"choices": [{"message": {"content": null, "refusal": "No."}}], "x": 1.50}"#);
        let json = Summary::new(&reply).json();
        assert!(json.contains(r#""cost_usd":"0.0000182""#), "{json}");
        assert!(json.contains(r#""refusal":"No.""#), "{json}");
        assert!(json.contains("1.5"), "{json}");
    }

    #[test]
    fn amounts_have_nine_digits() {
        assert_eq!(dollars(NanoUsd::from_nanos(1)), "$0.000000001");
        assert_eq!(dollars(NanoUsd::from_nanos(12_500_000_000)), "$12.500000000");
    }
}
