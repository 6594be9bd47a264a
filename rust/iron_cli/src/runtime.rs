//! The tokio runtime of one command.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::failure::Failure;

/// How long a look-up of a host name, which nothing can stop, may hold up the end of a command.
const LINGER: Duration = Duration::from_millis(50);

/// Run a command's future to its end.
pub(crate) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(|error| Failure::Error {
        code: "internal",
        message: format!("the runtime cannot be started: {error}"),
    })?;
    let done = runtime.block_on(command);
    runtime.shutdown_timeout(LINGER);
    done
}
