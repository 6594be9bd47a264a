//! `[budget]`: what a client may spend, and with whom it shares that.

use std::path::{Path, PathBuf};

use iron_protocol::NanoUsd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::environment::{self, Environment};
use super::validate::positive;
use crate::Error;
use crate::budget::{Budget, Ledger, Shared, Window};

/// The variable that names the ledger file where no configuration is read.
const LEDGER: &str = "IRON_BUDGET_LEDGER";

/// `[budget]`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetSettings {
    /// The client's limit; without one only `iron.budget(...)` and per-call caps hold.
    #[schemars(example = "5.00")]
    pub limit_usd: Option<NanoUsd>,
    /// After which time the limit begins anew, in UTC. With it the budget is kept in the ledger file, and shared with
    /// all processes that name the same budget.
    #[schemars(example = &"daily")]
    pub window: Option<Window>,
    /// The ledger file: an absolute path, or one that begins with `~/`. With it the budget is kept there.
    #[schemars(example = "/var/lib/iron/ledger.db")]
    pub ledger: Option<String>,
    /// What the budget is called, in messages and in the ledger file.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What to do with a model that has no known price.
    pub unpriced: Unpriced,
    /// The least that `max_tokens` is lowered to when the rest of a budget is small.
    #[schemars(range(min = 1))]
    pub min_output_tokens: u32,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            limit_usd: None,
            window: None,
            ledger: None,
            name: "client".to_owned(),
            unpriced: Unpriced::Refuse,
            min_output_tokens: 256,
        }
    }
}

/// What to do with a model that has no known price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// Refuse the call.
    #[default]
    Refuse,
    /// Let it pass and count it as free.
    Allow,
}

/// The budget of a client, or of one of a router's tokens.
#[derive(Clone, Debug)]
pub(crate) struct ClientBudget {
    pub(crate) name: String,
    pub(crate) limit: NanoUsd,
    /// Where it is shared with other processes.
    pub(crate) shared: Option<Shared>,
}

impl ClientBudget {
    /// The budget itself.
    ///
    /// # Errors
    /// [`Error::Ledger`] if the ledger file of a shared one cannot be used.
    pub(crate) fn open(&self, ledger: &Ledger) -> Result<Budget, Error> {
        match &self.shared {
            Some(shared) => Budget::shared(ledger, &self.name, self.limit, shared.clone()),
            None => Ok(Budget::new(ledger, self.name.as_str(), self.limit)),
        }
    }
}

impl BudgetSettings {
    pub(super) fn client(&self, environment: &Environment) -> Result<Option<ClientBudget>, Error> {
        positive("budget.min_output_tokens", u64::from(self.min_output_tokens))?;
        if self.name.is_empty() {
            return Err(Error::config("budget.name is empty: call it something, such as \"research\""));
        }
        self.limited("budget", environment)
    }

    /// What is written under `place`, if it has a limit.
    pub(super) fn limited(
        &self,
        place: &str,
        environment: &Environment,
    ) -> Result<Option<ClientBudget>, Error> {
        let is_shared = self.window.is_some() || self.ledger.is_some();
        let Some(limit) = self.limit_usd else {
            let given = if self.window.is_some() { "window" } else { "ledger" };
            let alone = format!("{place}.{given} has no limit to go with it: set {place}.limit_usd");
            return if is_shared { Err(Error::config(alone)) } else { Ok(None) };
        };
        if limit < NanoUsd::ZERO {
            return Err(Error::config(format!(
                "{place}.limit_usd is negative: a limit is zero or more US dollars"
            )));
        }
        let mut shared = None;
        if is_shared {
            let window = self.window.unwrap_or_default();
            shared = Some(Shared { ledger: self.ledger_file(environment)?, window });
        }
        Ok(Some(ClientBudget { name: self.name.clone(), limit, shared }))
    }

    /// The file that is meant by `ledger`, or the usual one.
    pub(super) fn ledger_file(&self, environment: &Environment) -> Result<PathBuf, Error> {
        match &self.ledger {
            Some(ledger) => {
                absolute(ledger, environment).map_err(|why| Error::config(format!("budget.ledger {why}")))
            }
            None => usual(environment),
        }
    }
}

/// The ledger file where no configuration is read: what `IRON_BUDGET_LEDGER` names, or else `iron/ledger.db` among the
/// states of this user's programs.
///
/// # Errors
/// [`Error::Config`] if the environment does not say where that is.
pub fn default_ledger() -> Result<PathBuf, Error> {
    let environment = environment::read()?;
    match environment::get(&environment, LEDGER)? {
        Some(ledger) => {
            absolute(ledger, &environment).map_err(|why| Error::config(format!("{LEDGER} {why}")))
        }
        None => usual(&environment),
    }
}

pub(super) fn absolute(ledger: &str, environment: &Environment) -> Result<PathBuf, String> {
    let path = match ledger.strip_prefix("~/") {
        Some(rest) => home(environment).ok_or("begins with ~/, and HOME is not set")?.join(rest),
        None => PathBuf::from(ledger),
    };
    if path.is_absolute() {
        return Ok(path);
    }
    // By it, programs in two directories would have two ledgers, and each the whole limit.
    Err(format!("is the relative path {ledger:?}: give an absolute one, or one that begins with ~/"))
}

/// Where the XDG base directory specification keeps what a program has to remember.
fn usual(environment: &Environment) -> Result<PathBuf, Error> {
    let state = directory(environment, "XDG_STATE_HOME")
        .or_else(|| Some(home(environment)?.join(".local/state")))
        .ok_or_else(|| {
            Error::config(
                "budget.ledger is needed: neither XDG_STATE_HOME nor HOME says where it would be kept",
            )
        })?;
    Ok(state.join("iron/ledger.db"))
}

fn home(environment: &Environment) -> Option<PathBuf> {
    directory(environment, "HOME")
}

fn directory(environment: &Environment, name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(environment.get(name)?)).filter(|path| Path::is_absolute(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn shared(toml: &str, variables: &[(&str, &str)]) -> Result<Option<Shared>, String> {
        let settings: BudgetSettings = toml::from_str(toml).unwrap();
        let budget = settings.client(&environment(variables)).map_err(|error| error.to_string())?;
        Ok(budget.unwrap().shared)
    }

    #[test]
    fn a_window_or_a_ledger_make_it_shared() {
        let home = [("HOME", "/home/ada")];
        assert_eq!(shared("limit_usd = 5", &home), Ok(None));
        let usual = PathBuf::from("/home/ada/.local/state/iron/ledger.db");
        let of = |ledger: &Path, window| Ok(Some(Shared { ledger: ledger.into(), window }));
        assert_eq!(shared("limit_usd = 5\nwindow = 'daily'", &home), of(&usual, Window::Daily));
        let named = "limit_usd = 5\nledger = '~/spend.db'";
        assert_eq!(shared(named, &home), of(Path::new("/home/ada/spend.db"), Window::Lifetime));
        let state = [("HOME", "/home/ada"), ("XDG_STATE_HOME", "/state")];
        let there = Path::new("/state/iron/ledger.db");
        assert_eq!(shared("limit_usd = 5\nwindow = 'weekly'", &state), of(there, Window::Weekly));
    }

    #[test]
    fn what_cannot_be_shared_says_why() {
        for (toml, expected) in [
            ("window = 'daily'", "budget.window has no limit to go with it: set budget.limit_usd"),
            (
                "limit_usd = 5\nledger = 'spend.db'",
                "budget.ledger is the relative path \"spend.db\": give an absolute",
            ),
            ("limit_usd = 5\nledger = '~/spend.db'", "budget.ledger begins with ~/, and HOME is not set"),
            ("limit_usd = 5\nwindow = 'daily'", "budget.ledger is needed: neither XDG_STATE_HOME nor HOME"),
            ("limit_usd = 5\nname = ''", "budget.name is empty"),
        ] {
            let error = shared(toml, &[("XDG_STATE_HOME", "relative")]).unwrap_err();
            assert!(error.starts_with(expected), "{toml}: {error}");
        }
    }
}
