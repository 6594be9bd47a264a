//! A governed call without its network: every stage but the connection, which is what governing itself costs.

use std::hint::black_box;

use bytes::Bytes;

use super::Call;
use super::asked::{Asked, OWN_CHAT_FIELDS, check_fields};
use crate::call::{CallContext, ChatRequest, Reply};
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
    let mut call = Call::begin(&client.0, context)?;
    let asked = Asked::Chat { request: &request, stream: false };
    check_fields(&request.params, &OWN_CHAT_FIELDS)?;
    let route = call.route(&request.model, None)?;
    let _slot = call.admit(&route, asked).await?;
    let Some(target) = route.first() else { return Err(super::unexpected()) };
    let plan = asked.plan(target, call.engine.config.min_output_tokens)?;
    let reservation = call.reserve(plan.ask).await?;
    black_box(asked.encode(target, &plan, reservation.amount()));
    let facts = target.provider.format.reply(&body).map_err(Error::config)?;
    let counted = plan.bound.counted(body.len() as u64);
    let usage = call.settle(reservation, target, &facts, counted);
    Ok(Reply { report: call.report(usage, target.name.clone()), body })
}
