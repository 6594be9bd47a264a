//! The wire: a connection's socket, and what of each reply it has really taken.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::flight::{Flight, Meter};

/// What was handed to the HTTP writer and is not yet known to be in the socket, oldest first.
#[derive(Default)]
pub(crate) struct Wire(Mutex<Handed>);

#[derive(Default)]
struct Handed {
    queue: VecDeque<Mark>,
    /// Bytes taken by the socket since the queue was last empty.
    taken: usize,
}

/// A place in the bytes handed over, and what is to be counted when the socket has taken all before it.
pub(crate) struct Mark {
    /// Bytes since the mark before, framing included.
    pub(crate) bytes: usize,
    /// Output and reasoning tokens in them.
    pub(crate) tokens: Option<(Arc<Meter>, u64, u64)>,
    /// The request that ends here.
    pub(crate) end: Option<Flight>,
}

impl Mark {
    fn reached(self) {
        if let Some((meter, output, reasoning)) = self.tokens {
            meter.add(output, reasoning);
        }
        if let Some(flight) = self.end {
            flight.complete();
        }
    }
}

impl Wire {
    pub(crate) fn hand(&self, mark: Mark) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).queue.push_back(mark);
    }

    /// The socket took so many bytes more.
    fn took(&self, bytes: usize) {
        let mut handed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if handed.queue.is_empty() {
            return;
        }
        handed.taken += bytes;
        while handed.queue.front().is_some_and(|mark| mark.bytes <= handed.taken) {
            if let Some(mark) = handed.queue.pop_front() {
                handed.taken -= mark.bytes;
                mark.reached();
            }
        }
    }

    /// The socket took everything that was handed over. A head's length is known to the HTTP writer alone, so between
    /// flushes a mark may be passed early by the length of one head; here the count is exact again.
    fn flushed(&self) {
        let mut handed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handed.taken = 0;
        for mark in handed.queue.drain(..) {
            mark.reached();
        }
    }
}

/// A socket that reports to its [`Wire`].
pub(crate) struct Socket {
    io: TokioIo<TcpStream>,
    wire: Arc<Wire>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, wire: Arc<Wire>) -> Self {
        Self { io: TokioIo::new(stream), wire }
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.io.into_inner()
    }

    fn count(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.wire.took(*bytes);
        }
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.count(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.count(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The HTTP writer comes here only when its own buffer is empty.
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            self.wire.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
