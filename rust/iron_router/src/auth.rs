//! Tokens: who may ask, and for whom.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, StatusCode, Uri};
use iron_runtime::budget::{Budget, Ledger};
use iron_runtime::config::{RouterConfig, TokenDigest};
use iron_runtime::{Error, Who};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::refusal::Refusal;

/// Where Anthropic's clients put their key.
const API_KEY: &str = "x-api-key";
/// Who a caller says that it is.
const AGENT: &str = "x-iron-agent";
/// What else it says of itself, divided by commas.
const TAGS: &str = "x-iron-tags";

/// All tokens of a router.
#[derive(Debug)]
pub(crate) struct Tokens(Vec<Token>);

#[derive(Debug)]
struct Token {
    digest: TokenDigest,
    who: Arc<Who>,
    budget: Option<Budget>,
}

/// Who sent a request.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) who: Who,
    pub(crate) budget: Option<Budget>,
}

impl Tokens {
    pub(crate) fn new(config: &RouterConfig, ledger: &Ledger) -> Result<Self, Error> {
        let tokens = config.tokens.iter().map(|token| {
            Ok(Token { digest: token.digest, who: token.who.clone(), budget: token.open(ledger)? })
        });
        tokens.collect::<Result<_, _>>().map(Self)
    }

    /// Who sent a request with these headers.
    pub(crate) fn caller(&self, headers: &HeaderMap, uri: &Uri) -> Result<Caller, Refusal> {
        let said = said(headers)?;
        if self.0.is_empty() {
            is_local(headers, uri)?;
            return Ok(Caller { who: said, budget: None });
        }
        let shown =
            shown(headers).ok_or_else(|| unauthorized("no token was sent: give it as the API key"))?;
        let digest = TokenDigest::of(shown);
        // Every token is looked at, whichever it is: how long that takes tells nothing.
        let (mut found, mut known) = (0_u32, Choice::from(0));
        for (index, token) in (0_u32..).zip(&self.0) {
            let same = token.digest.as_bytes().ct_eq(digest.as_bytes());
            found.conditional_assign(&index, same);
            known |= same;
        }
        let token = self.0.get(found as usize).filter(|_| bool::from(known));
        let token = token.ok_or_else(|| unauthorized("the token is not known to this router"))?;
        // A token that is an agent's cannot be used as another's.
        let own = Who { agent: token.who.agent.clone().or_else(|| said.agent.clone()), tags: said.tags };
        Ok(Caller { who: own.within(&token.who), budget: token.budget.clone() })
    }
}

/// Without tokens only programs of this machine may ask. A page in a browser may ask whatever its own host name
/// resolves to, and then that name is the host.
fn is_local(headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.host());
    let name = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let name = name.as_ref().map_or("", |name| name.host());
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    if name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback()) {
        return Ok(());
    }
    let message = "this router has no tokens and answers to localhost and loopback addresses alone: \
                   ask it by one of them, or give it tokens";
    Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden_host", message))
}

fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let bearer = bearer.filter(|value| value.len() > 7 && value[..7].eq_ignore_ascii_case(b"bearer "));
    bearer.map(|value| &value[7..]).or_else(|| headers.get(API_KEY).map(http::HeaderValue::as_bytes))
}

fn said(headers: &HeaderMap) -> Result<Who, Refusal> {
    let text = |name: &str| {
        let value = headers.get(name).map(http::HeaderValue::to_str).transpose();
        value.map_err(|_| bad_header(format!("{name} is not plain text")))
    };
    let (agent, tags) = (text(AGENT)?, text(TAGS)?);
    let tags: Vec<_> = tags.into_iter().flat_map(|tags| tags.split(',')).map(str::trim).collect();
    Who::new(agent, &tags).map_err(|error| bad_header(format!("{AGENT}, {TAGS}: {error}")))
}

fn bad_header(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", message)
}

fn unauthorized(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "invalid_token", message)
}
