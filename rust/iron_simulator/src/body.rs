//! The body of a reply: its pieces at their pace, broken where a fault says.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::clock;
use crate::ending::{Ending, How};
use crate::events::Events;
use crate::fault::{At, Fault, PaddingFault};
use crate::flight::{Flight, Meter};
use crate::padding::Padded;
use crate::wire::{Mark, Wire};

/// A piece of a body and the tokens it carries.
#[derive(Default)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
    /// The time before it.
    pub(crate) wait: Duration,
}

pub(crate) enum Source {
    /// All at once, with `content-length`.
    Whole(Option<Bytes>),
    /// Event by event, chunked.
    Events(Box<Events>),
    /// One of the others after white space, chunked.
    Padded(Box<Padded>),
}

impl Source {
    pub(crate) fn next(&mut self) -> Option<Piece> {
        match self {
            Self::Whole(bytes) => bytes.take().map(|bytes| Piece { bytes, ..Piece::default() }),
            Self::Events(stream) => stream.next(),
            Self::Padded(padded) => padded.next(),
        }
    }
}

/// What a fault does at a place in the body.
#[derive(Clone, Copy)]
enum Deed {
    Stall(Option<Duration>),
    End(How),
}

/// The rate of a stream.
struct Pace {
    start: Instant,
    tokens_per_second: f64,
    given: u64,
}

/// The body of a reply.
pub(crate) struct ReplyBody {
    source: Source,
    wire: Arc<Wire>,
    /// Until it is handed to the wire with the last byte.
    flight: Option<Flight>,
    meter: Option<Arc<Meter>>,
    pace: Option<Pace>,
    fault: Option<(At, Deed)>,
    split: bool,
    /// Taken from the source, not yet given.
    held: Option<Piece>,
    /// The deed that is due once what was given is in the socket, and bytes to write after it, unframed.
    due: Option<(Deed, Bytes)>,
    /// Give the HTTP writer no more before it has written what it has.
    flush: bool,
    wait: Option<Pin<Box<Sleep>>>,
    chunks: u64,
    bytes: u64,
}

impl ReplyBody {
    /// A body of known length.
    pub(crate) fn whole(bytes: Bytes, wire: &Arc<Wire>, flight: Flight) -> Self {
        let mut body = Self::new(Source::Whole(None), wire, flight);
        if bytes.is_empty() {
            // Nothing will be asked for, so the end is handed over at once.
            body.hand_end(0);
        } else {
            body.source = Source::Whole(Some(bytes));
        }
        body
    }

    /// A body of events, at a rate.
    pub(crate) fn events(
        stream: Events,
        tokens_per_second: Option<f64>,
        wire: &Arc<Wire>,
        flight: Flight,
    ) -> Self {
        let mut body = Self::new(Source::Events(Box::new(stream)), wire, flight);
        body.meter = body.flight.as_ref().and_then(Flight::meter);
        body.pace = tokens_per_second.map(|tokens_per_second| Pace {
            start: clock::now(),
            tokens_per_second,
            given: 0,
        });
        body
    }

    fn new(source: Source, wire: &Arc<Wire>, flight: Flight) -> Self {
        Self {
            source,
            wire: Arc::clone(wire),
            flight: Some(flight),
            meter: None,
            pace: None,
            fault: None,
            split: false,
            held: None,
            due: None,
            flush: false,
            wait: None,
            chunks: 0,
            bytes: 0,
        }
    }

    /// Do `fault` to the body, if it is one that is done while writing.
    pub(crate) fn with_fault(mut self, fault: &Fault) -> Self {
        self.fault = match fault {
            Fault::Stall(stall) => Some((stall.at, Deed::Stall(stall.ms.map(Duration::from_millis)))),
            Fault::Reset(reset) => Some((reset.at, Deed::End(How::Reset))),
            Fault::Close(close) => Some((close.at, Deed::End(How::Close))),
            _ => None,
        };
        self.fault.take_if(|(at, _)| *at == At::BeforeHeaders);
        self.split = matches!(fault, Fault::SplitBytes(_));
        self
    }

    /// With white space before it, and compressed if so told.
    pub(crate) fn padded(mut self, padding: PaddingFault) -> Self {
        let source = std::mem::replace(&mut self.source, Source::Whole(None));
        self.source = Source::Padded(Box::new(Padded::new(padding, source)));
        self
    }

    fn chunked(&self) -> bool {
        matches!(self.source, Source::Events(_) | Source::Padded(_))
    }

    fn next(&mut self) -> Option<Piece> {
        self.held.take().or_else(|| self.source.next())
    }

    /// When the piece may be given, if that is still to come.
    fn too_early(&self, piece: &Piece) -> Option<Instant> {
        let pace = self.pace.as_ref()?;
        let tokens = u32::try_from(pace.given + piece.output).unwrap_or(u32::MAX);
        let due = pace.start + clock::millis(f64::from(tokens) * 1000.0 / pace.tokens_per_second);
        (due > clock::now()).then_some(due)
    }

    /// How much of the piece comes before the fault, if the fault falls before its end.
    fn before_fault(&self, piece: Option<&Piece>) -> Option<(usize, Deed)> {
        let (at, deed) = self.fault?;
        let left = match at {
            At::BeforeHeaders | At::AfterHeaders => 0,
            At::AfterChunks(chunks) if self.chunks >= chunks => 0,
            At::AfterChunks(_) => usize::MAX,
            At::AfterBytes(bytes) => usize::try_from(bytes.saturating_sub(self.bytes)).unwrap_or(usize::MAX),
        };
        match piece {
            Some(piece) => (left < piece.bytes.len()).then_some((left, deed)),
            None => Some((0, deed)),
        }
    }

    /// Come to the fault: what is left of the piece follows a stall, and is lost to an end.
    fn reach_fault(&mut self, mut piece: Piece, before: usize, deed: Deed) -> Option<Bytes> {
        let len = piece.bytes.len();
        let first = piece.bytes.split_to(before);
        match deed {
            Deed::End(_) if self.chunked() && !first.is_empty() => {
                self.fault = None;
                let mut tail = BytesMut::new();
                tail.put_slice(format!("{len:x}\r\n").as_bytes());
                tail.put_slice(&first);
                self.due = Some((deed, tail.freeze()));
                self.flush = true;
                None
            }
            _ if !first.is_empty() => {
                // The fault stands: the next look finds nothing before it.
                self.held = Some(piece);
                Some(self.give(Piece { bytes: first, ..Piece::default() }, false))
            }
            _ => {
                self.fault = None;
                self.held = Some(piece).filter(|piece| !piece.bytes.is_empty());
                self.due = Some((deed, Bytes::new()));
                self.flush = true;
                None
            }
        }
    }

    /// Hand over a piece, or the part of one.
    fn give(&mut self, piece: Piece, whole: bool) -> Bytes {
        let len = piece.bytes.len();
        self.bytes += len as u64;
        self.chunks += u64::from(whole);
        if let Some(pace) = &mut self.pace {
            pace.given += piece.output;
        }
        let tokens = self.meter.clone().map(|meter| (meter, piece.output, piece.reasoning));
        if self.chunked() {
            // Length in hexadecimal and two line ends.
            let digits = (len.max(1).ilog2() / 4 + 1) as usize;
            self.wire.hand(Mark { bytes: len + digits + 4, tokens, end: None });
        } else if self.is_end_stream() {
            self.hand_end(len);
        } else {
            self.wire.hand(Mark { bytes: len, tokens, end: None });
        }
        piece.bytes
    }

    fn hand_end(&mut self, bytes: usize) {
        self.wire.hand(Mark { bytes, tokens: None, end: self.flight.take() });
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Ending;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Ending>>> {
        let body = &mut *self;
        loop {
            if std::mem::take(&mut body.flush) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(wait) = &mut body.wait {
                ready!(wait.as_mut().poll(cx));
                body.wait = None;
            }
            match body.due.take() {
                Some((Deed::Stall(None), _)) => {
                    body.due = Some((Deed::Stall(None), Bytes::new()));
                    return Poll::Pending;
                }
                Some((Deed::Stall(Some(time)), _)) => {
                    body.wait = Some(Box::pin(sleep(time)));
                    continue;
                }
                Some((Deed::End(how), tail)) => {
                    return Poll::Ready(Some(Err(Ending::new(how, tail, body.flight.take()))));
                }
                None => {}
            }
            let Some(mut piece) = body.next() else {
                if let Some((_, deed)) = body.before_fault(None) {
                    body.reach_fault(Piece::default(), 0, deed);
                    continue;
                }
                // The last chunk: "0", two line ends.
                body.hand_end(5);
                return Poll::Ready(None);
            };
            let wait = std::mem::take(&mut piece.wait);
            if !wait.is_zero() {
                body.held = Some(piece);
                body.wait = Some(Box::pin(sleep(wait)));
                continue;
            }
            if let Some(due) = body.too_early(&piece) {
                body.held = Some(piece);
                body.wait = Some(Box::pin(sleep_until(due)));
                continue;
            }
            if let Some((before, deed)) = body.before_fault(Some(&piece)) {
                match body.reach_fault(piece, before, deed) {
                    Some(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    None => continue,
                }
            }
            if body.split && piece.bytes.len() > 1 {
                let byte = piece.bytes.split_to(1);
                body.held = Some(piece);
                body.flush = true;
                let byte = body.give(Piece { bytes: byte, ..Piece::default() }, false);
                return Poll::Ready(Some(Ok(Frame::data(byte))));
            }
            body.flush = body.split;
            return Poll::Ready(Some(Ok(Frame::data(body.give(piece, true)))));
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Whole(None)) && self.held.is_none() && self.due.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Source::Whole(None) => SizeHint::with_exact(0),
            Source::Events(_) | Source::Padded(_) => SizeHint::default(),
        }
    }
}
