//! A refusal: the answer to a request for which a fault says that nothing is generated.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::answer::{EVENTS, JSON, put};
use crate::clock;
use crate::dialect::Dialect;
use crate::fault::{At, ErrorBody, Fault, RetryAfter, StatusFault};
use crate::openai::error::ApiError;

/// Whether nothing is generated because of the fault.
pub(crate) fn refuses(fault: &Fault) -> bool {
    match fault {
        Fault::Status(_)
        | Fault::Redirect(_)
        | Fault::ErrorInOk(_)
        | Fault::EmptyBody(_)
        | Fault::Page(_)
        | Fault::EmptyStream(_) => true,
        Fault::Reset(fault) | Fault::Close(fault) => fault.at == At::BeforeHeaders,
        _ => false,
    }
}

/// The status and body of a refusal that is a reply, and what it adds to the headers.
pub(crate) fn refusal(
    fault: &Fault,
    dialect: Dialect,
    request_id: &str,
    headers: &mut HeaderMap,
) -> (u16, Bytes) {
    match fault {
        Fault::Status(fault) => (fault.status, status_body(fault, dialect, request_id, headers)),
        Fault::Redirect(redirect) => {
            put(headers, LOCATION, &redirect.to);
            (redirect.status, Bytes::new())
        }
        Fault::ErrorInOk(_) => (200, dialect.error(&ApiError::server(), request_id)),
        Fault::Page(_) => {
            put(headers, CONTENT_TYPE, "text/html");
            (200, html(200))
        }
        Fault::EmptyStream(fault) => {
            put(headers, CONTENT_TYPE, EVENTS);
            (200, if fault.done { dialect.end_of_stream() } else { Bytes::new() })
        }
        _ => (200, Bytes::new()),
    }
}

fn status_body(fault: &StatusFault, dialect: Dialect, request_id: &str, headers: &mut HeaderMap) -> Bytes {
    match &fault.retry_after {
        Some(RetryAfter::Seconds(seconds)) => put(headers, RETRY_AFTER, &seconds.to_string()),
        Some(RetryAfter::Text(text)) => put(headers, RETRY_AFTER, text),
        Some(RetryAfter::Date { date_in_s }) => {
            let seconds = clock::unix_seconds().saturating_add(*date_in_s);
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            put(headers, RETRY_AFTER, &date);
        }
        None => {}
    }
    if let Some(ms) = fault.retry_after_ms {
        put(headers, HeaderName::from_static("retry-after-ms"), &ms.to_string());
    }
    let (content_type, body) = match &fault.body {
        ErrorBody::OpenAi => (JSON, dialect.error(&ApiError::of_fault(fault), request_id)),
        ErrorBody::Html => ("text/html", html(fault.status)),
        ErrorBody::Empty => ("text/plain", Bytes::new()),
        ErrorBody::Text(text) => ("text/plain; charset=utf-8", text.clone().into()),
        ErrorBody::Json(value) => (JSON, value.to_string().into()),
    };
    put(headers, CONTENT_TYPE, content_type);
    body
}

/// A page such as a proxy sends.
fn html(status: u16) -> Bytes {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let title = format!("{status} {}", reason.unwrap_or("Error"));
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n\
         </html>\r\n"
    )
    .into()
}
