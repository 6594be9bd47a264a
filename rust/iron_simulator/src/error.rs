//! Errors of starting or scripting a simulator.

use std::net::SocketAddr;

/// Why a simulator could not be started or scripted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting or rule has a value that cannot be obeyed.
    #[error("{setting}: {problem}")]
    Config {
        /// Where the value stands, such as `rules[0].probability`.
        setting: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The address could not be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// Stable text naming the kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "config",
            Self::Bind { .. } => "bind",
        }
    }

    pub(crate) fn config(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { setting: setting.into(), problem: problem.into() }
    }
}
