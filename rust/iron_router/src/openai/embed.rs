//! `POST /v1/embeddings`.

use axum::body::Body;
use axum::extract;
use http::{HeaderMap, Response, StatusCode, Uri};
use iron_runtime::{CallContext, EmbedRequest};

use super::{refused, request};
use crate::app::{self, State};
use crate::refusal::Refusal;
use crate::{body, response};

pub(crate) async fn embeddings(
    extract::State(state): extract::State<State>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let (request, context) = match read(&state, &uri, &headers, body).await {
        Ok(read) => read,
        Err(refusal) => return refused(&refusal, None),
    };
    let id = context.request_id;
    let budgets = context.budgets.clone();
    match state.client().embed(request, context).await {
        Ok(reply) => {
            let mut answer = response::json(StatusCode::OK, reply.body);
            let remaining = response::remaining(budgets.iter().chain(state.client().budget()));
            response::tell_id(answer.headers_mut(), id);
            response::tell_report(answer.headers_mut(), &reply.report, remaining);
            answer
        }
        Err(error) => refused(&error.into(), Some(id)),
    }
}

async fn read(
    state: &State,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<(EmbedRequest, CallContext), Refusal> {
    let caller = state.tokens().caller(headers, uri)?;
    let body = body::json(headers, body, state.bounds()).await?;
    let request = request::embed(&body).map_err(Refusal::wrong)?;
    state.client().check_model(&request.model).map_err(|error| Refusal::unknown_model(&error))?;
    Ok((request, app::context(caller)))
}
