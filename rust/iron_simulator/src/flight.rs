//! A request in flight: counted in when its head came, counted out exactly once however it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::record::{Exchange, Outcome};
use crate::stats::{Counters, TokenCounters, Usage};

/// The request in flight; dropping it counts it out as one whose client left or whose reply a fault broke.
pub(crate) struct Flight {
    counters: Arc<Counters>,
    exchange: Arc<Exchange>,
    meter: Option<Arc<Meter>>,
    /// Output and reasoning of a plain reply, counted at the end: a provider bills it whether or not it is read.
    due: (u64, u64),
    stream: bool,
    refused: bool,
    whole: bool,
}

/// Counts the output of one call, in all and for its model.
pub(crate) struct Meter {
    counters: Arc<Counters>,
    model: Arc<TokenCounters>,
}

impl Meter {
    pub(crate) fn add(&self, output: u64, reasoning: u64) {
        self.counters.tokens.add_output(output, reasoning);
        self.model.add_output(output, reasoning);
    }
}

impl Flight {
    pub(crate) fn begin(counters: &Arc<Counters>, exchange: &Arc<Exchange>) -> Self {
        counters.begin();
        Self {
            counters: Arc::clone(counters),
            exchange: Arc::clone(exchange),
            meter: None,
            due: (0, 0),
            stream: false,
            refused: false,
            whole: false,
        }
    }

    /// The request is accepted for generating: its input counts now, a plain reply's output at the end.
    pub(crate) fn accept(&mut self, model: &str, usage: Usage, stream: bool) {
        let model = self.counters.model(model);
        model.add_call(usage);
        self.counters.tokens.add_call(usage);
        self.stream = stream;
        if !stream {
            self.due = (usage.output, usage.reasoning);
        }
        self.meter = Some(Arc::new(Meter { counters: Arc::clone(&self.counters), model }));
    }

    /// What counts the chunks of a stream.
    pub(crate) fn meter(&self) -> Option<Arc<Meter>> {
        self.meter.clone().filter(|_| self.stream)
    }

    /// Nothing will be generated.
    pub(crate) fn refuse(&mut self) {
        self.refused = true;
    }

    /// A fault is done to the reply.
    pub(crate) fn fault(&self, kind: &'static str) {
        self.counters.add_fault(kind);
        self.exchange.set_fault(kind);
    }

    /// The head of the reply is made.
    pub(crate) fn head(&self, status: u16) {
        self.counters.add_status(status);
        self.exchange.set_status(status);
    }

    /// The reply is written whole.
    pub(crate) fn complete(mut self) {
        self.whole = true;
    }

    fn outcome(&self) -> Outcome {
        match (self.whole, self.exchange.status()) {
            (true, status) if self.refused || !(200..300).contains(&status) => Outcome::Refused,
            (_, _) if self.exchange.fault().is_some_and(spoils) => Outcome::Faulted,
            (true, _) => Outcome::Served,
            (false, _) => Outcome::Cut,
        }
    }
}

/// Whether a reply with a fault of that kind is not what was asked for even if all of it arrives.
fn spoils(kind: &str) -> bool {
    !matches!(kind, "stall" | "padded" | "bom" | "split_bytes" | "crlf" | "comments" | "multi_line_data")
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(meter) = &self.meter {
            meter.add(self.due.0, self.due.1);
        }
        let outcome = self.outcome();
        match outcome {
            Outcome::Served => {
                self.counters.served.fetch_add(1, Relaxed);
            }
            Outcome::Cut if self.stream => {
                self.counters.streams_cut.fetch_add(1, Relaxed);
            }
            Outcome::Cut if self.meter.is_some() => {
                self.counters.replies_abandoned.fetch_add(1, Relaxed);
            }
            _ => {}
        }
        self.exchange.set_outcome(outcome);
        self.counters.end();
    }
}
