//! OpenAI's wire format: <https://platform.openai.com/docs/api-reference>.

mod chat;
mod embed;
mod error;
mod models;
mod request;
mod stream;

use axum::body::Body;
use http::{Response, StatusCode, Uri};
use iron_protocol::RequestId;

pub(crate) use chat::chat;
pub(crate) use embed::embeddings;
pub(crate) use models::{model, models};

use crate::refusal::Refusal;
use crate::response;

/// A refusal as an answer.
fn refused(refusal: &Refusal, id: Option<RequestId>) -> Response<Body> {
    let body = refusal.body.clone().unwrap_or_else(|| error::body(refusal));
    let mut answer = response::json(refusal.status, body);
    response::tell_retry(answer.headers_mut(), refusal);
    if let Some(id) = id {
        response::tell_id(answer.headers_mut(), id);
    }
    answer
}

/// A path that leads nowhere.
pub(crate) async fn unknown_path(uri: Uri) -> Response<Body> {
    let message = format!("there is no {} here: see docs/router.md for what there is", uri.path());
    refused(&Refusal::new(StatusCode::NOT_FOUND, "unknown_path", message), None)
}

/// A path that another method leads along.
pub(crate) async fn wrong_method(method: http::Method, uri: Uri) -> Response<Body> {
    let message = format!("{} does not take {method}", uri.path());
    refused(&Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message), None)
}
