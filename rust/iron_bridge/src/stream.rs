//! A streamed reply: one task pumps chunks into a bounded buffer, from which Python takes all that have arrived.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iron_bridge_macros::guarded;
use iron_protocol::RequestId;
use iron_runtime::{CallContext, ChatRequest, Chunk, Error};
use pyo3::prelude::*;
use pyo3::types::PyList;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::callback::{Caller, CallerKey};
use crate::delivery::{Delivery, unfinished};
use crate::error;
use crate::port::Port;
use crate::reply::Reply;
use crate::runtime::{self, Owned};
use crate::{callback, chunk};

/// A reader that falls behind by this much holds the provider back.
const MAX_BUFFERED_CHUNKS: usize = 256;
const MAX_BUFFERED_BYTES: usize = 1 << 20;

/// A streamed reply, begun by `start`.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Stream(Owned<Source>);

struct Source {
    request_id: RequestId,
    buffer: Arc<Buffer>,
    state: Mutex<State>,
}

enum State {
    Unsent(Box<(iron_runtime::Client, ChatRequest, CallContext)>),
    Started(AbortHandle),
    Closed,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.close();
    }
}

impl Source {
    fn close(&self) {
        let state = std::mem::replace(&mut *lock(&self.state), State::Closed);
        match state {
            State::Unsent(_) => self.buffer.change(|content| content.end = Some(Err(Error::Closed))),
            State::Started(pump) => pump.abort(),
            State::Closed => {}
        }
    }
}

/// What the pump and Python share.
#[derive(Default)]
struct Buffer {
    content: Mutex<Content>,
    /// Tells the pump that there is room again.
    room: Notify,
}

#[derive(Default)]
struct Content {
    chunks: Vec<Chunk>,
    bytes: usize,
    opened: bool,
    end: Option<Result<iron_runtime::Reply, Error>>,
    /// Who waits for a change.
    waiter: Option<Delivery>,
}

impl Content {
    fn is_full(&self) -> bool {
        self.chunks.len() >= MAX_BUFFERED_CHUNKS || self.bytes >= MAX_BUFFERED_BYTES
    }
}

impl Buffer {
    /// Change the content and tell whoever waits.
    fn change(&self, change: impl FnOnce(&mut Content)) {
        let mut content = lock(&self.content);
        change(&mut content);
        let waiter = content.waiter.take();
        drop(content);
        if let Some(waiter) = waiter {
            waiter.ready();
        }
    }

    async fn has_room(&self) {
        while lock(&self.content).is_full() {
            self.room.notified().await;
        }
    }

    fn empty(&self) -> Vec<Chunk> {
        let mut content = lock(&self.content);
        content.bytes = 0;
        let chunks = std::mem::take(&mut content.chunks);
        drop(content);
        self.room.notify_one();
        chunks
    }

    /// Leave `delivery` to be told of the next change, or tell it at once if there is something to take, or if the
    /// opening is waited for and has come.
    fn wait(&self, delivery: Delivery, for_opening: bool) {
        let mut content = lock(&self.content);
        let news = !content.chunks.is_empty() || content.end.is_some() || (for_opening && content.opened);
        if news {
            drop(content);
            delivery.ready();
        } else {
            let before = content.waiter.replace(delivery);
            drop(content);
            drop(before);
        }
    }
}

/// The duty to end the buffer, also if the pump is dropped half-way.
struct Pump {
    buffer: Arc<Buffer>,
    ended: bool,
}

impl Pump {
    async fn run(mut self, client: iron_runtime::Client, request: ChatRequest, context: CallContext) {
        let end = self.pump(client, request, context).await;
        self.end(end);
    }

    async fn pump(
        &self,
        client: iron_runtime::Client,
        request: ChatRequest,
        context: CallContext,
    ) -> Result<iron_runtime::Reply, Error> {
        let mut stream = client.stream(request, context).await?;
        self.buffer.change(|content| content.opened = true);
        while let Some(batch) = stream.next_batch().await {
            let batch = batch?;
            self.buffer.change(|content| {
                content.bytes += batch.iter().map(held_bytes).sum::<usize>();
                content.chunks.extend(batch);
            });
            self.buffer.has_room().await;
        }
        stream.reply().await
    }

    fn end(&mut self, end: Result<iron_runtime::Reply, Error>) {
        self.ended = true;
        self.buffer.change(|content| content.end = Some(end));
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Err(unfinished()));
        }
    }
}

impl Stream {
    pub(crate) fn new(client: iron_runtime::Client, request: ChatRequest, context: CallContext) -> Self {
        let request_id = context.request_id;
        let state = Mutex::new(State::Unsent(Box::new((client, request, context))));
        Self(Owned::new(Source { request_id, buffer: Arc::default(), state }))
    }
}

#[guarded]
#[pymethods]
impl Stream {
    /// Send the request, unless it was sent before.
    fn start(&self, py: Python<'_>, caller: Option<CallerKey<'_>>) -> PyResult<()> {
        let source = self.0.get(py)?;
        let mut state = lock(&source.state);
        match std::mem::replace(&mut *state, State::Closed) {
            State::Unsent(unsent) => {
                let (client, request, mut context) = *unsent;
                let pump = Pump { buffer: Arc::clone(&source.buffer), ended: false };
                let caller = Caller::of(caller, &mut context);
                let work = callback::asking(caller, pump.run(client, request, context));
                *state = State::Started(runtime::spawn(py, work)?);
            }
            other => *state = other,
        }
        Ok(())
    }

    /// Whether the provider has begun to answer.
    fn is_open(&self, py: Python<'_>) -> PyResult<bool> {
        let source = self.0.get(py)?;
        let mut content = lock(&source.buffer.content);
        let failed = content.chunks.is_empty() && matches!(content.end, Some(Err(_)));
        let failure = if failed { content.end.take() } else { None };
        let open = content.opened || content.end.is_some();
        drop(content);
        match failure {
            Some(Err(failure)) => Err(error::raise(py, failure, Some(source.request_id))),
            _ => Ok(open),
        }
    }

    /// All chunks that have arrived; an empty list at the end; `None` while there is nothing. Raises a failure once.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let source = self.0.get(py)?;
        let chunks = source.buffer.empty();
        if !chunks.is_empty() {
            let chunks = chunks.into_iter().map(chunk::Chunk::new);
            let chunks: Vec<_> = chunks.map(|chunk| Py::new(py, chunk)).collect::<PyResult<_>>()?;
            return PyList::new(py, chunks).map(Some);
        }
        let mut content = lock(&source.buffer.content);
        if !content.chunks.is_empty() {
            // They came in between: the next `wait` returns at once.
            return Ok(None);
        }
        let end = match &content.end {
            None => return Ok(None),
            Some(Ok(_)) => return Ok(Some(PyList::empty(py))),
            Some(Err(_)) => content.end.take(),
        };
        drop(content);
        match end {
            Some(Err(failure)) => Err(error::raise(py, failure, Some(source.request_id))),
            _ => Ok(None),
        }
    }

    /// The assembled reply, after the end.
    fn reply(&self, py: Python<'_>) -> PyResult<Option<Reply>> {
        let content = lock(&self.0.get(py)?.buffer.content);
        Ok(match &content.end {
            Some(Ok(reply)) => Some(Reply::new(reply.clone())),
            _ => None,
        })
    }

    /// Complete `future` at the next change; the slot returned cancels the wait alone.
    fn wait(&self, port: &Bound<'_, Port>, future: Bound<'_, PyAny>, for_opening: bool) -> PyResult<u64> {
        let source = self.0.get(port.py())?;
        let (slot, queue) = port.get().reserve();
        port.get().expect(slot, future, None);
        source.buffer.wait(Delivery::to_slot(queue, slot, Some(source.request_id)), for_opening);
        Ok(slot)
    }

    /// Wait for the next change.
    fn wait_blocking(&self, py: Python<'_>, for_opening: bool) -> PyResult<()> {
        let source = self.0.get(py)?;
        let (delivery, receiver) = Delivery::to_thread(Some(source.request_id));
        source.buffer.wait(delivery, for_opening);
        receiver.wait(py, || source.close())?;
        Ok(())
    }

    /// The call's id.
    fn request_id(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.0.get(py)?.request_id.to_string())
    }

    /// Give up the rest.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.close();
        Ok(())
    }
}

fn held_bytes(chunk: &Chunk) -> usize {
    chunk.data.len() + chunk.raw.as_ref().map_or(0, bytes::Bytes::len)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
