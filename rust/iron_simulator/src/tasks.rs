//! Tasks of one simulator: spawned here alone, and ended with it.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The simulator's tasks; dropping it stops them.
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { tracker: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// A way to spawn from inside a task.
    pub(crate) fn spawner(&self) -> Spawner {
        Spawner { tracker: self.tracker.clone(), stop: self.stop.clone() }
    }

    /// Stop every task and wait until all have ended.
    pub(crate) async fn stopped(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Spawns tasks that are dropped where they stand when the simulator stops.
pub(crate) struct Spawner {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Spawner {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // A child token each: asking a token takes its lock, and tasks shall not share one.
        let stop = self.stop.child_token();
        self.tracker.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }
}
