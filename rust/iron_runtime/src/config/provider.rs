//! Providers: settings above what is known of the vendor, made ready to be called.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::address::{Address, Base};
use super::environment::Environment;
use super::keys::Keys;
use super::{MaxTokensField, ProviderSettings, Secret, UnsupportedParams, unknown};
use crate::Error;
use crate::provider::WireFormat;
use crate::provider::vendor::{KeyHeader, Vendor, unnamed, vendors};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// One provider under one of its keys, ready to be called.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    /// Which of several keys it is, from 1.
    pub(crate) key: Option<usize>,
    pub(crate) vendor: &'static Vendor,
    pub(crate) format: WireFormat,
    pub(crate) chat: Address,
    /// `None` where the provider has no embeddings.
    pub(crate) embeddings: Option<Address>,
    pub(crate) headers: HeaderMap,
    pub(crate) max_tokens_field: MaxTokensField,
    pub(crate) unsupported_params: UnsupportedParams,
    /// Where the key was found.
    pub(crate) key_from: Option<String>,
    /// What to do about a key that is needed and absent.
    pub(crate) missing_key: Option<String>,
}

/// Every vendor under its own name, and what the settings add.
pub(super) fn providers(
    mut settings: BTreeMap<String, ProviderSettings>,
    environment: &Environment,
) -> Result<BTreeMap<String, Vec<Arc<Provider>>>, Error> {
    let is_found = |vendor: &&Vendor| {
        let told = vendor.base_url_env.as_ref().and_then(|variable| environment.get(variable));
        vendor.base_url.is_some() || told.is_some_and(|url| !url.is_empty())
    };
    for vendor in vendors()?.iter().filter(is_found) {
        settings.entry(vendor.name.clone()).or_default();
    }
    settings
        .into_iter()
        .map(|(name, settings)| {
            let keys = provider(&name, settings, environment)?;
            Ok((name, keys.into_iter().map(Arc::new).collect()))
        })
        .collect()
}

/// The provider under each of its keys; once without one, if it has none.
fn provider(
    name: &str,
    settings: ProviderSettings,
    environment: &Environment,
) -> Result<Vec<Provider>, Error> {
    if name.is_empty() || name.contains(['/', '#']) {
        return Err(Error::config(format!(
            "providers.{name:?}: a provider's name is not empty and has neither slash nor #"
        )));
    }
    let vendor = vendor(name, settings.vendor.as_deref())?;
    let keys = Keys::find(name, &settings, vendor, environment)?;
    let held = |variable: &String| environment.get(variable).filter(|value| !value.is_empty());
    let from_variable = match &vendor.base_url_env {
        // The variable speaks of the vendor's own address, not of another's that is like it.
        Some(variable) if vendor.name == name && settings.base_url.is_none() => {
            held(variable).map(|url| (url.clone(), format!("environment variable {variable}")))
        }
        _ => None,
    };
    let given = settings.base_url.or_else(|| vendor.base_url.clone());
    let (base_url, place) = from_variable
        .or_else(|| given.map(|url| (url, format!("providers.{name}.base_url"))))
        .ok_or_else(|| Error::config(format!("providers.{name} needs base_url, where its API begins")))?;
    // A variable that is named is expected to be there; those of a server without keys need not be.
    let named =
        settings.api_key_env.is_some() || settings.token_env.is_some() || !settings.api_key_envs.is_empty();
    let optional = vendor.key_optional && !named;
    let needed = keys.held.is_empty() && !optional && !keys.variables.is_empty();
    let missing_key = needed.then(|| {
        format!(
            "provider {name:?} has no key: set {}, or providers.{name}.api_key in the configuration",
            keys.variables.join(" or ")
        )
    });
    let format = vendor.format;
    let base = Base::new(name, vendor, (&base_url, &place), settings.api_version.as_deref())?;
    let embeddings = format.embeddings_path().filter(|_| vendor.embeddings);
    let provider = Provider {
        name: name.to_owned(),
        key: None,
        vendor,
        format,
        chat: base.address(format.chat_path())?,
        embeddings: embeddings.map(|path| base.address(path)).transpose()?,
        headers: headers(name, vendor, None, &settings.headers)?,
        max_tokens_field: settings.max_tokens_field.unwrap_or(vendor.max_tokens_field),
        unsupported_params: settings.unsupported_params,
        key_from: None,
        missing_key,
    };
    if keys.held.is_empty() {
        return Ok(vec![provider]);
    }
    let several = keys.held.len() > 1;
    let under = |(nth, key): (usize, &(Secret, String))| {
        Ok(Provider {
            key: several.then_some(nth + 1),
            headers: headers(name, vendor, Some((keys.header, key)), &settings.headers)?,
            key_from: Some(key.1.clone()),
            ..provider.clone()
        })
    };
    keys.held.iter().enumerate().map(under).collect()
}

/// The vendor that is asked for; otherwise that of the provider's own name; otherwise what is known of any.
fn vendor(name: &str, asked: Option<&str>) -> Result<&'static Vendor, Error> {
    let named = |wanted: &str| Ok::<_, Error>(vendors()?.iter().find(|vendor| vendor.name == wanted));
    let Some(asked) = asked else { return named(name)?.map_or_else(unnamed, Ok) };
    named(asked)?.ok_or_else(|| {
        let known = vendors().unwrap_or_default().iter().map(|vendor| &*vendor.name);
        Error::config(format!("providers.{name}.vendor: {}", unknown("vendor", asked, known)))
    })
}

fn headers(
    name: &str,
    vendor: &Vendor,
    key: Option<(KeyHeader, &(Secret, String))>,
    given: &BTreeMap<String, Secret>,
) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    if let Some((header, (key, place))) = key {
        let (header, value) = match header {
            KeyHeader::Authorization => (AUTHORIZATION, format!("Bearer {}", key.reveal())),
            KeyHeader::XApiKey => (X_API_KEY, key.reveal().to_owned()),
            KeyHeader::ApiKey => (API_KEY, key.reveal().to_owned()),
        };
        headers.insert(header, hidden(&value, || place.clone())?);
    }
    let from_vendor = vendor.headers.iter().map(|(header, value)| (header, value.as_str(), false));
    let from_settings = given.iter().map(|(header, value)| (header, value.reveal(), true));
    for (header, value, secret) in from_vendor.chain(from_settings) {
        let place = || format!("providers.{name}.headers.{header}");
        let header = HeaderName::try_from(header.as_str())
            .map_err(|_| Error::config(format!("{}: not a header name", place())))?;
        let mut value = hidden(value, place)?;
        value.set_sensitive(secret);
        headers.insert(header, value);
    }
    Ok(headers)
}

fn hidden(value: &str, place: impl Fn() -> String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Error::config(format!(
            "{}: has characters that a header cannot carry (a line break, perhaps)",
            place()
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}
