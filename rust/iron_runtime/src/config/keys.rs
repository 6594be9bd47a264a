//! The keys of a provider: one, or several to be used in turn.

use super::environment::Environment;
use super::{ProviderSettings, Secret};
use crate::Error;
use crate::provider::vendor::{KeyHeader, Vendor};

/// The keys that were found, each with the place where it is written.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) held: Vec<(Secret, String)>,
    /// The variables that may hold one.
    pub(super) variables: Vec<String>,
    /// How they are sent.
    pub(super) header: KeyHeader,
}

impl Keys {
    /// The keys of the provider `name`: those of the settings, otherwise those in the variables that its vendor's own
    /// clients read. A token stands in the place of a key, and above one that nobody names.
    ///
    /// # Errors
    /// [`Error::Config`] if one key is given beside several, or a token beside a key.
    pub(super) fn find(
        name: &str,
        settings: &ProviderSettings,
        vendor: &Vendor,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let several = !settings.api_keys.is_empty() || !settings.api_key_envs.is_empty();
        let one = settings.api_key.is_some() || settings.api_key_env.is_some();
        if several && one {
            return Err(Error::config(format!(
                "providers.{name} has one key and several: write them all into api_keys or api_key_envs"
            )));
        }
        if settings.token_env.is_some() && (one || several) {
            return Err(Error::config(format!(
                "providers.{name} has a key and a token: leave out token_env, or the key"
            )));
        }
        let header = vendor.key_header;
        let from = |variable: &String| {
            let key = environment.get(variable).filter(|key| !key.is_empty())?;
            Some((Secret::new(key), format!("environment variable {variable}")))
        };
        if several {
            let written =
                settings.api_keys.iter().map(|key| (key.clone(), format!("providers.{name}.api_keys")));
            // One that is not set is left out: the others do.
            let held = written.chain(settings.api_key_envs.iter().filter_map(from)).collect();
            return Ok(Self { held, variables: settings.api_key_envs.clone(), header });
        }
        let tokens = settings.token_env.as_ref().map_or(&*vendor.token_env, std::slice::from_ref);
        if let Some(token) = tokens.iter().find_map(from).filter(|_| !one) {
            let header = KeyHeader::Authorization;
            return Ok(Self { held: vec![token], variables: tokens.to_vec(), header });
        }
        let variables = match (&settings.api_key_env, &settings.token_env) {
            (Some(named), _) | (None, Some(named)) => vec![named.clone()],
            (None, None) => vendor.key_env.iter().chain(&vendor.token_env).cloned().collect(),
        };
        let written = settings.api_key.clone().map(|key| (key, format!("providers.{name}.api_key")));
        let keys = if settings.token_env.is_some() { &[][..] } else { &variables };
        let held = written.or_else(|| keys.iter().find_map(from)).into_iter().collect();
        Ok(Self { held, variables, header })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(settings: &str, usual: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let vendor =
            format!("name = \"x\"\nkey_env = {usual:?}\nkey_header = \"api-key\"\ntoken_env = [\"TOKEN\"]");
        let vendor: Vendor = toml::from_str(&vendor).unwrap();
        let settings: ProviderSettings = serde_json::from_str(settings).unwrap();
        let environment = [("FIRST", "k1"), ("SECOND", "k2"), ("EMPTY", "")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let keys = Keys::find("x", &settings, &vendor, &environment).map_err(|error| error.to_string())?;
        let bearer = if keys.header == KeyHeader::Authorization { "token " } else { "" };
        let held = keys.held.into_iter().map(|(key, place)| format!("{bearer}{} from {place}", key.reveal()));
        Ok((held.collect(), keys.variables))
    }

    #[test]
    fn one_key_is_written_or_in_the_first_variable_that_is_set() {
        assert_eq!(find(r#"{"api_key": "k"}"#, &["FIRST"]).unwrap().0, ["k from providers.x.api_key"]);
        let found = find("{}", &["EMPTY", "SECOND", "FIRST"]).unwrap();
        assert_eq!(found.0, ["k2 from environment variable SECOND"]);
        assert_eq!(
            find(r#"{"api_key_env": "NONE"}"#, &["FIRST"]).unwrap(),
            (vec![], vec!["NONE".to_owned()])
        );
        let none = vec!["EMPTY".to_owned(), "TOKEN".to_owned()];
        assert_eq!(find("{}", &["EMPTY"]).unwrap(), (vec![], none));
    }

    #[test]
    fn a_token_stands_in_the_place_of_a_key_and_not_beside_one() {
        let found = find(r#"{"token_env": "FIRST"}"#, &["SECOND"]).unwrap();
        assert_eq!(found.0, ["token k1 from environment variable FIRST"]);
        // A token that is asked for and absent is not replaced by a key.
        assert_eq!(find(r#"{"token_env": "NONE"}"#, &["FIRST"]).unwrap(), (vec![], vec!["NONE".to_owned()]));
        for both in
            [r#"{"token_env": "FIRST", "api_key": "k"}"#, r#"{"token_env": "FIRST", "api_keys": ["k"]}"#]
        {
            let wrong = find(both, &[]).unwrap_err();
            assert!(wrong.starts_with("providers.x has a key and a token"), "{wrong}");
        }
    }

    #[test]
    fn several_are_in_order_and_what_is_not_set_is_left_out() {
        let found = find(r#"{"api_keys": ["k"], "api_key_envs": ["SECOND", "EMPTY", "FIRST"]}"#, &["FIRST"]);
        assert_eq!(
            found.unwrap().0,
            [
                "k from providers.x.api_keys",
                "k2 from environment variable SECOND",
                "k1 from environment variable FIRST"
            ]
        );
        assert_eq!(find(r#"{"api_key_envs": ["NONE"]}"#, &[]).unwrap(), (vec![], vec!["NONE".to_owned()]));
        let wrong = find(r#"{"api_key": "k", "api_keys": ["l"]}"#, &[]).unwrap_err();
        assert!(
            wrong.starts_with("providers.x has one key and several") && !wrong.contains("\"k\""),
            "{wrong}"
        );
    }
}
