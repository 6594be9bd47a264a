//! Where a provider's requests go.

use reqwest::Url;

use crate::Error;
use crate::provider::vendor::Vendor;

const EXAMPLE_URL: &str = "https://api.openai.com/v1";
/// Where the API of a resource of Azure begins that needs no version.
const AZURE_V1: &str = "openai/v1";

/// Where requests of one kind go.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// Whatever the model.
    One(Url),
    /// Each model is deployed at an address of its own, below this one.
    Each { deployments: Url, path: &'static str },
}

/// Where a provider's API begins.
pub(super) struct Base<'a> {
    url: String,
    /// The key or the variable that says so.
    place: &'a str,
    /// Where deployments are below it, and the version of their API.
    deployments: Option<(&'a str, &'a str)>,
}

impl<'a> Base<'a> {
    /// `api_version` is that of an API whose models have addresses of their own.
    ///
    /// # Errors
    /// [`Error::Config`] for a version of an API that has none, or beside an address that needs none.
    pub(super) fn new(
        name: &str,
        vendor: &'a Vendor,
        (url, place): (&str, &'a str),
        api_version: Option<&'a str>,
    ) -> Result<Self, Error> {
        let url = url.trim_end_matches('/');
        let Some(version) = api_version else {
            // The address of a resource alone, as Azure's own clients take it.
            let alone = vendor.deployments.is_some() && Url::parse(url).is_ok_and(|url| url.path() == "/");
            let url = if alone { format!("{url}/{AZURE_V1}") } else { url.to_owned() };
            return Ok(Self { url, place, deployments: None });
        };
        let wrong = |why: &str| Err(Error::config(format!("providers.{name}.api_version: {why}")));
        let Some(path) = &vendor.deployments else {
            return wrong("only the API of Azure has versions: leave it out, or set vendor = \"azure\"");
        };
        if url.ends_with(AZURE_V1) {
            return wrong(&format!(
                "{place} ends in /{AZURE_V1}, which is called without: leave one of them out"
            ));
        }
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return wrong("write it like \"2024-10-21\"");
        }
        let url = url.trim_end_matches("/openai").to_owned();
        Ok(Self { url, place, deployments: Some((path, version)) })
    }

    /// Where requests go that other providers take at `path`.
    ///
    /// # Errors
    /// [`Error::Config`] for what is no address.
    pub(super) fn address(&self, path: &'static str) -> Result<Address, Error> {
        match self.deployments {
            None => Ok(Address::One(self.parsed(path)?)),
            Some((below, version)) => {
                let mut deployments = self.parsed(below)?;
                deployments.query_pairs_mut().append_pair("api-version", version);
                Ok(Address::Each { deployments, path })
            }
        }
    }

    fn parsed(&self, path: &str) -> Result<Url, Error> {
        let wrong =
            |why: &str| Error::config(format!("{} {why}: write it like \"{EXAMPLE_URL}\"", self.place));
        let url = Url::parse(&format!("{}/{path}", self.url)).map_err(|_| wrong("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            // It would show up in errors; keys belong in api_key or headers.
            return Err(wrong("holds a user name or password"));
        }
        Ok(url)
    }
}

impl Address {
    /// Where a request for that model goes.
    pub(crate) fn of(&self, model: &str) -> Url {
        match self {
            Self::One(url) => url.clone(),
            Self::Each { deployments, path } => {
                let mut url = deployments.clone();
                // An address of http always has segments.
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.push(model).extend(path.split('/'));
                }
                url
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::vendor::{unnamed, vendors};

    fn address(url: &str, version: Option<&str>) -> Result<String, String> {
        let azure = vendors().unwrap().iter().find(|vendor| vendor.name == "azure").unwrap();
        let base = Base::new("azure", azure, (url, "providers.azure.base_url"), version);
        let address = base.and_then(|base| base.address("chat/completions"));
        address.map(|address| address.of("gpt 5/x").to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_deployment_has_an_address_of_its_own_and_the_api_a_version() {
        let expected = "https://r.openai.azure.com/openai/deployments/gpt%205%2Fx/chat/completions?api-version=2024-10-21";
        for url in
            ["https://r.openai.azure.com", "https://r.openai.azure.com/", "https://r.openai.azure.com/openai"]
        {
            assert_eq!(address(url, Some("2024-10-21")).unwrap(), expected);
        }
    }

    #[test]
    fn without_a_version_there_is_one_address_for_all() {
        let expected = "https://r.openai.azure.com/openai/v1/chat/completions";
        for url in ["https://r.openai.azure.com/", "https://r.openai.azure.com/openai/v1"] {
            assert_eq!(address(url, None).unwrap(), expected);
        }
        assert_eq!(
            address("https://gateway.example/ai", None).unwrap(),
            "https://gateway.example/ai/chat/completions"
        );
    }

    #[test]
    fn what_does_not_go_together_says_so() {
        for (url, version, expected) in [
            (
                "https://r.openai.azure.com/openai/v1",
                "2024-10-21",
                "ends in /openai/v1, which is called without",
            ),
            ("https://r.openai.azure.com", "2024-10-21&x=1", "write it like \"2024-10-21\""),
            ("https://r.openai.azure.com", "", "write it like \"2024-10-21\""),
        ] {
            let error = address(url, Some(version)).unwrap_err();
            assert!(
                error.starts_with("providers.azure.api_version: ") && error.contains(expected),
                "{error}"
            );
        }
        let other = Base::new("x", unnamed().unwrap(), ("https://x.example", "p"), Some("1")).err().unwrap();
        assert!(other.to_string().contains("only the API of Azure has versions"), "{other}");
    }
}
