//! The answer to one request: what the plan says, in time, as an HTTP response.

mod head;
mod make;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_ENCODING};
use http::{HeaderMap, Method, Response, StatusCode};
use tokio::time::sleep;

pub(crate) use self::head::{EVENTS, JSON, put};
use self::make::Made;

use crate::body::ReplyBody;
use crate::clock;
use crate::dialect::Dialect;
use crate::draw::{Draw, Purpose};
use crate::ending::{Ending, How};
use crate::fault::{At, Fault};
use crate::flight::Flight;
use crate::openai::error::ApiError;
use crate::record::Exchange;
use crate::refusal::{refusal, refuses};
use crate::script::{Facts, Plan};
use crate::service::{Service, Work};
use crate::stats::Usage;
use crate::wire::Wire;

/// An answer being made.
pub(crate) struct Answer<'a> {
    pub(crate) service: &'a Arc<Service>,
    pub(crate) wire: &'a Arc<Wire>,
    pub(crate) exchange: &'a Exchange,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) flight: Flight,
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

    fn dialect(&self) -> Dialect {
        Dialect::of(&self.exchange.path)
    }

    fn request_id(&self) -> String {
        let id = Draw::new(!self.service.settings.seed, Purpose::Ids, self.exchange.ordinal).hex(32);
        format!("req_{id}")
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
