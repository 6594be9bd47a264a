//! `POST /v1/embeddings`.

use axum::body::Body;
use axum::extract;
use http::{HeaderMap, Response, Uri};
use iron_runtime::{CallContext, EmbedRequest};

use super::{refused, request};
use crate::app::{self, State};
use crate::refusal::Refusal;
use crate::response;

pub(crate) async fn embeddings(
    extract::State(state): extract::State<State>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let (request, context) = match app::take(&state, (uri, headers, body), request::embed).await {
        Ok(taken) => taken,
        Err(refusal) => return refused(&refusal, None),
    };
    let id = context.request_id;
    whole(&state, request, context).await.unwrap_or_else(|refusal| refused(&refusal, Some(id)))
}

async fn whole(
    state: &State,
    request: EmbedRequest,
    context: CallContext,
) -> Result<Response<Body>, Refusal> {
    state.know(&request.model)?;
    let budgets = state.budgets(&context);
    let reply = state.client().embed(request, context).await?;
    Ok(response::reply(reply, &budgets))
}
