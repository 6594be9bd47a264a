//! The service: what a request asks for, and whether it may have it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::anthropic;
use crate::azure;
use crate::body::ReplyBody;
use crate::clock;
use crate::dialect::Dialect;
use crate::ending::{Ending, How};
use crate::flight::Flight;
use crate::openai::embeddings::EmbeddingsRequest;
use crate::openai::error::ApiError;
use crate::openai::models;
use crate::openai::request::ChatRequest;
use crate::record::{Exchange, Journal, last_four};
use crate::script::Script;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::wire::Wire;

/// What all connections of a simulator share.
pub(crate) struct Service {
    pub(crate) settings: Settings,
    pub(crate) counters: Arc<Counters>,
    pub(crate) journal: Journal,
    script: RwLock<Arc<Script>>,
    ordinal: AtomicU64,
    start: Instant,
}

/// What a request asks for.
pub(crate) enum Work {
    Chat(Box<ChatRequest>),
    Embeddings(EmbeddingsRequest),
    /// A body that is known already.
    Known(Bytes),
}

impl Service {
    pub(crate) fn new(settings: Settings, script: Script) -> Self {
        Self {
            counters: Arc::default(),
            journal: Journal::new(settings.record_limit, settings.record_body_limit_bytes),
            script: RwLock::new(Arc::new(script)),
            ordinal: AtomicU64::new(0),
            start: clock::now(),
            settings,
        }
    }

    pub(crate) fn script(&self) -> Arc<Script> {
        Arc::clone(&self.script.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_script(&self, script: Script) {
        *self.script.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// Forget what was, so that the same sequence of requests gives the same bytes again.
    pub(crate) fn reset(&self) {
        self.counters.reset();
        self.journal.clear();
        self.script().reset();
        self.ordinal.store(0, Ordering::Relaxed);
    }

    /// Answer one request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        wire: Arc<Wire>,
        request: Request<Incoming>,
    ) -> Result<Response<ReplyBody>, Ending> {
        let (head, incoming) = request.into_parts();
        let exchange = Arc::new(Exchange::new(
            self.ordinal.fetch_add(1, Ordering::Relaxed),
            head.method,
            head.uri.path().to_owned(),
            u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
        ));
        let flight = Flight::begin(&self.counters, &exchange);
        let limit = self.settings.max_body_bytes;
        let work = match read_body(incoming, &head.headers, limit).await {
            Ok((body, len)) if len > limit => {
                self.journal.add(&exchange, &head.headers, &body);
                let message = format!("Maximum content size limit ({limit}) exceeded ({len} bytes)");
                Err(ApiError::new(413, message).code("request_too_large"))
            }
            Ok((body, _)) => {
                self.journal.add(&exchange, &head.headers, &body);
                self.work(&exchange, &head.headers, head.uri.query(), &body)
            }
            // The client left before it had sent its request.
            Err(_) => return Err(Ending::new(How::Close, Bytes::new(), Some(flight))),
        };
        let headers = &head.headers;
        let answer = Answer { service: &self, wire: &wire, exchange: &exchange, headers, flight };
        match work {
            Ok(work) => answer.work(work).await,
            Err(error) => Ok(answer.error(&error)),
        }
    }

    fn work(
        &self,
        exchange: &Exchange,
        headers: &HeaderMap,
        query: Option<&str>,
        body: &Bytes,
    ) -> Result<Work, ApiError> {
        let method = &exchange.method;
        let azure = azure::Place::of(&exchange.path, query)?;
        let (path, body) = match &azure {
            Some(place) => (&*place.path, &place.body(body)),
            None => (&*exchange.path, body),
        };
        match Dialect::of(path) {
            Dialect::OpenAi => self.check_key(headers, azure.is_some())?,
            Dialect::Anthropic => self.check_anthropic_headers(headers)?,
        }
        let allow = |allowed: &Method| {
            if method == allowed {
                return Ok(());
            }
            Err(ApiError::new(405, format!("Not allowed to {method} on {path}."))
                .code("method_not_supported"))
        };
        match path {
            "/v1/chat/completions" => {
                allow(&Method::POST)?;
                let request = ChatRequest::read(body)?;
                self.check_model(&request.model)?;
                Ok(Work::Chat(Box::new(request)))
            }
            "/v1/messages" => {
                allow(&Method::POST)?;
                let request = anthropic::request::read(body)?;
                self.check_model(&request.model)?;
                Ok(Work::Chat(Box::new(request)))
            }
            "/v1/messages/count_tokens" => {
                allow(&Method::POST)?;
                let tokens = anthropic::request::count(body)?;
                Ok(Work::Known(json!({"input_tokens": tokens}).to_string().into()))
            }
            "/v1/embeddings" => {
                allow(&Method::POST)?;
                let request = EmbeddingsRequest::read(body)?;
                self.check_model(&request.model)?;
                Ok(Work::Embeddings(request))
            }
            "/v1/models" => {
                allow(&Method::GET)?;
                Ok(Work::Known(models::list(&self.settings)))
            }
            _ => match path.strip_prefix("/v1/models/") {
                Some(id) => {
                    allow(&Method::GET)?;
                    Ok(Work::Known(models::one(&self.settings, &decoded(id))?))
                }
                None => Err(ApiError::new(404, format!("Invalid URL ({method} {path})"))),
            },
        }
    }

    fn check_key(&self, headers: &HeaderMap, azure: bool) -> Result<(), ApiError> {
        let Some(key) = &self.settings.api_key else { return Ok(()) };
        if azure && headers.get("api-key").is_some_and(|sent| sent.as_bytes() == key.as_bytes()) {
            return Ok(());
        }
        let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match sent.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(sent) if sent == key => Ok(()),
            Some(sent) => {
                Err(ApiError::new(401, format!("Incorrect API key provided: {}.", last_four(sent)))
                    .code("invalid_api_key"))
            }
            None => Err(ApiError::new(
                401,
                "You didn't provide an API key. You need to provide your API key in an Authorization header using \
                 Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            )),
        }
    }

    fn check_anthropic_headers(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(key) = &self.settings.api_key {
            let bearer = || header("authorization").and_then(|value| value.strip_prefix("Bearer "));
            match header("x-api-key").or_else(bearer) {
                Some(sent) if sent == key => {}
                Some(_) => return Err(ApiError::new(401, "invalid x-api-key")),
                None => return Err(ApiError::new(401, "x-api-key header is required")),
            }
        }
        match header("anthropic-version") {
            // A date: which ones there are is the provider's to say.
            Some(version) if version.len() == 10 => Ok(()),
            Some(version) => {
                Err(ApiError::invalid(format!("anthropic-version: {version:?} is not a valid version")))
            }
            None => Err(ApiError::invalid("anthropic-version: header is required")),
        }
    }

    fn check_model(&self, model: &str) -> Result<(), ApiError> {
        if self.settings.any_model || self.settings.models.iter().any(|known| known == model) {
            return Ok(());
        }
        Err(ApiError::unknown_model(model))
    }
}

/// Read a body whole: its bytes and length. Of one longer than `limit` the bytes are thrown away, but read all the
/// same, so that the client hears the answer and not a reset.
async fn read_body(
    mut incoming: Incoming,
    headers: &HeaderMap,
    limit: usize,
) -> Result<(Bytes, usize), hyper::Error> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut len = 0;
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        len += data.len();
        if len > limit {
            first = Bytes::new();
            rest = BytesMut::new();
        } else if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                let told = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
                rest.reserve(told.unwrap_or(len).clamp(len, limit));
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok((if rest.is_empty() { first } else { rest.freeze() }, len))
}

/// A path with its percent escapes decoded.
pub(crate) fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.filter(|_| byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn escapes_in_model_names() {
        for (path, name) in
            [("gpt-5", "gpt-5"), ("ft%3Agpt%2F1", "ft:gpt/1"), ("50%", "50%"), ("%zz%4", "%zz%4")]
        {
            assert_eq!(decoded(path), name);
        }
    }
}
