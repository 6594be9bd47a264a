//! The list of models.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::openai::error::ApiError;
use crate::settings::Settings;

fn model(id: &str, created: u64) -> Value {
    json!({"id": id, "object": "model", "created": created, "owned_by": "openai"})
}

/// The body of `GET /v1/models`.
pub(crate) fn list(settings: &Settings) -> Bytes {
    let models: Vec<Value> = settings.models.iter().map(|id| model(id, settings.created_unix)).collect();
    json!({"object": "list", "data": models}).to_string().into()
}

/// The body of `GET /v1/models/{id}`.
pub(crate) fn one(settings: &Settings, id: &str) -> Result<Bytes, ApiError> {
    if settings.models.iter().any(|known| known == id) {
        return Ok(model(id, settings.created_unix).to_string().into());
    }
    let mut error = ApiError::unknown_model(id).param("model");
    error.message = format!("The model '{id}' does not exist").into();
    Err(error)
}
