//! The routes, and what their handlers share.

use std::sync::Arc;

use axum::Router as App;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use iron_runtime::{CallContext, Client, Run};

use crate::auth::{Caller, Tokens};
use crate::body::Bounds;
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

    pub(crate) fn bounds(&self) -> Bounds {
        self.0.body
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

/// The bounds of a call that `caller` makes.
pub(crate) fn context(caller: Caller) -> CallContext {
    let mut context = CallContext::new();
    context.budgets.extend(caller.budget);
    if !caller.who.is_nobody() {
        context.run = Some(Run::new(caller.who));
    }
    context
}
