//! Errors as OpenAI writes them.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use crate::refusal::Refusal;

#[derive(Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: &'static str,
}

/// The body of a refusal.
pub(crate) fn body(refusal: &Refusal) -> Bytes {
    let inner = Inner {
        message: &refusal.message,
        kind: kind(refusal.status),
        param: refusal.param.as_deref(),
        code: refusal.code,
    };
    // Texts and null have a JSON form.
    serde_json::to_vec(&Body { error: inner }).unwrap_or_default().into()
}

/// OpenAI's word for what a status is about.
/// <https://platform.openai.com/docs/guides/error-codes>
fn kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::PAYMENT_REQUIRED => "insufficient_quota",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    }
}
