//! Readers of what happens to the calls of the process, for Python.

mod describe;

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use iron_bridge_macros::guarded;
use iron_runtime::{Events, Told};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use self::describe::describe;
use crate::delivery::Delivery;
use crate::port::Port;
use crate::runtime::{self, Owned};

/// Events that cross to Python at once, at most.
const MAX_BATCH: usize = 256;

/// Where all clients of the process tell what happens.
pub(crate) fn events() -> &'static Events {
    static EVENTS: OnceLock<Events> = OnceLock::new();
    EVENTS.get_or_init(Events::new)
}

/// One reader, from its making on.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct EventReader(Owned<Arc<Source>>);

impl EventReader {
    pub(crate) fn of(reader: iron_runtime::EventReader) -> Self {
        let place = Mutex::new(Place { reader: Some(reader), ahead: None });
        Self(Owned::new(Arc::new(Source { place, closed: CancellationToken::new() })))
    }
}

struct Source {
    /// Locked across the wait by whoever waits, so that `take` never waits for it.
    place: Mutex<Place>,
    closed: CancellationToken,
}

struct Place {
    /// Gone when nothing more will come.
    reader: Option<iron_runtime::EventReader>,
    /// What ended the last wait.
    ahead: Option<Told>,
}

impl Place {
    fn take(&mut self) -> Option<Told> {
        self.ahead.take().or_else(|| self.reader.as_mut()?.take())
    }
}

impl Source {
    /// Wait until there is something to take, or nothing more to come.
    async fn wait(&self) {
        let mut place = self.place.lock().await;
        let Place { reader, ahead } = &mut *place;
        if ahead.is_some() {
            return;
        }
        if let Some(events) = reader {
            *ahead = tokio::select! {
                told = events.next() => told,
                () = self.closed.cancelled() => None,
            };
            if ahead.is_none() {
                *reader = None;
            }
        }
    }
}

#[guarded]
#[pymethods]
impl EventReader {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        if runtime::forked() {
            return Err(crate::error::forked(py));
        }
        Ok(Self::of(events().read()))
    }

    /// All events that have come, each with its kind, its time and its fields; an empty list when no more will come;
    /// `None` while there is nothing.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let source = self.0.get(py)?;
        if source.closed.is_cancelled() {
            return Ok(Some(PyList::empty(py)));
        }
        let Ok(mut place) = source.place.try_lock() else { return Ok(None) };
        let told: Vec<Told> = std::iter::from_fn(|| place.take()).take(MAX_BATCH).collect();
        let has_ended = place.reader.is_none();
        drop(place);
        if told.is_empty() && !has_ended {
            return Ok(None);
        }
        let told = told.into_iter().map(|told| python(py, told)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, told).map(Some)
    }

    /// Complete `future` when there is something to take; the slot returned cancels the wait.
    fn wait(&self, port: &Bound<'_, Port>, future: Bound<'_, PyAny>) -> PyResult<u64> {
        let source = self.0.get(port.py())?.clone();
        let (slot, queue) = port.get().reserve();
        let delivery = Delivery::to_slot(queue, slot, None);
        let work = runtime::spawn(port.py(), async move {
            source.wait().await;
            delivery.ready();
        })?;
        port.get().expect(slot, future, Some(work));
        Ok(slot)
    }

    /// Wait until there is something to take.
    fn wait_blocking(&self, py: Python<'_>) -> PyResult<()> {
        let source = self.0.get(py)?.clone();
        crate::delivery::wait_for(py, async move { source.wait().await })
    }

    /// Read no more.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let source = self.0.get(py)?;
        source.closed.cancel();
        // Whoever waits gives the reader up itself.
        if let Ok(mut place) = source.place.try_lock() {
            place.reader = None;
        }
        Ok(())
    }
}

fn python(py: Python<'_>, told: Told) -> PyResult<Bound<'_, PyTuple>> {
    let fields = PyDict::new(py);
    let (kind, at) = match told {
        Told::Dropped(count) => {
            fields.set_item("count", count)?;
            ("dropped", seconds(iron_runtime::calendar_now()))
        }
        Told::Event(event) => (describe(&event.what, &fields)?, seconds(event.at)),
    };
    (kind, at, fields).into_pyobject(py)
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
