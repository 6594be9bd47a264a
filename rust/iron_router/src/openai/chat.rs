//! `POST /v1/chat/completions`.

use axum::body::Body;
use axum::extract;
use http::{HeaderMap, Response, Uri};
use iron_runtime::{CallContext, ChatRequest};

use super::request::{self, Chat};
use super::{refused, stream};
use crate::app::{self, State};
use crate::refusal::Refusal;
use crate::response;

pub(crate) async fn chat(
    extract::State(state): extract::State<State>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let taken = app::take(&state, (uri, headers, body), request::chat).await;
    let (Chat { request, stream }, context) = match taken {
        Ok(taken) => taken,
        Err(refusal) => return refused(&refusal, None),
    };
    let id = context.request_id;
    let answered = if stream {
        stream::answer(&state, request, context).await
    } else {
        whole(&state, request, context).await
    };
    answered.unwrap_or_else(|refusal| refused(&refusal, Some(id)))
}

async fn whole(state: &State, request: ChatRequest, context: CallContext) -> Result<Response<Body>, Refusal> {
    state.know(&request.model)?;
    let budgets = state.budgets(&context);
    let reply = state.client().chat(request, context).await?;
    Ok(response::reply(reply, &budgets))
}
