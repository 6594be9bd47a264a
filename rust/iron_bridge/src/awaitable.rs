//! pyo3-async-runtimes on our own runtime: Rust futures as Python awaitables, for what happens rarely.
//!
//! Its completions want a blocking thread that attaches to Python. Here they are queued for the loop's own thread,
//! like every other result (see [`crate::port`]).

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pyo3::prelude::*;
use pyo3_async_runtimes::{TaskLocals, generic};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::port::{Port, Queue};
use crate::{guard, runtime};

/// Code that attaches to Python.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

tokio::task_local! {
    /// Where the task's completions go.
    static QUEUE: Arc<Queue>;
    static LOCALS: TaskLocals;
}

/// `work` as an awaitable of the port's loop; cancelling the awaitable drops it.
///
/// # Errors
/// As for [`runtime::handle`].
pub(crate) fn future_into_py<'py, F, T>(port: &Bound<'py, Port>, work: F) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'any> IntoPyObject<'any> + Send + 'static,
{
    let py = port.py();
    runtime::handle(py)?;
    let locals = TaskLocals::new(port.get().event_loop(py).clone()).copy_context(py)?;
    QUEUE.sync_scope(Arc::clone(port.get().queue()), || {
        generic::future_into_py_with_locals::<Bridge, _, T>(py, locals, guard::future(work))
    })
}

/// Our runtime, as pyo3-async-runtimes sees it.
struct Bridge;

impl generic::Runtime for Bridge {
    type JoinError = Failed;
    type JoinHandle = Joined;

    fn spawn<F>(work: F) -> Joined
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let spawned = QUEUE.try_with(Arc::clone).ok().and_then(|queue| {
            let handle = runtime::running()?;
            Some(handle.spawn(QUEUE.scope(queue, work)))
        });
        spawned.map_or_else(Joined::never_ran, Joined::Task)
    }

    fn spawn_blocking<F>(job: F) -> Joined
    where
        F: FnOnce() + Send + 'static,
    {
        let (done, ran) = oneshot::channel();
        let job = move || {
            job();
            let _ = done.send(());
        };
        // Without a queue the job is dropped, and its handle reports that it never ran.
        let _ = QUEUE.try_with(|queue| queue.run(Box::new(job)));
        Joined::Job(ran)
    }
}

impl generic::ContextExt for Bridge {
    fn scope<F, R>(locals: TaskLocals, work: F) -> Pin<Box<dyn Future<Output = R> + Send>>
    where
        F: Future<Output = R> + Send + 'static,
    {
        Box::pin(LOCALS.scope(locals, work))
    }

    fn get_task_locals() -> Option<TaskLocals> {
        LOCALS.try_with(TaskLocals::clone).ok()
    }
}

/// The end of spawned work.
enum Joined {
    Task(JoinHandle<()>),
    Job(oneshot::Receiver<()>),
}

impl Joined {
    fn never_ran() -> Self {
        Self::Job(oneshot::channel().1)
    }
}

impl Future for Joined {
    type Output = Result<(), Failed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Task(task) => {
                Pin::new(task).poll(context).map_err(|error| Failed(error.try_into_panic().ok()))
            }
            Self::Job(ran) => Pin::new(ran).poll(context).map_err(|_| Failed(None)),
        }
    }
}

/// Why spawned work did not end: a panic, or nothing when it never ran.
struct Failed(Option<Box<dyn Any + Send>>);

impl generic::JoinError for Failed {
    fn is_panic(&self) -> bool {
        self.0.is_some()
    }

    fn into_panic(self) -> Box<dyn Any + Send> {
        self.0.unwrap_or_else(|| Box::new("the work never ran"))
    }
}

/// The result of work that has none: `()` would become an empty tuple.
pub(crate) struct Nothing;

impl<'py> IntoPyObject<'py> for Nothing {
    type Target = pyo3::types::PyNone;
    type Output = pyo3::Borrowed<'py, 'py, pyo3::types::PyNone>;
    type Error = std::convert::Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(pyo3::types::PyNone::get(py))
    }
}
