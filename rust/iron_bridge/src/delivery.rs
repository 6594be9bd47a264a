//! The way back of one outcome: to a future of an event loop, or to a thread that waits.

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use iron_protocol::RequestId;
use iron_runtime::Error;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::port::{Outcome, Port, Queue};
use crate::{error, guard, runtime};

/// How long a waiting thread stays away from Python's signal handlers.
const SLICE: Duration = Duration::from_millis(50);

/// The duty to report the end of some work, also if it is dropped half-way.
pub(crate) struct Delivery {
    to: To,
    /// Of a call; what else is waited for has none.
    request_id: Option<RequestId>,
    sent: bool,
}

enum To {
    Port(Arc<Queue>, u64),
    Thread(mpsc::SyncSender<Outcome>),
}

impl Delivery {
    pub(crate) fn to_slot(queue: Arc<Queue>, slot: u64, request_id: Option<RequestId>) -> Self {
        Self { to: To::Port(queue, slot), request_id, sent: false }
    }

    pub(crate) fn to_thread(request_id: Option<RequestId>) -> (Self, Receiver) {
        let (sender, receiver) = mpsc::sync_channel(1);
        (Self { to: To::Thread(sender), request_id, sent: false }, Receiver(receiver))
    }

    pub(crate) fn ready(mut self) {
        self.send(Outcome::Ready);
    }

    fn call(mut self, result: Result<iron_runtime::Reply, Error>) {
        self.send(Outcome::Call(self.request_id, result));
    }

    fn send(&mut self, outcome: Outcome) {
        self.sent = true;
        match &self.to {
            To::Port(queue, slot) => queue.send(*slot, outcome),
            // Whoever waited was interrupted.
            To::Thread(sender) => drop(sender.try_send(outcome)),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.sent {
            self.send(Outcome::Call(self.request_id, Err(unfinished())));
        }
    }
}

/// Why work was dropped that nobody cancelled.
pub(crate) fn unfinished() -> Error {
    if std::thread::panicking() { Error::Internal { message: guard::what_happened() } } else { Error::Closed }
}

/// Spawn a call that completes `future`; the slot returned cancels it.
pub(crate) fn to_future(
    port: &Bound<'_, Port>,
    future: Bound<'_, PyAny>,
    request_id: RequestId,
    call: impl Future<Output = Result<iron_runtime::Reply, Error>> + Send + 'static,
) -> PyResult<u64> {
    let (slot, queue) = port.get().reserve();
    let delivery = Delivery::to_slot(queue, slot, Some(request_id));
    let work = runtime::spawn(port.py(), async move { delivery.call(call.await) })?;
    port.get().expect(slot, future, Some(work));
    Ok(slot)
}

/// Spawn a call and wait for it; an exception of a signal handler, such as `KeyboardInterrupt`, drops it.
pub(crate) fn to_caller(
    py: Python<'_>,
    request_id: RequestId,
    call: impl Future<Output = Result<iron_runtime::Reply, Error>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    let (delivery, receiver) = Delivery::to_thread(Some(request_id));
    let work = runtime::spawn(py, async move { delivery.call(call.await) })?;
    receiver.wait(py, || work.abort())?.into_python(py)
}

/// Run any future on the runtime and wait for it, as [`to_caller`] does.
pub(crate) fn wait_for<T: Send + 'static>(
    py: Python<'_>,
    future: impl Future<Output = T> + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let work = guard::future(async { Ok(future.await) });
    let work: AbortHandle = runtime::spawn(py, async move { drop(sender.try_send(work.await)) })?;
    Receiver(receiver).wait(py, || work.abort())?
}

/// Where a thread waits.
pub(crate) struct Receiver<T = Outcome>(mpsc::Receiver<T>);

impl<T: Send> Receiver<T> {
    /// # Errors
    /// What a signal handler raised, after `give_up`; `ClosedError` if the work was dropped.
    pub(crate) fn wait(self, py: Python<'_>, give_up: impl FnOnce()) -> PyResult<T> {
        let mut channel = self.0;
        loop {
            let (back, received) = py.detach(move || {
                let received = channel.recv_timeout(SLICE);
                (channel, received)
            });
            channel = back;
            match received {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Disconnected) => return Err(error::closed(py)),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(raised) = py.check_signals() {
                        give_up();
                        return Err(raised);
                    }
                }
            }
        }
    }
}
