//! Tasks of one router: spawned here alone, and ended with it.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The router's tasks; dropping the last clone that stops them is no stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    /// Nothing new is begun.
    drain: CancellationToken,
    /// What still runs is dropped where it stands.
    stop: CancellationToken,
}

impl Tasks {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // A child token each: asking a token takes its lock, and tasks shall not share one.
        let stop = self.stop.child_token();
        self.tracker.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Comes when nothing new is to be begun.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.drain.child_token()
    }

    /// Let tasks end for so long, and then stop what is left: whether all had ended.
    ///
    /// # Cancel safety
    /// Tasks go on to drain, and are not stopped.
    pub(crate) async fn drained(&self, most: Duration) -> bool {
        self.drain.cancel();
        self.tracker.close();
        let ended = timeout(most, self.tracker.wait()).await.is_ok();
        self.stop.cancel();
        self.tracker.wait().await;
        ended
    }

    pub(crate) fn stop(&self) {
        self.drain.cancel();
        self.stop.cancel();
    }
}
