//! Replies from JSON, as far as governing them needs.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::usage::usage;
use crate::pricing::Tier;
use crate::provider::{ReplyFacts, Told};

#[derive(Deserialize)]
struct ReplyBody<'a> {
    #[serde(borrow, default)]
    choices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<Name<'a>>,
}

/// A short text; `Cow` within `Option` borrows only behind a type of its own.
#[derive(Deserialize)]
pub(super) struct Name<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorField,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorField {
    Full { message: Option<String>, code: Option<serde_json::Value>, r#type: Option<String> },
    Text(String),
    Other(IgnoredAny),
}

/// Read a chat or embeddings reply.
///
/// # Errors
/// The error that it tells, or what is wrong with it, as a sentence without its content.
pub(crate) fn reply_facts(body: &[u8]) -> Result<ReplyFacts, Told> {
    let reply: ReplyBody<'_> = serde_json::from_slice(body).map_err(|error| {
        Told::wrong(format!("its body is not a JSON object ({} at byte {})", kind(&error), error.column()))
    })?;
    if let Some(told) = reply.error.and_then(|value| read_error(value.get())) {
        return Err(told);
    }
    // An empty object, or somebody else's: no list of choices or vectors.
    if !reply.choices.or(reply.data).is_some_and(|list| list.get().starts_with('[')) {
        return Err(Told::wrong("its body has neither choices nor data"));
    }
    Ok(ReplyFacts { usage: reply.usage.and_then(usage), tier: tier(reply.service_tier.as_ref()) })
}

pub(super) fn tier(name: Option<&Name<'_>>) -> Option<Tier> {
    name.and_then(|name| Tier::from_name(&name.0))
}

/// Read the body of an error status.
pub(crate) fn error(body: &[u8]) -> Told {
    match std::str::from_utf8(body).ok().and_then(read_error_body) {
        Some(told) => told,
        None if body.is_empty() => Told::wrong("an empty body"),
        // A proxy's error page, perhaps; the body itself is kept in the error.
        None => Told::wrong("a body that is no OpenAI error"),
    }
}

fn read_error_body(body: &str) -> Option<Told> {
    let body: ErrorBody = serde_json::from_str(body).ok()?;
    told(body.error)
}

pub(super) fn read_error(value: &str) -> Option<Told> {
    serde_json::from_str::<Option<ErrorField>>(value).ok().flatten().and_then(told)
}

fn told(field: ErrorField) -> Option<Told> {
    /// The code that OpenAI gives when an account has no credit left.
    const OUT_OF_QUOTA: &str = "insufficient_quota";
    /// The code that it gives when a request does not fit the model's context, and the type that llama.cpp gives.
    /// <https://github.com/ggml-org/llama.cpp/blob/master/tools/server/server-common.cpp>
    const TOO_LONG: [&str; 2] = ["context_length_exceeded", "exceed_context_size_error"];
    match field {
        ErrorField::Full { message, code, r#type } => {
            let told = [code.as_ref().and_then(serde_json::Value::as_str), r#type.as_deref()];
            let is = |name: &str| told.contains(&Some(name));
            Some(Told {
                status: code.as_ref().and_then(status).or_else(|| meant(is)),
                out_of_quota: is(OUT_OF_QUOTA),
                too_long: TOO_LONG.into_iter().any(is),
                message,
            })
        }
        ErrorField::Text(message) => Some(Told::wrong(message)),
        ErrorField::Other(_) => None,
    }
}

/// OpenRouter and llama.cpp give the status as the code. <https://openrouter.ai/docs/api-reference/errors>
fn status(code: &serde_json::Value) -> Option<u16> {
    code.as_u64().and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code))
}

/// What OpenAI's types and codes of errors that pass stand for.
/// <https://platform.openai.com/docs/guides/error-codes>
fn meant(is: impl Fn(&str) -> bool) -> Option<u16> {
    if is("server_error") {
        Some(500)
    } else if is("rate_limit_exceeded") || is("insufficient_quota") {
        Some(429)
    } else {
        None
    }
}

/// Why JSON could not be read, without quoting it.
pub(super) fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "it is malformed",
        serde_json::error::Category::Data | serde_json::error::Category::Io => "it has another shape",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_usage_with_its_details() {
        let body = br#"{"id":"x","choices":[],"service_tier":"priority","usage":{"prompt_tokens":9,"completion_tokens":12,
            "total_tokens":21,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":7}}}"#;
        let facts = reply_facts(body).unwrap();
        assert_eq!(facts.tier, Some(Tier::Priority));
        let usage = facts.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.cached_input_tokens), (9, 4));
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (12, 7));
    }

    #[test]
    fn usage_that_cannot_be_true_is_no_usage() {
        for usage in [
            "null",
            "{}",
            r#"{"prompt_tokens":-1,"completion_tokens":2}"#,
            r#"{"prompt_tokens":0,"completion_tokens":0}"#,
            r#"{"prompt_tokens":1e30,"completion_tokens":2}"#,
            r#"{"prompt_tokens":5000000000,"completion_tokens":2}"#,
            r#"{"prompt_tokens":"9","completion_tokens":2}"#,
        ] {
            let body = format!(r#"{{"choices":[],"usage":{usage}}}"#);
            assert_eq!(reply_facts(body.as_bytes()).unwrap().usage, None, "{usage}");
        }
    }

    #[test]
    fn what_is_no_reply_is_not_taken_for_one() {
        for (body, expected) in [
            ("", "ends too early"),
            ("{\"choices\":[{", "ends too early"),
            ("<html>", "malformed"),
            ("{}", "neither choices nor data"),
            ("{\"choices\":null}", "neither choices nor data"),
            (r#"{"error":{"message":"no such model","code":404}}"#, "no such model"),
            (r#"{"error":"broken"}"#, "broken"),
        ] {
            let told = reply_facts(body.as_bytes()).unwrap_err();
            assert!(told.message.unwrap().contains(expected), "{body}");
        }
        assert!(reply_facts(br#"{"error":null,"choices":[]}"#).is_ok());
    }

    #[test]
    fn an_error_body_tells_its_message_and_what_its_code_means() {
        let told = error(br#"{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#);
        assert_eq!(told, Told { message: Some("slow down".into()), status: Some(429), ..Told::default() });
        assert!(error(br#"{"error":{"message":"long","code":"context_length_exceeded"}}"#).too_long);
        // llama.cpp's.
        let long = error(
            br#"{"error":{"code":400,"message":"long","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}"#,
        );
        assert_eq!((long.too_long, long.status), (true, Some(400)));
        for (error, status) in [
            (r#"{"message":"m","type":"server_error","code":null}"#, Some(500)),
            (r#"{"message":"m","code":502}"#, Some(502)),
            (r#"{"message":"m","code":200}"#, None),
            (r#"{"message":"m","code":-1}"#, None),
            (r#"{"message":"m","type":"newer_error","code":"newer"}"#, None),
        ] {
            assert_eq!(super::error(format!(r#"{{"error":{error}}}"#).as_bytes()).status, status, "{error}");
        }
        assert!(
            error(br#"{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}"#)
                .out_of_quota
        );
        assert_eq!(error(b"<html>secret</html>").message.unwrap(), "a body that is no OpenAI error");
    }
}
