//! The client: a conversion, one call of the core, and the way back.

use std::path::PathBuf;

use iron_bridge_macros::guarded;
use iron_runtime::config::{Config, Sources};
use iron_runtime::{CallContext, ChatRequest, EmbedRequest};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::budget::{Budget, ledger};
use crate::callback::{Caller, CallerKey};
use crate::convert::options::Options;
use crate::convert::{Fault, Intake, money, request};
use crate::events::{EventReader, events};
use crate::port::Port;
use crate::runtime::Owned;
use crate::stream::Stream;
use crate::{awaitable, callback, delivery, error, stats};

/// Makes governed calls; used from any number of threads and event loops.
#[pyclass(frozen, module = "iron_sdk._iron")]
pub(crate) struct Client(Owned<iron_runtime::Client>);

#[guarded]
#[pymethods]
impl Client {
    #[new]
    fn new(
        py: Python<'_>,
        file: Option<PathBuf>,
        discover: bool,
        profile: Option<String>,
        overrides: Option<&Bound<'_, PyDict>>,
        arguments: &Bound<'_, PyDict>,
        detectors: Vec<String>,
    ) -> PyResult<Self> {
        if crate::runtime::forked() {
            return Err(error::forked(py));
        }
        let overrides = overrides.map(|settings| json(settings.as_any())).transpose()?;
        let arguments = arguments.iter().map(|(name, settings)| Ok((name.extract()?, json(&settings)?)));
        let arguments = arguments.collect::<PyResult<_>>()?;
        let sources = Sources { file, discover, environment: true, profile, overrides, arguments };
        let client = py.detach(|| {
            let extensions = callback::extensions(detectors)?;
            iron_runtime::Client::extended(Config::load(&sources)?, ledger(), events(), extensions)
        });
        client.map(|client| Self(Owned::new(client))).map_err(|failure| error::raise(py, failure, None))
    }

    /// Complete `future` with the reply; the slot returned cancels the call.
    fn chat(
        &self,
        port: &Bound<'_, Port>,
        future: Bound<'_, PyAny>,
        messages: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
        scope: &Bound<'_, PyTuple>,
        caller: Option<CallerKey<'_>>,
    ) -> PyResult<u64> {
        let client = self.0.get(port.py())?.clone();
        let (request, mut context) = chat(messages, options, scope)?;
        let id = context.request_id;
        let caller = Caller::of(caller, &mut context);
        let call = async move { client.chat(request, context).await };
        delivery::to_future(port, future, id, callback::asking(caller, call))
    }

    /// Wait for the reply.
    fn chat_blocking(
        &self,
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
        scope: &Bound<'_, PyTuple>,
        caller: Option<CallerKey<'_>>,
    ) -> PyResult<Py<PyAny>> {
        let client = self.0.get(py)?.clone();
        let (request, mut context) = chat(messages, options, scope)?;
        let id = context.request_id;
        let caller = Caller::of(caller, &mut context);
        let call = async move { client.chat(request, context).await };
        delivery::to_caller(py, id, callback::asking(caller, call))
    }

    /// A stream that is not started yet.
    fn stream(
        &self,
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
        scope: &Bound<'_, PyTuple>,
    ) -> PyResult<Stream> {
        let client = self.0.get(py)?.clone();
        let (request, context) = chat(messages, options, scope)?;
        Ok(Stream::new(client, request, context))
    }

    /// Complete `future` with the vectors; the slot returned cancels the call.
    fn embed(
        &self,
        port: &Bound<'_, Port>,
        future: Bound<'_, PyAny>,
        texts: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
        scope: &Bound<'_, PyTuple>,
        caller: Option<CallerKey<'_>>,
    ) -> PyResult<u64> {
        let client = self.0.get(port.py())?.clone();
        let (request, mut context) = embed(texts, options, scope)?;
        let id = context.request_id;
        let caller = Caller::of(caller, &mut context);
        let call = async move { client.embed(request, context).await };
        delivery::to_future(port, future, id, callback::asking(caller, call))
    }

    /// Wait for the vectors.
    fn embed_blocking(
        &self,
        py: Python<'_>,
        texts: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
        scope: &Bound<'_, PyTuple>,
        caller: Option<CallerKey<'_>>,
    ) -> PyResult<Py<PyAny>> {
        let client = self.0.get(py)?.clone();
        let (request, mut context) = embed(texts, options, scope)?;
        let id = context.request_id;
        let caller = Caller::of(caller, &mut context);
        let call = async move { client.embed(request, context).await };
        delivery::to_caller(py, id, callback::asking(caller, call))
    }

    /// Of what a chat would reserve: most and least as exact text, input and output tokens, upstream, whether priced.
    fn estimate(
        &self,
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<(String, String, u64, u64, String, bool)> {
        let client = self.0.get(py)?.clone();
        let (request, _) = chat(messages, options, &PyTuple::empty(py))?;
        let told =
            py.detach(|| client.estimate(&request)).map_err(|failure| error::raise(py, failure, None))?;
        let (most, least) = (money::text(told.most), money::text(told.least));
        Ok((most, least, told.input_tokens, told.output_tokens, told.upstream.to_string(), told.priced))
    }

    /// The budget that holds all of the client's calls.
    fn budget(&self, py: Python<'_>) -> PyResult<Option<Budget>> {
        Ok(self.0.get(py)?.budget().cloned().map(Budget::new))
    }

    /// Calls that have begun and not ended.
    fn in_flight(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.0.get(py)?.in_flight())
    }

    /// What the calls have come to: counts by name, amounts as exact text, times in seconds.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let client = self.0.get(py)?;
        stats::python(py, client)
    }

    /// A reader of what happens to this client's calls.
    fn events(&self, py: Python<'_>) -> PyResult<EventReader> {
        Ok(EventReader::of(self.0.get(py)?.events()))
    }

    /// Refuse new calls.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.close();
        Ok(())
    }

    /// An awaitable that is done when no call is in flight.
    fn drained<'py>(&self, port: &Bound<'py, Port>) -> PyResult<Bound<'py, PyAny>> {
        let client = self.0.get(port.py())?.clone();
        awaitable::future_into_py(port, async move {
            client.drained().await;
            Ok(awaitable::Nothing)
        })
    }

    /// Wait until no call is in flight.
    fn drained_blocking(&self, py: Python<'_>) -> PyResult<()> {
        let client = self.0.get(py)?.clone();
        delivery::wait_for(py, async move { client.drained().await })
    }
}

fn json(settings: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(Intake::new().json(settings)?.as_str().to_owned())
}

fn chat(
    messages: &Bound<'_, PyAny>,
    options: &Bound<'_, PyDict>,
    scope: &Bound<'_, PyTuple>,
) -> PyResult<(ChatRequest, CallContext)> {
    let mut intake = Intake::new();
    let messages = request::messages(&mut intake, messages)?;
    let options = Options::read(&mut intake, options)?;
    let context = options.context(scope)?;
    let Options { model, max_tokens, n, params, .. } = options;
    Ok((ChatRequest { model: model.unwrap_or_default(), messages, max_tokens, n, params }, context))
}

fn embed(
    texts: &Bound<'_, PyAny>,
    options: &Bound<'_, PyDict>,
    scope: &Bound<'_, PyTuple>,
) -> PyResult<(EmbedRequest, CallContext)> {
    let mut intake = Intake::new();
    let input = request::input(&mut intake, texts)?;
    let options = Options::read(&mut intake, options)?;
    for (name, given) in [
        ("max_tokens", options.max_tokens.is_some()),
        ("n", options.n.is_some()),
        ("validate_output", options.validate_output.is_some()),
        ("max_repairs", options.max_repairs.is_some()),
    ] {
        if given {
            return Err(Fault::wrong("has no meaning for embeddings; leave it out").at(name).into());
        }
    }
    let context = options.context(scope)?;
    let Options { model, params, .. } = options;
    Ok((EmbedRequest { model: model.unwrap_or_default(), input, params }, context))
}
