//! Errors as OpenAI words them.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::json;

use crate::fault::StatusFault;

/// An error reply: `{"error": {"message", "type", "param", "code"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) message: Cow<'static, str>,
    pub(crate) kind: Cow<'static, str>,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<Cow<'static, str>>,
}

impl ApiError {
    /// A request that cannot be served as it is.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, message)
    }

    pub(crate) fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            kind: "invalid_request_error".into(),
            param: None,
            code: None,
        }
    }

    pub(crate) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code.into());
        self
    }

    fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind.into();
        self
    }

    pub(crate) fn unknown_model(model: &str) -> Self {
        Self::new(404, format!("The model `{model}` does not exist or you do not have access to it."))
            .code("model_not_found")
    }

    /// What OpenAI sends with a status that a fault asks for.
    pub(crate) fn of_fault(fault: &StatusFault) -> Self {
        let mut error = match (fault.status, fault.code.as_deref()) {
            (429, Some("insufficient_quota")) => {
                Self::new(429, "You exceeded your current quota, please check your plan and billing details.")
                    .kind("insufficient_quota")
            }
            (429, _) => Self::new(429, "Rate limit reached for requests. Please try again later.")
                .kind("requests")
                .code("rate_limit_exceeded"),
            (401, _) => Self::new(401, "Incorrect API key provided.").code("invalid_api_key"),
            (403, _) => Self::new(403, "You are not allowed to do this."),
            (404, _) => Self::new(404, "The resource does not exist."),
            (503 | 529, _) => {
                Self::new(fault.status, "The engine is currently overloaded, please try again later.")
                    .kind("server_error")
            }
            (status @ 500.., _) => Self::new(status, server_error()).kind("server_error"),
            (status, _) => Self::new(status, "The request could not be served."),
        };
        if let Some(message) = &fault.message {
            error.message = message.clone().into();
        }
        if let Some(code) = &fault.code {
            error.code = Some(code.clone().into());
        }
        error
    }

    /// The error in the middle of a stream, or under status 200.
    pub(crate) fn server() -> Self {
        Self::new(500, server_error()).kind("server_error")
    }

    pub(crate) fn body(&self) -> Bytes {
        let Self { message, kind, param, code, .. } = self;
        let body = json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
        Bytes::from(body.to_string())
    }
}

fn server_error() -> &'static str {
    "The server had an error while processing your request. Sorry about that!"
}
