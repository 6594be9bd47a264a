//! What our crates log, queued for the Python thread that hands it to `logging`.
//!
//! Whoever logs never attaches to Python and never waits: the level is a number, and a full queue counts what it drops.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use iron_bridge_macros::guarded;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::runtime;

/// Records that wait for the thread; beyond it they are dropped, and counted.
const CAPACITY: usize = 8_192;
/// Records that cross to Python at once, at most.
const MAX_BATCH: usize = 2_048;
/// How long the thread lets records gather.
const GATHER: Duration = Duration::from_millis(10);
/// The crates whose records are ours: others may log addresses or headers.
const OURS: &str = "iron_";
/// Above `CRITICAL`: nothing is logged.
const OFF: u8 = u8::MAX;

/// The least level, as `logging` numbers them, that the logger takes.
static LEAST: AtomicU8 = AtomicU8::new(OFF);
static QUEUE: Queue = Queue::new();

struct Queue {
    waiting: Mutex<Waiting>,
    news: Condvar,
    dropped: AtomicU64,
}

struct Waiting {
    records: Vec<Record>,
    closed: bool,
}

struct Record {
    level: u8,
    at: SystemTime,
    file: &'static str,
    line: u32,
    text: Text,
}

/// What a record says: its message, and its fields in words and as values.
#[derive(Default)]
struct Text {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

enum Value {
    Text(String),
    Number(i64),
}

impl Queue {
    const fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting { records: Vec::new(), closed: false }),
            news: Condvar::new(),
            dropped: AtomicU64::new(0),
        }
    }

    fn push(&self, record: Record) {
        let mut waiting = self.lock();
        let before = waiting.records.len();
        if before >= CAPACITY {
            drop(waiting);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.records.push(record);
        drop(waiting);
        if before == 0 || before + 1 == MAX_BATCH {
            self.news.notify_one();
        }
    }

    /// Wait for records, and let them gather a moment. `None` when closed and empty.
    fn take(&self) -> Option<Vec<Record>> {
        let idle = |waiting: &mut Waiting| waiting.records.is_empty() && !waiting.closed;
        let waiting = self.news.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let few = |waiting: &mut Waiting| waiting.records.len() < MAX_BATCH && !waiting.closed;
        let waited = self.news.wait_timeout_while(waiting, GATHER, few);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if waiting.records.is_empty() {
            return None;
        }
        let batch = waiting.records.len().min(MAX_BATCH);
        Some(waiting.records.drain(..batch).collect())
    }

    fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Start what delivers records: a thread of Python's. Called while attached, when the runtime starts.
pub(crate) fn start(py: Python<'_>) -> PyResult<()> {
    set_level(py.import("iron_sdk._logging")?.call_method0("start")?.extract()?);
    // Another one can only have been set by an embedder that linked this library as Rust: then records are its.
    drop(tracing::subscriber::set_global_default(Forwarder));
    Ok(())
}

/// Note which level the logger takes. Python tells it as each call begins: asked from here, Python could find at its end
/// that the thread has to go, and would unwind it through our frames, which aborts the process.
#[guarded]
#[pyfunction]
pub(crate) fn set_log_level(level: i64) -> PyResult<()> {
    set_level(level);
    Ok(())
}

fn set_level(level: i64) {
    LEAST.store(u8::try_from(level.max(0)).unwrap_or(OFF), Ordering::Relaxed);
}

/// Wait for records: level, seconds since 1970, file, line, message and fields of each; and how many were dropped since
/// this was last asked. `None` after [`close_logs`].
#[guarded]
#[pyfunction]
pub(crate) fn take_logs(py: Python<'_>) -> PyResult<Option<(Bound<'_, PyList>, u64)>> {
    let Some(records) = py.detach(|| QUEUE.take()) else { return Ok(None) };
    let records = records.into_iter().map(|record| {
        let fields = PyDict::new(py);
        for (name, value) in record.text.fields {
            match value {
                Value::Text(text) => fields.set_item(name, text)?,
                Value::Number(number) => fields.set_item(name, number)?,
            }
        }
        let at = record.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        (record.level, at, record.file, record.line, record.text.message, fields).into_pyobject(py)
    });
    let records = PyList::new(py, records.collect::<PyResult<Vec<_>>>()?)?;
    Ok(Some((records, QUEUE.dropped.swap(0, Ordering::Relaxed))))
}

/// Let [`take_logs`] give what is left, and then end.
#[guarded]
#[pyfunction]
pub(crate) fn close_logs(py: Python<'_>) {
    // A forked child has no such thread, and the lock may be held by one that it does not have either.
    if !runtime::forked() {
        py.detach(|| QUEUE.close());
    }
}

/// Everything that our crates log.
struct Forwarder;

impl Subscriber for Forwarder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() && metadata.target().starts_with(OURS) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        number(*metadata.level()) >= LEAST.load(Ordering::Relaxed)
            && metadata.is_event()
            && metadata.target().starts_with(OURS)
    }

    fn event(&self, event: &Event<'_>) {
        if runtime::forked() {
            return;
        }
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        QUEUE.push(Record {
            level: number(*metadata.level()),
            at: iron_runtime::calendar_now(),
            file: metadata.file().unwrap_or_default(),
            line: metadata.line().unwrap_or_default(),
            text,
        });
    }

    // Our crates open no spans, and those of others are not ours to follow.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Visit for Text {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Number(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, Value::Text(format!("{value:?}")));
    }
}

impl Text {
    fn add(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            if let Value::Text(text) = value {
                // Before the fields, in whatever order they come.
                self.message.insert_str(0, &text);
            }
            return;
        }
        // Writing to a string cannot fail.
        let _ = match &value {
            Value::Text(text) => write!(self.message, " {}={text}", field.name()),
            Value::Number(number) => write!(self.message, " {}={number}", field.name()),
        };
        self.fields.push((field.name(), value));
    }
}

/// A level as `logging` numbers it.
fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 5,
    }
}
