//! What a call asks for, and what each of its attempts needs to know of that.

use bytes::Bytes;
use iron_protocol::NanoUsd;

use crate::Error;
use crate::budget::Ask;
use crate::call::{ChatRequest, EmbedRequest, Text};
use crate::config::Target;
use crate::event::Operation;
use crate::json::Json;
use crate::pricing::{Bound, ChatBound, embed_bound};
use crate::provider::{Output, embed};

/// Fields of the body that are written from what governing a call rests on. One more of them among the others would be
/// the one that the provider reads, and not the one that was reserved for.
const OWN_CHAT_FIELDS: [&str; 6] =
    ["model", "messages", "stream", "n", "max_tokens", "max_completion_tokens"];
const OWN_EMBED_FIELDS: [&str; 2] = ["model", "input"];

/// What a call asks for.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    Chat { request: &'a ChatRequest, stream: bool },
    Embed(&'a EmbedRequest),
}

/// One attempt's bound and what it reserves.
pub(super) struct Plan {
    pub(super) bound: Bound,
    pub(super) ask: Ask,
    chat: Option<ChatBound>,
}

impl Plan {
    /// Whether the request may not fit the model's context, by the bound on its input and the output that is asked for.
    pub(super) fn may_not_fit(&self, target: &Target) -> bool {
        let context = target.price.as_deref().and_then(|price| price.context_tokens);
        self.chat.zip(context).is_some_and(|(chat, context)| chat.most_tokens() > context)
    }

    /// What counts against a limit of tokens.
    pub(super) fn rate_tokens(&self) -> u64 {
        self.chat.map_or(self.bound.input_tokens / 4, |chat| chat.rate_tokens())
    }

    pub(super) fn lowered(&self, granted: NanoUsd) -> Option<u64> {
        // With no budget in the chain everything asked is granted, and nothing is lowered.
        if granted >= self.ask.most { None } else { self.chat?.lowered(granted) }
    }
}

impl Asked<'_> {
    pub(super) fn operation(self) -> Operation {
        match self {
            Self::Chat { stream: false, .. } => Operation::Chat,
            Self::Chat { stream: true, .. } => Operation::Stream,
            Self::Embed(_) => Operation::Embed,
        }
    }

    pub(super) fn model(&self) -> &str {
        match self {
            Self::Chat { request, .. } => &request.model,
            Self::Embed(request) => &request.model,
        }
    }

    pub(super) fn check(self) -> Result<(), Error> {
        let (params, own, empty) = match self {
            Self::Chat { request, .. } => {
                (&request.params, &OWN_CHAT_FIELDS[..], request.messages.is_empty().then_some("messages"))
            }
            Self::Embed(request) => {
                (&request.params, &OWN_EMBED_FIELDS[..], request.input.is_empty().then_some("input"))
            }
        };
        check_fields(params, own)?;
        match empty {
            Some(field) => Err(Error::config(format!("{field} is empty: a call needs at least one"))),
            None => Ok(()),
        }
    }

    pub(super) fn plan(self, target: &Target, least_output: u32) -> Result<Plan, Error> {
        let price = target.price.as_deref();
        match self {
            Self::Chat { request, .. } => {
                let chat = ChatBound::new(request, price, least_output)?;
                Ok(Plan { bound: chat.bound, ask: chat.ask(), chat: Some(chat) })
            }
            Self::Embed(request) => {
                let bound = embed_bound(request, price);
                Ok(Plan { bound, ask: Ask::exactly(bound.input_cost), chat: None })
            }
        }
    }

    /// The context that the request needs, by the usual measure of four bytes a token. It tells which upstreams are
    /// surely too short; of the others they tell themselves.
    pub(super) fn context_tokens<'t>(
        self,
        targets: impl Iterator<Item = &'t Target>,
        least_output: u32,
    ) -> u64 {
        let Self::Chat { request, .. } = self else {
            // Each text of an embeddings call has a context of its own.
            return 0;
        };
        let bounds = targets.filter_map(|target| self.plan(target, least_output).ok());
        // A bound on the input is never above the context of its model: the longest has the truest.
        let input = bounds.map(|plan| plan.bound.input_tokens).max().unwrap_or(0);
        input / 4 + u64::from(request.max_tokens.unwrap_or(0))
    }

    pub(super) fn encode(
        self,
        target: &Target,
        output: Output,
        warnings: &mut Vec<String>,
    ) -> Result<Bytes, Error> {
        match self {
            Self::Chat { request, stream } => {
                target.provider.format.chat(request, target, output, stream, warnings)
            }
            Self::Embed(request) => Ok(embed(request, target)),
        }
    }

    pub(super) fn url(self, target: &Target) -> Result<reqwest::Url, Error> {
        let provider = &target.provider;
        match self {
            Self::Chat { .. } => Ok(provider.chat.of(&target.model)),
            Self::Embed(_) => provider.embeddings.as_ref().map(|to| to.of(&target.model)).ok_or_else(|| {
                let name = &provider.name;
                let why =
                    provider.vendor.no_embeddings.as_deref().map(|why| format!(" that can be used ({why})"));
                let why = why.unwrap_or_default();
                Error::config(format!("provider {name:?} has no embeddings{why}: name a model of another"))
            }),
        }
    }
}

fn check_fields(params: &[(Text, Json)], own: &[&str]) -> Result<(), Error> {
    match params.iter().find(|(name, _)| own.contains(&&**name)) {
        Some((name, _)) => {
            Err(Error::config(format!("{name} has its own argument: it cannot be among the other fields")))
        }
        None => Ok(()),
    }
}
