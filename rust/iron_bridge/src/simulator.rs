//! A simulator of providers, run for tests and demonstrations.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iron_bridge_macros::guarded;
use iron_simulator::{Error, Rule, Settings};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::convert::Intake;
use crate::port::Port;
use crate::{awaitable, delivery, error, runtime};

/// A running simulator, until it is stopped.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Simulator(Mutex<Option<Arc<iron_simulator::Simulator>>>);

impl Simulator {
    fn new(started: iron_simulator::Simulator) -> Self {
        Self(Mutex::new(Some(Arc::new(started))))
    }

    fn running(&self, py: Python<'_>) -> PyResult<Arc<iron_simulator::Simulator>> {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        running.filter(|_| !runtime::forked()).ok_or_else(|| error::closed(py))
    }

    /// The simulator, if nobody else stops it or waits on it: a waiter's end stops it otherwise.
    fn take(&self) -> Option<iron_simulator::Simulator> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().and_then(Arc::into_inner)
    }
}

#[guarded]
#[pymethods]
impl Simulator {
    /// An awaitable of a simulator that listens.
    #[staticmethod]
    fn start<'py>(port: &Bound<'py, Port>, settings: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let settings: Settings = parse(settings.as_any())?;
        awaitable::future_into_py(port, async move {
            iron_simulator::Simulator::start(settings)
                .await
                .map(Self::new)
                .map_err(|failure| refused(&failure))
        })
    }

    /// Start one and wait until it listens.
    #[staticmethod]
    fn start_blocking(py: Python<'_>, settings: &Bound<'_, PyDict>) -> PyResult<Self> {
        let settings: Settings = parse(settings.as_any())?;
        delivery::wait_for(py, iron_simulator::Simulator::start(settings))?
            .map(Self::new)
            .map_err(|failure| refused(&failure))
    }

    /// Where the OpenAI API begins.
    fn url(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.running(py)?.url())
    }

    /// The counters, as JSON text.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        text(&self.running(py)?.stats())
    }

    /// The requests received, as JSON text.
    fn requests(&self, py: Python<'_>) -> PyResult<String> {
        text(&self.running(py)?.requests())
    }

    /// Replace the rules.
    fn set_rules(&self, rules: &Bound<'_, PyAny>) -> PyResult<()> {
        let running = self.running(rules.py())?;
        running.set_rules(parse::<Vec<Rule>>(rules)?).map_err(|failure| refused(&failure))
    }

    /// Forget requests and counters, and begin the rules anew.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.running(py)?.reset();
        Ok(())
    }

    /// An awaitable: whether nothing was in progress at some moment of the time given.
    fn quiet<'py>(&self, port: &Bound<'py, Port>, timeout_ms: u64) -> PyResult<Bound<'py, PyAny>> {
        let running = self.running(port.py())?;
        awaitable::future_into_py(
            port,
            async move { Ok(running.quiet(Duration::from_millis(timeout_ms)).await) },
        )
    }

    /// Wait until nothing is in progress, for at most the time given.
    fn quiet_blocking(&self, py: Python<'_>, timeout_ms: u64) -> PyResult<bool> {
        let running = self.running(py)?;
        delivery::wait_for(py, async move { running.quiet(Duration::from_millis(timeout_ms)).await })
    }

    /// An awaitable that is done when nothing listens and no connection is open.
    fn stop<'py>(&self, port: &Bound<'py, Port>) -> PyResult<Bound<'py, PyAny>> {
        let running = self.take();
        awaitable::future_into_py(port, async move {
            if let Some(running) = running {
                running.shutdown().await;
            }
            Ok(awaitable::Nothing)
        })
    }

    /// Stop and wait until no connection is open.
    fn stop_blocking(&self, py: Python<'_>) -> PyResult<()> {
        match self.take() {
            Some(running) => delivery::wait_for(py, running.shutdown()),
            None => Ok(()),
        }
    }
}

fn parse<T: DeserializeOwned>(value: &Bound<'_, PyAny>) -> PyResult<T> {
    let json = Intake::new().json(value)?;
    serde_json::from_str(json.as_str()).map_err(|wrong| error::config(format!("simulator: {wrong}")))
}

fn text(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|wrong| error::config(format!("simulator: {wrong}")))
}

fn refused(failure: &Error) -> PyErr {
    error::config(format!("simulator: {failure}"))
}
