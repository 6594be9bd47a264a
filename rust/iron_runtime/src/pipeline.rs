//! The order of a governed call, straight-line: admit, reserve, send, decode, settle.
//!
//! Whatever a call holds (its reservation, its places among those in flight) is a guard: dropping the future
//! at any await gives all of it up, exactly once. A reservation is made for each attempt, at the price of the upstream
//! that is asked, because each attempt that may be billed is settled by itself.

mod answer;
mod asked;
mod attempt;
#[cfg(feature = "bench")]
pub mod bench;
mod call;
mod engine;
mod entry;
mod held;
mod output;
mod record;
mod screen;
mod tools;

use std::sync::Arc;

use self::asked::Asked;
use self::attempt::Answer;
pub(crate) use self::attempt::Open;
pub(crate) use self::call::Call;
pub(crate) use self::engine::Engine;
pub(crate) use self::held::Held;
pub(crate) use self::screen::{StreamRestore, StreamScreen};
use crate::Error;
use crate::audit::Prompt;
use crate::call::{CallContext, ChatRequest, EmbedRequest, Reply};
use crate::output::Wanted;
use crate::pricing::Estimate;
use crate::stream::ChatStream;
use crate::tool::Offer;

/// A chat completion as one reply.
///
/// # Cancel safety
/// Dropping the future releases what was not sent and settles what was.
pub(crate) async fn chat(
    engine: &Arc<Engine>,
    mut request: ChatRequest,
    context: CallContext,
) -> Result<Reply, Error> {
    let mut call = Call::begin(engine, context, Asked::Chat { request: &request, stream: false })?;
    let (offer, wanted) = match call.take_in(&mut request, false).await {
        Ok(taken) => taken,
        Err(refused) => {
            let refused = Err(call.watch.failed(refused));
            return call.recorded(refused).await;
        }
    };
    call.note(|| Prompt::Chat(request.messages.clone()));
    let mut governed = call.govern(Asked::Chat { request: &request, stream: false }).await;
    if call.is_screened() {
        governed = match governed {
            Ok(answer) => call.screen_reply(answer).await,
            Err(error) => Err(error),
        };
    }
    if let Some(wanted) = &wanted {
        governed = match governed {
            // On the heap: most calls want nothing of their output.
            Ok(answer) => Box::pin(call.repaired(answer, &mut request, wanted)).await,
            Err(error) => Err(error),
        };
    }
    // After the policy: the arguments are those that the caller would get.
    if let (Some(offer), Ok(answer)) = (offer, &governed)
        && let Err(denied) = call.judge_tools(offer, answer).await
    {
        governed = Err(denied);
    }
    let outcome = call.whole(governed);
    call.recorded(outcome).await
}

/// What a chat completion would reserve.
pub(crate) fn estimate(engine: &Engine, request: &ChatRequest) -> Result<Estimate, Error> {
    Asked::Chat { request, stream: false }.check()?;
    let route = engine.route(&request.model)?;
    Estimate::dearest(request, route.targets(), engine.config.min_output_tokens)
}

/// A chat completion as a stream, ready once the first of its content has come: until then it is tried again and falls
/// back as a plain call is.
///
/// # Cancel safety
/// As [`chat`]; the stream itself settles when it ends or is dropped.
pub(crate) async fn stream(
    engine: &Arc<Engine>,
    mut request: ChatRequest,
    context: CallContext,
) -> Result<ChatStream, Error> {
    let mut call = Call::begin(engine, context, Asked::Chat { request: &request, stream: true })?;
    let (offer, wanted) = match call.take_in(&mut request, true).await {
        Ok(taken) => taken,
        Err(refused) => {
            let refused = Err(call.watch.failed(refused));
            return call.recorded(refused).await;
        }
    };
    call.note(|| Prompt::Chat(request.messages.clone()));
    let error = match call.govern(Asked::Chat { request: &request, stream: true }).await {
        Ok(Answer::Begun(open)) => {
            let held = call.stream_held(offer);
            return Ok(ChatStream::new(call, *open, &request, held, wanted));
        }
        Ok(Answer::Whole { .. }) => unexpected(),
        Err(error) => error,
    };
    let failed = Err(call.watch.failed(error));
    call.recorded(failed).await
}

/// Embeddings.
///
/// # Cancel safety
/// As [`chat`].
pub(crate) async fn embed(
    engine: &Arc<Engine>,
    mut request: EmbedRequest,
    context: CallContext,
) -> Result<Reply, Error> {
    let mut call = Call::begin(engine, context, Asked::Embed(&request))?;
    if call.is_screened()
        && let Err(refused) = call.screen_embed(&mut request).await
    {
        let refused = Err(call.watch.failed(refused));
        return call.recorded(refused).await;
    }
    call.note(|| Prompt::Embed(request.input.clone()));
    let governed = call.govern(Asked::Embed(&request)).await;
    let outcome = call.whole(governed);
    call.recorded(outcome).await
}

fn unexpected() -> Error {
    Error::Internal { message: "an upstream's answer has the wrong form".to_owned() }
}

impl Call {
    /// Hold a chat's request against policies and rules on tools: what they let pass is left in it. What tools it offers
    /// then, where rules on tools hold, and what its reply has to be.
    async fn take_in(
        &mut self,
        request: &mut ChatRequest,
        stream: bool,
    ) -> Result<(Option<Offer>, Option<Box<Wanted>>), Error> {
        // As the caller wrote it: what a policy takes out of a schema it does not take out of what the caller wants.
        let wanted = self.wanted(request, stream)?;
        if self.is_screened() {
            self.screen_chat(request).await?;
        }
        Ok((self.offer_tools(request)?, wanted))
    }

    /// Every stage up to an upstream's answer.
    async fn govern(&mut self, asked: Asked<'_>) -> Result<Answer, Error> {
        asked.check()?;
        let route = self.route(asked.model())?;
        self.admit(&route, asked).await?;
        self.answer(&route, asked).await
    }

    /// The reply of a call that is no stream.
    fn whole(&mut self, governed: Result<Answer, Error>) -> Result<Reply, Error> {
        match governed {
            Ok(Answer::Whole { body, raw, usage, upstream }) => {
                let report = self.report(usage, upstream);
                if self.is_noted() {
                    let said = self.said.take().unwrap_or_else(|| body.clone());
                    self.note_reply(said);
                }
                self.watch.answered(&report);
                Ok(Reply { report, body, raw })
            }
            Ok(Answer::Begun(_)) => Err(self.watch.failed(unexpected())),
            Err(error) => Err(self.watch.failed(error)),
        }
    }
}
