//! `GET /v1/models` and `GET /v1/models/{id}`.

use axum::body::Body;
use axum::extract;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Uri};
use serde::Serialize;

use super::refused;
use crate::app::State;
use crate::response;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    /// Clients read a number here; when a model was made is not known.
    created: u64,
    owned_by: &'a str,
}

impl<'a> Model<'a> {
    fn new(id: &'a str) -> Self {
        // An alias is the router's own.
        let owned_by = id.split_once('/').map_or("iron", |(provider, _)| provider);
        Self { id, object: "model", created: 0, owned_by }
    }
}

/// Every model that can be asked for.
pub(crate) async fn models(
    extract::State(state): extract::State<State>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    if let Err(refusal) = state.tokens().caller(&headers, &uri) {
        return refused(&refusal, None);
    }
    let mut names = state.client().models();
    names.sort();
    let data = names.iter().map(|name| Model::new(name)).collect();
    response::json(StatusCode::OK, written(&List { object: "list", data }))
}

/// One of them.
pub(crate) async fn model(
    extract::State(state): extract::State<State>,
    extract::Path(name): extract::Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    if let Err(refusal) = state.tokens().caller(&headers, &uri) {
        return refused(&refusal, None);
    }
    match state.know(&name) {
        Ok(()) => response::json(StatusCode::OK, written(&Model::new(&name))),
        Err(refusal) => refused(&refusal, None),
    }
}

fn written(value: &impl Serialize) -> Bytes {
    // Texts and numbers have a JSON form.
    serde_json::to_vec(value).unwrap_or_default().into()
}
