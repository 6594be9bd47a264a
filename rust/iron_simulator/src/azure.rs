//! Azure's addresses: the same requests as OpenAI's, at a resource of one's own.
//! <https://learn.microsoft.com/azure/ai-foundry/openai/reference>

use bytes::Bytes;
use serde_json::Value;

use crate::openai::error::ApiError;

const VERSION: &str = "api-version";

/// What a path of Azure's asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The path as OpenAI has it.
    pub(crate) path: String,
    /// What the model is called, where the path says so.
    pub(crate) deployment: Option<String>,
}

impl Place {
    /// `None` if the path is not Azure's.
    ///
    /// # Errors
    /// Not found, for the path of a deployment without a version.
    pub(crate) fn of(path: &str, query: Option<&str>) -> Result<Option<Self>, ApiError> {
        let Some(rest) = path.strip_prefix("/openai/") else { return Ok(None) };
        if let Some(path) = rest.strip_prefix("v1/") {
            return Ok(Some(Self { path: format!("/v1/{path}"), deployment: None }));
        }
        let place = rest.strip_prefix("deployments/").and_then(|rest| rest.split_once('/'));
        let versions = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let version = versions.filter(|(name, _)| *name == VERSION).map(|(_, version)| version).next_back();
        match place {
            Some((deployment, path)) if version.is_some_and(is_version) => Ok(Some(Self {
                path: format!("/v1/{path}"),
                deployment: Some(crate::service::decoded(deployment)),
            })),
            _ => Err(ApiError::new(404, "Resource not found").code("404")),
        }
    }

    /// The body as OpenAI has it: the deployment is the model, whatever the body calls it.
    pub(crate) fn body(&self, body: &Bytes) -> Bytes {
        let Some(deployment) = &self.deployment else { return body.clone() };
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else { return body.clone() };
        fields.insert("model".to_owned(), deployment.as_str().into());
        Value::Object(fields).to_string().into()
    }
}

/// A date, and `-preview` perhaps.
fn is_version(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    date.len() == 10 && date.split('-').all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_found_under_a_version_alone() {
        let chat = "/openai/deployments/my%20gpt/chat/completions";
        for version in ["api-version=2024-10-21", "x=1&api-version=2025-04-01-preview"] {
            let place = Place::of(chat, Some(version)).unwrap().unwrap();
            assert_eq!((&*place.path, place.deployment.as_deref()), ("/v1/chat/completions", Some("my gpt")));
        }
        for version in [None, Some("api-version="), Some("api-version=latest"), Some("version=2024-10-21")] {
            assert_eq!(Place::of(chat, version).unwrap_err().status, 404, "{version:?}");
        }
        let place = Place::of("/openai/v1/embeddings", None).unwrap().unwrap();
        assert_eq!(place, Place { path: "/v1/embeddings".to_owned(), deployment: None });
        assert_eq!(Place::of("/v1/embeddings", None).unwrap(), None);
    }

    #[test]
    fn the_deployment_is_the_model() {
        let place = Place { path: String::new(), deployment: Some("mine".to_owned()) };
        let body = |text: &'static str| place.body(&Bytes::from_static(text.as_bytes()));
        assert_eq!(body(r#"{"model":"x","n":1}"#), r#"{"model":"mine","n":1}"#);
        assert_eq!(body(r#"{"n":1}"#), r#"{"n":1,"model":"mine"}"#);
        assert_eq!(body("no json"), "no json");
    }
}
