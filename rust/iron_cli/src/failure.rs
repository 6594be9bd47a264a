//! Why a command did not succeed, and how it says so.

use std::io;

use crate::terminal;

/// What ended a command before its work was done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong; `--help` and `--version` end a command in the same way.
    Usage(clap::Error),
    /// One line, `error[code]: message`.
    Error {
        /// Stable text, the same as in Python and in audit records.
        code: &'static str,
        message: String,
    },
    /// SIGINT or SIGTERM came; what is left of the work is undone.
    Interrupted(u8),
    /// Whoever read the output has left.
    Hangup,
}

/// What a shell shows for a program that a broken pipe ended: 128 and SIGPIPE.
const HANGUP_CODE: u8 = 141;

impl Failure {
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::Error { code: "config", message: message.into() }
    }

    /// JSON of `name` that is not what it should be.
    pub(crate) fn json(name: &str, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        // The place stands in front, as compilers write it.
        let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
        Self::config(format!("{name}:{line}:{column}: {message}"))
    }

    /// Say what is to be said: the code to exit with.
    pub(crate) fn report(self) -> u8 {
        match self {
            Self::Usage(wrong) => {
                // Nowhere to say it is no reason to do anything else.
                drop(wrong.print());
                u8::try_from(wrong.exit_code()).unwrap_or(2)
            }
            Self::Error { code, message } => {
                terminal::error(code, &message);
                1
            }
            Self::Interrupted(code) => code,
            Self::Hangup => HANGUP_CODE,
        }
    }
}

impl From<io::Error> for Failure {
    /// For output alone: what fails otherwise knows better what to say.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Hangup,
            _ => Self::Error { code: "io", message: format!("cannot write the output: {error}") },
        }
    }
}

impl From<iron_runtime::Error> for Failure {
    fn from(error: iron_runtime::Error) -> Self {
        Self::Error { code: error.code().as_str(), message: error.to_string() }
    }
}

impl From<iron_simulator::Error> for Failure {
    fn from(error: iron_simulator::Error) -> Self {
        let message = match &error {
            iron_simulator::Error::Bind { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        Self::Error { code: error.code(), message }
    }
}
