//! The keys of a provider: one, or several to be used in turn.

use super::environment::Environment;
use super::{ProviderSettings, Secret};
use crate::Error;

/// The keys that were found, each with the place where it is written.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) held: Vec<(Secret, String)>,
    /// The variables that may hold one.
    pub(super) variables: Vec<String>,
}

impl Keys {
    /// The keys of the provider `name`; `usual` are the variables that its vendor's own clients read.
    ///
    /// # Errors
    /// [`Error::Config`] if one key is given beside several.
    pub(super) fn find(
        name: &str,
        settings: &ProviderSettings,
        usual: &[String],
        environment: &Environment,
    ) -> Result<Self, Error> {
        let several = !settings.api_keys.is_empty() || !settings.api_key_envs.is_empty();
        if several && (settings.api_key.is_some() || settings.api_key_env.is_some()) {
            return Err(Error::config(format!(
                "providers.{name} has one key and several: write them all into api_keys or api_key_envs"
            )));
        }
        let from = |variable: &String| {
            let key = environment.get(variable).filter(|key| !key.is_empty())?;
            Some((Secret::new(key), format!("environment variable {variable}")))
        };
        if several {
            let written =
                settings.api_keys.iter().map(|key| (key.clone(), format!("providers.{name}.api_keys")));
            // One that is not set is left out: the others do.
            let held = written.chain(settings.api_key_envs.iter().filter_map(from)).collect();
            return Ok(Self { held, variables: settings.api_key_envs.clone() });
        }
        let variables =
            settings.api_key_env.as_ref().map_or_else(|| usual.to_vec(), |named| vec![named.clone()]);
        let written = settings.api_key.clone().map(|key| (key, format!("providers.{name}.api_key")));
        let held = written.or_else(|| variables.iter().find_map(from)).into_iter().collect();
        Ok(Self { held, variables })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(settings: &str, usual: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let settings: ProviderSettings = serde_json::from_str(settings).unwrap();
        let environment = [("FIRST", "k1"), ("SECOND", "k2"), ("EMPTY", "")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let usual: Vec<_> = usual.iter().map(|name| (*name).to_owned()).collect();
        let keys = Keys::find("x", &settings, &usual, &environment).map_err(|error| error.to_string())?;
        let held = keys.held.into_iter().map(|(key, place)| format!("{} from {place}", key.reveal()));
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
