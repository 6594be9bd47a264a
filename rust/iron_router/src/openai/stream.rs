//! A chat completion as server-sent events.

use std::convert::Infallible;

use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};
use iron_runtime::budget::Budget;
use iron_runtime::{CallContext, CallReport, ChatRequest, ChatStream, Chunk};
use serde_json::{Value, json};

use super::error;
use crate::app::State;
use crate::refusal::Refusal;
use crate::response;

/// Events on their way to a client. They are read from the provider as the client takes them: one that is slow holds up
/// nothing but its own stream.
struct Events {
    stream: ChatStream,
    budgets: Vec<Budget>,
    /// The event of usage, kept until the cost is known.
    usage: Option<Bytes>,
    ended: bool,
}

pub(super) async fn answer(
    state: &State,
    request: ChatRequest,
    context: CallContext,
) -> Result<Response<Body>, Refusal> {
    state.know(&request.model)?;
    let id = context.request_id;
    let budgets = state.budgets(&context);
    let stream = state.client().stream(request, context).await?;
    let events = Events { stream, budgets, usage: None, ended: false };
    let events = stream::unfold(events, |mut events| async {
        let written = events.next().await?;
        Some((Ok::<_, Infallible>(written), events))
    });
    let mut answer = response::with_body(StatusCode::OK, "text/event-stream", Body::from_stream(events));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response::tell_id(answer.headers_mut(), id);
    Ok(answer)
}

impl Events {
    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let mut written = BytesMut::new();
            match self.stream.next_batch().await {
                Some(Ok(chunks)) => {
                    for chunk in chunks {
                        self.write(chunk, &mut written);
                    }
                }
                Some(Err(failed)) => {
                    self.ended = true;
                    // Without the end that the format has, a client does not take it for the whole reply.
                    event(&error::body(&failed.into()), &mut written);
                }
                None => {
                    self.ended = true;
                    if let Some(usage) = self.usage.take() {
                        event(&self.priced(&usage).unwrap_or(usage), &mut written);
                    }
                    event(b"[DONE]", &mut written);
                }
            }
            if !written.is_empty() {
                return Some(written.freeze());
            }
        }
        None
    }

    fn write(&mut self, chunk: Chunk, written: &mut BytesMut) {
        // Such an event comes at the end, and to those who ask for it.
        let tells_usage = chunk.finish_reason.is_none() && chunk.text.is_empty() && is_usage(&chunk.data);
        if tells_usage {
            self.usage = Some(chunk.data);
        } else {
            event(&chunk.data, written);
        }
    }

    /// The event of usage with what the call cost.
    fn priced(&self, usage: &Bytes) -> Option<Bytes> {
        let CallReport { request_id, cost, upstream, .. } = self.stream.report()?;
        let mut event: Value = serde_json::from_slice(usage).ok()?;
        let remaining = response::remaining(&self.budgets).map(|remaining| remaining.to_string());
        event.as_object_mut()?.insert(
            "iron".to_owned(),
            json!({
                "request_id": request_id.to_string(),
                "upstream": &*upstream,
                "cost_usd": cost.to_string(),
                "budget_remaining_usd": remaining,
            }),
        );
        Some(event.to_string().into())
    }
}

fn is_usage(data: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Shape {
        #[serde(default)]
        choices: Vec<serde::de::IgnoredAny>,
        usage: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Shape>(data).is_ok_and(|event| event.choices.is_empty() && event.usage.is_some())
}

fn event(data: &[u8], written: &mut BytesMut) {
    written.reserve(data.len() + 8);
    written.put_slice(b"data: ");
    written.put_slice(data);
    written.put_slice(b"\n\n");
}
