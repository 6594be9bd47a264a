//! The answer to one request: what the plan says, in time, as an HTTP response.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use tokio::time::sleep;

use crate::anthropic;
use crate::anthropic::stream::MessageStream;
use crate::body::ReplyBody;
use crate::clock;
use crate::dialect::Dialect;
use crate::draw::{Draw, Purpose};
use crate::ending::{Ending, How};
use crate::events::Events;
use crate::fault::{At, Fault};
use crate::flight::Flight;
use crate::openai::chat::{Heading, completion};
use crate::openai::error::ApiError;
use crate::openai::request::ChatRequest;
use crate::openai::stream::ChatStream;
use crate::record::Exchange;
use crate::refusal::{refusal, refuses};
use crate::reply::{Choice, Draws, choices, usage};
use crate::script::{Facts, Plan};
use crate::service::{Service, Work};
use crate::stats::Usage;
use crate::wire::Wire;

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream; charset=utf-8";

/// An answer being made.
pub(crate) struct Answer<'a> {
    pub(crate) service: &'a Arc<Service>,
    pub(crate) wire: &'a Arc<Wire>,
    pub(crate) exchange: &'a Exchange,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) flight: Flight,
}

/// What was generated.
enum Made {
    Whole(Bytes),
    Events(Events),
}

impl Answer<'_> {
    /// Do what a request that is in order asks for, or what a rule says instead.
    pub(crate) async fn work(mut self, work: Work) -> Result<Response<ReplyBody>, Ending> {
        let plan = self.plan(&work);
        let latency = plan.latency().unwrap_or(self.service.settings.latency_ms);
        let latency = latency.draw(&mut self.draw(Purpose::Latency));
        if let Some(fault) = plan.fault() {
            self.flight.fault(fault.kind());
            if refuses(fault) {
                wait(latency).await;
                return self.refuse(fault, latency);
            }
        }
        let rate = plan.tokens_per_second().or(self.service.settings.tokens_per_second);
        let (made, usage) = self.make(work, &plan);
        let generating = match (&made, rate) {
            (Made::Whole(_), Some(rate)) => {
                let tokens = u32::try_from(usage.output).unwrap_or(u32::MAX);
                latency + clock::millis(f64::from(tokens) * 1000.0 / rate)
            }
            _ => latency,
        };
        wait(generating).await;
        if let Some(Fault::Stall(stall)) = plan.fault()
            && stall.at == At::BeforeHeaders
        {
            match stall.ms {
                Some(ms) => sleep(Duration::from_millis(ms)).await,
                None => pending().await,
            }
        }
        let content_type = match made {
            Made::Whole(_) => JSON,
            Made::Events(_) => EVENTS,
        };
        let mut headers = self.headers(content_type, generating, usage);
        self.flight.head(200);
        let body = match made {
            Made::Whole(bytes) => match plan.fault() {
                Some(Fault::WrongLength(fault)) => {
                    let length = (bytes.len() as u64).saturating_add_signed(fault.by);
                    return Err(self.raw(&headers, &format!("content-length: {length}\r\n\r\n"), &bytes));
                }
                Some(Fault::TruncatedChunks(fault)) => {
                    let missing = usize::try_from(fault.missing).unwrap_or(usize::MAX);
                    let framing = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n", bytes.len());
                    let cut = bytes.slice(..bytes.len().saturating_sub(missing));
                    return Err(self.raw(&headers, &framing, &cut));
                }
                Some(Fault::MalformedJson(_)) => {
                    // All but the brace that closes it.
                    let cut = bytes.slice(..bytes.len().saturating_sub(1));
                    ReplyBody::whole(cut, self.wire, self.flight)
                }
                _ => ReplyBody::whole(bytes, self.wire, self.flight),
            },
            Made::Events(stream) => ReplyBody::events(stream, rate, self.wire, self.flight),
        };
        let body = match plan.fault() {
            Some(Fault::Padded(padding)) => {
                if let Some(coding) = padding.coding {
                    put(&mut headers, CONTENT_ENCODING, coding.name());
                }
                body.padded(*padding)
            }
            Some(fault) => body.with_fault(fault),
            None => body,
        };
        Ok(response(StatusCode::OK, headers, body))
    }

    /// The answer to a request that is not in order.
    pub(crate) fn error(self, error: &ApiError) -> Response<ReplyBody> {
        let mut headers = self.headers(JSON, Duration::ZERO, Usage::default());
        if error.status == 405 {
            let allowed =
                if self.exchange.path.starts_with("/v1/models") { Method::GET } else { Method::POST };
            put(&mut headers, ALLOW, allowed.as_str());
        }
        self.flight.head(error.status);
        let body = self.dialect().error(error, &self.request_id());
        respond(error.status, headers, ReplyBody::whole(body, self.wire, self.flight))
    }

    fn draw(&self, purpose: Purpose) -> Draw {
        Draw::new(self.service.settings.seed, purpose, self.exchange.ordinal)
    }

    fn plan(&self, work: &Work) -> Plan {
        let (model, text, stream) = match work {
            Work::Chat(request) => (request.model.as_str(), request.last_text.as_str(), request.stream),
            Work::Embeddings(request) => (request.model.as_str(), "", false),
            Work::Known(_) => ("", "", false),
        };
        let facts = Facts {
            chat: matches!(work, Work::Chat(_)),
            stream,
            model,
            text,
            path: &self.exchange.path,
            headers: self.headers,
        };
        self.service.script().plan(&facts, self.service.settings.seed)
    }

    /// Generate: from here on the provider bills.
    fn make(&mut self, work: Work, plan: &Plan) -> (Made, Usage) {
        let counters = &self.service.counters;
        match work {
            Work::Chat(request) => self.chat(&request, plan),
            Work::Embeddings(request) => {
                let usage = Usage { input: request.input_tokens(), ..Usage::default() };
                self.flight.accept(&request.model, usage, false);
                counters.embedding_calls.fetch_add(1, Relaxed);
                counters.embeddings.fetch_add(request.len(), Relaxed);
                (Made::Whole(request.reply(self.service.settings.seed)), usage)
            }
            Work::Known(body) => (Made::Whole(body), Usage::default()),
        }
    }

    fn chat(&mut self, request: &ChatRequest, plan: &Plan) -> (Made, Usage) {
        let mut draws = Draws {
            ids: self.draw(Purpose::Ids),
            words: self.draw(Purpose::Words),
            schema: self.draw(Purpose::Schema),
        };
        let choices = choices(request, plan.reply(), plan.turn, &mut draws);
        let usage = usage(request, plan.reply(), &choices);
        self.flight.accept(&request.model, usage, request.stream);
        self.service.counters.chat_calls.fetch_add(1, Relaxed);
        let made = match request.dialect {
            Dialect::OpenAi => self.completion(request, choices, usage, &mut draws),
            Dialect::Anthropic => self.message(request, choices, usage, &mut draws),
        };
        let made = match (made, plan.fault()) {
            (Made::Events(stream), Some(fault)) => Made::Events(stream.with_fault(fault)),
            (made, _) => made,
        };
        if request.stream {
            self.service.counters.stream_calls.fetch_add(1, Relaxed);
        }
        (made, usage)
    }

    fn completion(
        &self,
        request: &ChatRequest,
        choices: Vec<Choice>,
        usage: Usage,
        draws: &mut Draws,
    ) -> Made {
        let settings = &self.service.settings;
        let heading = Heading {
            id: format!("chatcmpl-{}", draws.ids.letters(29)),
            model: request.model.clone(),
            created: settings.created_unix,
            fingerprint: format!("fp_{}", Draw::new(settings.seed, Purpose::Fingerprint, 0).hex(10)),
        };
        if !request.stream {
            return Made::Whole(completion(&heading, &choices, usage));
        }
        let stream = ChatStream::new(&heading, choices, usage, settings.tokens_per_chunk);
        Made::Events(Events::OpenAi(if request.include_usage { stream.with_usage(usage) } else { stream }))
    }

    fn message(&self, request: &ChatRequest, choices: Vec<Choice>, usage: Usage, draws: &mut Draws) -> Made {
        let heading = anthropic::message::Heading {
            id: format!("msg_{}", draws.ids.letters(24)),
            model: request.model.clone(),
            signature: draws.ids.letters(40),
        };
        let choice = choices.into_iter().next().unwrap_or_default();
        if !request.stream {
            return Made::Whole(anthropic::message::message(&heading, &choice, usage));
        }
        let per_chunk = self.service.settings.tokens_per_chunk;
        Made::Events(Events::Anthropic(MessageStream::new(&heading, &choice, usage, per_chunk)))
    }

    fn dialect(&self) -> Dialect {
        Dialect::of(&self.exchange.path)
    }

    fn request_id(&self) -> String {
        let id = Draw::new(!self.service.settings.seed, Purpose::Ids, self.exchange.ordinal).hex(32);
        format!("req_{id}")
    }

    /// The headers that the provider sends with every reply.
    fn headers(&self, content_type: &str, processing: Duration, usage: Usage) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(12);
        put(&mut headers, CONTENT_TYPE, content_type);
        if content_type != JSON {
            put(&mut headers, CACHE_CONTROL, "no-cache");
        }
        let id = self.request_id();
        if self.dialect() == Dialect::Anthropic {
            put(&mut headers, HeaderName::from_static("request-id"), &id);
            return headers;
        }
        put(&mut headers, HeaderName::from_static("x-request-id"), &id);
        put(&mut headers, HeaderName::from_static("openai-version"), "2020-10-01");
        let processing = processing.as_millis().to_string();
        put(&mut headers, HeaderName::from_static("openai-processing-ms"), &processing);
        if let Some(limits) = self.service.settings.rate_limit_headers {
            let tokens = usage.input.saturating_add(usage.output);
            for (name, value) in [
                ("x-ratelimit-limit-requests", limits.requests),
                ("x-ratelimit-limit-tokens", limits.tokens),
                ("x-ratelimit-remaining-requests", limits.requests.saturating_sub(1)),
                ("x-ratelimit-remaining-tokens", limits.tokens.saturating_sub(tokens)),
            ] {
                put(&mut headers, HeaderName::from_static(name), &value.to_string());
            }
            put(&mut headers, HeaderName::from_static("x-ratelimit-reset-requests"), "1s");
            put(&mut headers, HeaderName::from_static("x-ratelimit-reset-tokens"), "1s");
        }
        headers
    }

    /// Refuse the request as the fault says.
    fn refuse(mut self, fault: &Fault, latency: Duration) -> Result<Response<ReplyBody>, Ending> {
        self.flight.refuse();
        let mut headers = self.headers(JSON, latency, Usage::default());
        let how = match fault {
            Fault::Reset(_) => How::Reset,
            Fault::Close(_) => How::Close,
            _ => {
                let (status, body) = refusal(fault, self.dialect(), &self.request_id(), &mut headers);
                self.flight.head(status);
                return Ok(respond(status, headers, ReplyBody::whole(body, self.wire, self.flight)));
            }
        };
        Err(Ending::new(how, Bytes::new(), Some(self.flight)))
    }

    /// The reply as bytes, since the HTTP writer would not frame it wrongly.
    fn raw(self, headers: &HeaderMap, framing: &str, body: &Bytes) -> Ending {
        let mut raw = BytesMut::with_capacity(body.len() + 1024);
        raw.put_slice(b"HTTP/1.1 200 OK\r\n");
        for (name, value) in headers {
            raw.put_slice(name.as_str().as_bytes());
            raw.put_slice(b": ");
            raw.put_slice(value.as_bytes());
            raw.put_slice(b"\r\n");
        }
        raw.put_slice(framing.as_bytes());
        raw.put_slice(body);
        Ending::new(How::Close, raw.freeze(), Some(self.flight))
    }
}

/// Set a header. Texts that come from settings were checked when those were taken.
pub(crate) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn respond(status: u16, headers: HeaderMap, body: ReplyBody) -> Response<ReplyBody> {
    response(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), headers, body)
}

fn response(status: StatusCode, headers: HeaderMap, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

async fn wait(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
