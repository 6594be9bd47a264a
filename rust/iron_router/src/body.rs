//! Bodies of requests, bounded in size and in time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::refusal::Refusal;

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

/// The whole of a JSON body.
///
/// # Cancel safety
/// What has come is lost.
pub(crate) async fn json(headers: &HeaderMap, body: Body, bounds: Bounds) -> Result<Bytes, Refusal> {
    // A page in a browser can send anything else to any address without being asked.
    if !is_json(headers) {
        let message = "the content-type is not application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", message));
    }
    if http_body::Body::size_hint(&body).lower() > bounds.bytes as u64 {
        return Err(too_large(bounds));
    }
    let whole = timeout(bounds.time, Limited::new(body, bounds.bytes).collect()).await;
    match whole {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(bounds)),
        Ok(Err(_)) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", "the body broke off before its end"))
        }
        Err(_) => {
            let message = format!("the body took longer than {} ms", bounds.time.as_millis());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message))
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn too_large(bounds: Bounds) -> Refusal {
    let message =
        format!("the body is longer than {} bytes, which router.max_body_bytes allows", bounds.bytes);
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
}
