//! A streamed reply: events as they come, settled when it ends or is dropped.

use bytes::Bytes;
use iron_protocol::RequestId;

use crate::Error;
use crate::audit::Receipt;
use crate::call::{CallReport, ChatRequest, Chunk, Reply, Usage};
use crate::output::Wanted;
use crate::pipeline::{Call, Held, Open, StreamRestore, StreamScreen};
use crate::provider::{Reading, Told, Whole};
use crate::upstream::{EventDecoder, EventFault, Exchange, Failure, Verdict, verdict};

/// A chat completion on its way in.
///
/// It holds the call's places among those in flight, and its reservation, until its end, so that the next call need not
/// wait for the reader. Dropped before its end it is settled: with the usage if that has come, by
/// count if every choice has ended, and otherwise at the whole reservation, because what the provider goes on to
/// generate before it notices is unknown.
pub struct ChatStream {
    call: Call,
    open: Option<Open>,
    /// What is left of a complete reply: the end of its body.
    ending: Option<Exchange>,
    upstream: std::sync::Arc<str>,
    decoder: EventDecoder,
    reading: Reading,
    /// A policy, which holds back what has not been judged.
    screen: Option<Box<StreamScreen>>,
    /// The way back of placeholders, after the policy.
    restore: Option<Box<StreamRestore>>,
    /// What waits for its judgement, where rules on tools hold or detectors of the user's own are asked.
    held: Option<Box<Held>>,
    /// What the whole reply has to be.
    wanted: Option<Box<Wanted>>,
    usage: Usage,
    events: Vec<Bytes>,
    /// What comes after the chunks that came with it.
    error: Option<Error>,
    state: State,
    /// Comes when the record of the call is written.
    receipt: Option<Receipt>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Complete,
    Failed,
}

impl ChatStream {
    pub(crate) fn new(
        call: Call,
        open: Open,
        request: &ChatRequest,
        held: Option<Held>,
        wanted: Option<Box<Wanted>>,
    ) -> Self {
        Self {
            screen: call.stream_screen(request).map(Box::new),
            restore: call.stream_restore().map(Box::new),
            wanted,
            call,
            upstream: open.target.name.clone(),
            reading: Reading::new(open.target.provider.format, request),
            open: Some(open),
            ending: None,
            decoder: EventDecoder::default(),
            held: held.map(Box::new),
            usage: Usage::default(),
            events: Vec::new(),
            error: None,
            state: State::Running,
            receipt: None,
        }
    }

    /// The call's id.
    pub fn request_id(&self) -> RequestId {
        self.call.request_id()
    }

    /// All chunks that have arrived, at least one; `None` once the reply is complete.
    ///
    /// # Errors
    /// [`Error::UpstreamConnection`], [`Error::UpstreamTimeout`] or [`Error::UpstreamStatus`] if the reply broke off
    /// or is malformed; what came before it is not the whole reply. [`Error::OutputInvalid`] after the whole reply, if it
    /// is not what the request asks for. After an error the stream gives `None`.
    ///
    /// # Cancel safety
    /// Dropping the future loses no chunk.
    pub async fn next_batch(&mut self) -> Option<Result<Vec<Chunk>, Error>> {
        while self.state == State::Running {
            let Some(open) = &mut self.open else { break };
            let piece = open.exchange.piece().await;
            let mut chunks = Vec::new();
            if let Err(error) = self.take_piece(piece, &mut chunks) {
                self.end(State::Failed, verdict(&error));
                self.fail(error);
            }
            if !chunks.is_empty() {
                return Some(Ok(chunks));
            }
        }
        if let Some(held) = self.held.as_mut().filter(|held| self.state == State::Complete && held.waits()) {
            match held.judged(&mut self.call, self.screen.as_deref_mut()).await {
                Ok(chunks) => {
                    match self.fits() {
                        Ok(()) => self.answered(),
                        Err(error) => {
                            self.state = State::Failed;
                            self.fail(error);
                        }
                    }
                    return Some(Ok(chunks));
                }
                Err(refused) => {
                    self.state = State::Failed;
                    self.fail(refused);
                }
            }
        }
        if let Err(unrecorded) = self.recorded().await {
            self.error.get_or_insert(unrecorded);
        }
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        if let Some(ending) = self.ending.take() {
            ending.drain().await;
        }
        None
    }

    /// What governing the call found out, once the reply is complete.
    pub fn report(&self) -> Option<CallReport> {
        let complete = self.state == State::Complete;
        complete.then(|| self.call.report(self.usage, self.upstream.clone()))
    }

    /// Read what is left and give the whole reply, in the form of a plain call's.
    ///
    /// # Errors
    /// As [`ChatStream::next_batch`]; also if the stream had failed before.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; it can be called again.
    pub async fn reply(&mut self) -> Result<Reply, Error> {
        while let Some(batch) = self.next_batch().await {
            batch?;
        }
        if self.state == State::Failed {
            return Err(self.broken("the stream has failed before"));
        }
        let Whole { body, raw } = self.restored();
        Ok(Reply { report: self.call.report(self.usage, self.upstream.clone()), body, raw })
    }

    /// Read a piece of the body, or its end: the chunks that it completes, and what is wrong with what follows them.
    fn take_piece(
        &mut self,
        piece: Result<Option<Bytes>, Failure>,
        chunks: &mut Vec<Chunk>,
    ) -> Result<(), Error> {
        let piece = piece.map_err(|failure| failure.error)?;
        let ended = piece.is_none();
        let decoded = match piece {
            Some(piece) => self.decoder.feed(piece, &mut self.events),
            None => self.decoder.finish(&mut self.events),
        };
        self.take_events(chunks)?;
        match decoded {
            // Nothing is read after the end.
            _ if self.state != State::Running => Ok(()),
            Err(fault) => Err(self.faulty(fault)),
            Ok(()) if ended => self.end_of_body(),
            Ok(()) => Ok(()),
        }
    }

    fn take_events(&mut self, chunks: &mut Vec<Chunk>) -> Result<(), Error> {
        let mut events = std::mem::take(&mut self.events).into_iter();
        while let Some(data) = events.next() {
            if self.state != State::Running {
                break;
            }
            let read = self.read(data.clone(), chunks);
            if read.is_err() {
                self.read_on(&mut events);
            }
            match read? {
                Ok(false) => {}
                Ok(true) => self.done()?,
                Err(told) => return Err(self.malformed(told, data)),
            }
        }
        Ok(())
    }

    /// Read an event; of its chunks, those pass that the policy lets pass, with their placeholders restored.
    fn read(&mut self, data: Bytes, chunks: &mut Vec<Chunk>) -> Result<Result<bool, Told>, Error> {
        let first = chunks.len();
        let read = self.reading.read(data, chunks);
        if let Some(open) = &mut self.open
            && chunks.len() > first
        {
            // Also if none of it may be shown yet.
            open.exchange.progressed();
        }
        if let Some(held) = &mut self.held {
            let came = held.keep(chunks.split_off(first))?;
            chunks.extend(came);
        }
        let mut passed = Ok(());
        if let Some(screen) = self.screen.as_mut().filter(|screen| !screen.is_behind()) {
            let came = chunks.split_off(first);
            passed = screen.pass(came.into_iter(), chunks);
        }
        if let Some(restore) = &mut self.restore {
            let came = chunks.split_off(first);
            restore.pass(came.into_iter(), chunks)?;
        }
        if let Some(held) = &mut self.held {
            held.keep_ends(chunks, first);
        }
        passed.map(|()| read)
    }

    /// What is left of events that came with one that a rule refuses: it may tell the usage.
    fn read_on(&mut self, events: impl Iterator<Item = Bytes>) {
        for data in events {
            if !matches!(self.reading.read(data, &mut Vec::new()), Ok(false)) {
                break;
            }
        }
    }

    /// The provider says that nothing comes after this.
    fn done(&mut self) -> Result<(), Error> {
        if self.reading.finished() {
            return self.complete();
        }
        let message = "the stream was ended before every choice had a finish_reason";
        Err(self.malformed(Told::wrong(message), Bytes::new()))
    }

    /// The body ended. Some vendors send no `[DONE]`: a reply whose choices have all ended is whole without it.
    fn end_of_body(&mut self) -> Result<(), Error> {
        if self.reading.finished() {
            return self.complete();
        }
        Err(self.broken("the stream ended before the reply was complete"))
    }

    /// Every choice has ended: the reply is whole, if it is what the caller wants.
    fn complete(&mut self) -> Result<(), Error> {
        if !self.held.as_ref().is_some_and(|held| held.waits_for_text()) {
            self.fits()?;
        }
        self.end(State::Complete, Verdict::Well);
        Ok(())
    }

    /// Hold what was said, once it is judged, against what the caller wants.
    fn fits(&mut self) -> Result<(), Error> {
        let Some(wanted) = self.wanted.take() else { return Ok(()) };
        let fits = wanted.fits(&self.restored().body)?;
        fits.map_err(|flaw| flaw.into_error(&self.upstream, 0, None))
    }

    fn end(&mut self, state: State, verdict: Verdict) {
        self.state = state;
        if let Some(screen) = &mut self.screen {
            if screen.is_behind() && state == State::Complete {
                self.call.found(screen.told_behind(&self.reading.whole().body));
            }
            self.call.found(screen.told());
        }
        self.settle(verdict);
    }

    /// The whole reply as it is handed over.
    fn restored(&self) -> Whole {
        let whole = self.shown();
        match &self.restore {
            Some(restore) => restore.whole(whole),
            None => whole,
        }
    }

    /// The whole reply as the policy lets it be shown, with its placeholders: what is recorded.
    fn shown(&self) -> Whole {
        let whole = self.reading.whole();
        match &self.screen {
            Some(screen) => screen.whole(whole),
            None => whole,
        }
    }

    /// A stream that has ended shows that only once it is recorded as the configuration asks.
    async fn recorded(&mut self) -> Result<(), Error> {
        let Some(receipt) = &mut self.receipt else { return Ok(()) };
        let written = receipt.written().await;
        self.receipt = None;
        written.map_err(Error::Audit)
    }

    /// Settle once.
    fn settle(&mut self, verdict: Verdict) {
        let Some(open) = self.open.take() else { return };
        self.call.streamed(open.visit.sent_at());
        open.visit.end(verdict);
        let finished = self.reading.finished();
        let counted = if finished { open.bound.counted(self.reading.most_tokens()) } else { None };
        self.usage = self.call.settle(open.reservation, &open.target, self.reading.facts(), counted);
        if self.state == State::Complete {
            self.ending = Some(open.exchange);
            if !self.held.as_ref().is_some_and(|held| held.waits()) {
                self.answered();
            }
        }
    }

    /// All of the reply may be shown.
    fn answered(&mut self) {
        let report = self.call.report(self.usage, self.upstream.clone());
        if self.call.is_noted() {
            self.call.note_reply(self.shown().body);
        }
        self.call.watch.answered(&report);
        self.receipt = self.call.record();
    }

    /// It ends by an error, which comes behind what is shown.
    fn fail(&mut self, error: Error) {
        self.error = Some(self.call.watch.failed(error));
        self.receipt = self.call.record();
    }

    /// An event that is none.
    fn faulty(&self, fault: EventFault) -> Error {
        match fault {
            EventFault::TooLong => {
                self.malformed(Told::wrong("an event of the stream is too long"), Bytes::new())
            }
            EventFault::Named(data) => {
                let told = self.open.as_ref().map(|open| open.target.provider.format.error(&data));
                self.malformed(told.unwrap_or_default(), data)
            }
        }
    }

    fn malformed(&self, told: Told, body: Bytes) -> Error {
        match &self.open {
            Some(open) => open.exchange.malformed(told, body),
            None => self.broken("the stream has ended"),
        }
    }

    fn broken(&self, what: &'static str) -> Error {
        Error::UpstreamConnection { upstream: self.upstream.to_string(), what, source: None }
    }
}

impl Drop for ChatStream {
    fn drop(&mut self) {
        self.settle(Verdict::Unknown);
    }
}

impl std::fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatStream")
            .field("upstream", &self.upstream)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
