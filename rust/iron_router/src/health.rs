//! Health: what a supervisor asks.

use axum::extract;
use http::StatusCode;

use crate::app::State;

/// The process answers.
pub(crate) async fn live() -> StatusCode {
    StatusCode::OK
}

/// Calls are taken.
pub(crate) async fn ready(extract::State(state): extract::State<State>) -> StatusCode {
    if state.client().is_closed() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}
