//! A governed call without its network: every stage but the connection, which is what governing itself costs.

use std::hint::black_box;

use bytes::Bytes;

use super::Call;
use super::asked::Asked;
use super::attempt::Answer;
use crate::call::{CallContext, ChatRequest, Reply};
use crate::provider::{Decoded, Output, Reading, WireFormat};
use crate::upstream::Verdict;
use crate::{Client, Error};

/// Govern one attempt of a plain call that is answered with `body`.
///
/// # Errors
/// As [`Client::chat`].
///
/// # Cancel safety
/// As [`Client::chat`].
pub async fn governed(
    client: &Client,
    request: ChatRequest,
    context: CallContext,
    body: Bytes,
) -> Result<Reply, Error> {
    let asked = Asked::Chat { request: &request, stream: false };
    let mut call = Call::begin(&client.0, context, asked)?;
    asked.check()?;
    let route = call.route(asked.model())?;
    call.admit(&route, asked).await?;
    let engine = call.engine.clone();
    let mut trip = call.trip(&route, asked);
    let Some(wait) = trip.next() else { return Err(super::unexpected()) };
    let stop = trip.stop();
    let target = stop.target;
    let plan = asked.plan(target, engine.config.min_output_tokens)?;
    black_box(asked.encode(target, Output::Asked, &mut call.warnings)?);
    stop.upstream.called();
    let entered = call.enter(stop, &plan, wait).await;
    let (reservation, mut visit) = entered.map_err(|failure| failure.error)?;
    visit.accepted();
    let Decoded { facts, body, raw } =
        target.provider.format.reply(&body).map_err(|_| super::unexpected())?;
    visit.end(Verdict::Well);
    let counted = plan.bound.counted(body.len() as u64);
    let usage = call.settle(reservation, target, &facts, counted);
    call.whole(Ok(Answer::Whole { body, raw, usage, upstream: target.name.clone() }))
}

/// Hold a request against the policies of its call.
///
/// # Errors
/// As [`Client::chat`].
///
/// # Cancel safety
/// As [`Client::chat`].
pub async fn screened(
    client: &Client,
    mut request: ChatRequest,
    context: CallContext,
) -> Result<ChatRequest, Error> {
    let mut call = Call::begin(&client.0, context, Asked::Chat { request: &request, stream: false })?;
    call.screen_chat(&mut request).await?;
    Ok(request)
}

/// Read the events of a stream and hold each against the policies of its call: how many chunks are shown.
///
/// # Errors
/// As [`Client::chat_stream`].
///
/// # Cancel safety
/// As [`Client::chat_stream`].
pub async fn streamed(client: &Client, mut request: ChatRequest, events: &[Bytes]) -> Result<usize, Error> {
    let asked = Asked::Chat { request: &request, stream: true };
    let mut call = Call::begin(&client.0, CallContext::new(), asked)?;
    call.screen_chat(&mut request).await?;
    let mut screen = call.stream_screen(&request).filter(|screen| !screen.is_behind());
    let mut restore = call.stream_restore();
    let mut reading = Reading::new(WireFormat::OpenAi, &request);
    let (mut came, mut shown, mut count) = (Vec::new(), Vec::new(), 0);
    for event in events {
        reading.read(event.clone(), &mut came).map_err(|_| super::unexpected())?;
        match &mut screen {
            Some(screen) => screen.pass(came.drain(..), &mut shown)?,
            None => shown.append(&mut came),
        }
        if let Some(restore) = &mut restore {
            restore.pass(std::mem::take(&mut shown).into_iter(), &mut shown)?;
        }
        count += shown.len();
        shown.clear();
    }
    Ok(count)
}
