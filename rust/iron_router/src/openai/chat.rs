//! `POST /v1/chat/completions`.

use axum::body::Body;
use axum::extract;
use http::{HeaderMap, Response, StatusCode, Uri};
use iron_protocol::RequestId;
use iron_runtime::{CallContext, ChatRequest};

use super::request::{self, Chat};
use super::{refused, stream};
use crate::app::{self, State};
use crate::refusal::Refusal;
use crate::{body, response};

pub(crate) async fn chat(
    extract::State(state): extract::State<State>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let (chat, context) = match read(&state, &uri, &headers, body).await {
        Ok(read) => read,
        Err(refusal) => return refused(&refusal, None),
    };
    let id = context.request_id;
    let answered = if chat.stream {
        stream::answer(&state, chat.request, context).await
    } else {
        whole(&state, chat.request, context).await
    };
    answered.unwrap_or_else(|refusal| refused(&refusal, Some(id)))
}

async fn read(
    state: &State,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Chat, CallContext), Refusal> {
    let caller = state.tokens().caller(headers, uri)?;
    let body = body::json(headers, body, state.bounds()).await?;
    let chat = request::chat(&body).map_err(Refusal::wrong)?;
    state.client().check_model(&chat.request.model).map_err(|error| Refusal::unknown_model(&error))?;
    Ok((chat, app::context(caller)))
}

async fn whole(state: &State, request: ChatRequest, context: CallContext) -> Result<Response<Body>, Refusal> {
    let id: RequestId = context.request_id;
    let budgets = context.budgets.clone();
    let reply = state.client().chat(request, context).await?;
    let mut answer = response::json(StatusCode::OK, reply.body);
    let remaining = response::remaining(budgets.iter().chain(state.client().budget()));
    response::tell_id(answer.headers_mut(), id);
    response::tell_report(answer.headers_mut(), &reply.report, remaining);
    Ok(answer)
}
