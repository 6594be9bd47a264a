//! The routes, and what their handlers share.

use std::sync::Arc;

use axum::Router as App;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, Uri};
use iron_runtime::budget::Budget;
use iron_runtime::{CallContext, Client, Run};

use crate::auth::{Caller, Tokens};
use crate::body::{self, Bounds};
use crate::fields::Wrong;
use crate::refusal::Refusal;
use crate::{health, openai};

/// What handlers share.
#[derive(Clone, Debug)]
pub(crate) struct State(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    tokens: Tokens,
    body: Bounds,
}

impl State {
    pub(crate) fn new(client: Client, tokens: Tokens, body: Bounds) -> Self {
        Self(Arc::new(Shared { client, tokens, body }))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    fn bounds(&self) -> Bounds {
        self.0.body
    }

    /// Every budget that holds a call but for its own cap.
    pub(crate) fn budgets(&self, context: &CallContext) -> Vec<Budget> {
        context.budgets.iter().chain(self.0.client.budget()).cloned().collect()
    }

    /// Refuse a model that nobody here knows, before anything is made of the call.
    pub(crate) fn know(&self, model: &str) -> Result<(), Refusal> {
        self.0.client.check_model(model).map_err(|error| Refusal::unknown_model(&error))
    }
}

/// Every route.
pub(crate) fn app(state: State) -> App {
    App::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/embeddings", post(openai::embeddings))
        .route("/v1/models", get(openai::models))
        // A model's name has slashes.
        .route("/v1/models/{*model}", get(openai::model))
        .fallback(openai::unknown_path)
        .method_not_allowed_fallback(openai::wrong_method)
        // Bodies are bounded where they are read, by the configuration.
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}

/// A request, read with `read`, and the bounds of the call that it asks for.
///
/// # Cancel safety
/// What has come of the body is lost.
pub(crate) async fn take<T>(
    state: &State,
    (uri, headers, body): (Uri, HeaderMap, Body),
    read: impl FnOnce(&Bytes) -> Result<T, Wrong>,
) -> Result<(T, CallContext), Refusal> {
    let caller = state.tokens().caller(&headers, &uri)?;
    let body = body::json(&headers, body, state.bounds()).await?;
    Ok((read(&body).map_err(Refusal::wrong)?, context(caller)))
}

/// The bounds of a call that `caller` makes.
fn context(caller: Caller) -> CallContext {
    let mut context = CallContext::new();
    context.budgets.extend(caller.budget);
    if !caller.who.is_nobody() {
        context.run = Some(Run::new(caller.who));
    }
    context
}
