//! Errors as Anthropic words them.

use bytes::Bytes;
use serde_json::json;

use crate::openai::error::ApiError;

/// A field that is missing.
pub(super) fn missing(path: &str) -> ApiError {
    ApiError::invalid(format!("{path}: Field required"))
}

/// A field that is not what it should be.
pub(super) fn wrong(path: &str, expected: &str) -> ApiError {
    ApiError::invalid(format!("{path}: Input should be {expected}"))
}

/// The body of an error reply.
pub(crate) fn body(error: &ApiError, request_id: &str) -> Bytes {
    let details = error.code.as_ref().filter(|_| told_by_code(error.status));
    let mut told = json!({"type": kind(error.status), "message": error.message});
    if let Some(code) = details {
        told["details"] = json!({"error_code": code});
    }
    Bytes::from(json!({"type": "error", "error": told, "request_id": request_id}).to_string())
}

/// The error in the middle of a stream.
pub(super) fn event() -> String {
    json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}).to_string()
}

/// Codes stand beside these alone.
fn told_by_code(status: u16) -> bool {
    matches!(status, 402 | 403 | 429)
}

/// <https://platform.claude.com/docs/en/api/errors>
fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::fault::StatusFault;

    #[test]
    fn each_status_has_its_type() {
        for (status, kind) in [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (503, "api_error"),
            (529, "overloaded_error"),
        ] {
            let error = ApiError::of_fault(&StatusFault::new(status));
            let body: Value = serde_json::from_slice(&body(&error, "req_1")).unwrap();
            assert_eq!((&body["type"], &body["request_id"]), (&json!("error"), &json!("req_1")));
            assert_eq!(body["error"]["type"], kind, "{status}");
        }
    }
}
