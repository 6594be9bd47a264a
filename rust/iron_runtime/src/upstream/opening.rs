//! The beginning of a stream: until its first content has come, another attempt may take its place.

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;

use super::exchange::{Exchange, MOST_ERROR_BYTES};
use super::failure::{Failure, Retry};
use super::sse::{EventDecoder, EventFault};
use crate::call::ChatRequest;
use crate::provider::{Reading, Told};

/// The longest stream, decompressed: the longest output of any model, with all that providers put around each token.
const MOST_STREAM_BYTES: usize = 256 * 1024 * 1024;
/// How much may come before the first content; whatever comes after so much is taken for content.
const MOST_OPENING_BYTES: usize = 64 * 1024;

/// What has been seen of a stream.
struct Opening {
    decoder: EventDecoder,
    reading: Reading,
}

impl Exchange {
    /// Wait for the first content of the stream that answers `request`, and leave all that came to be read.
    ///
    /// # Errors
    /// What came is a document, the stream broke off, or it told an error that passes: nothing of it will have been
    /// delivered. Every other end is left for whoever reads.
    ///
    /// # Cancel safety
    /// Dropping the future loses what came.
    pub(crate) async fn open(&mut self, request: &ChatRequest) -> Result<(), Failure> {
        self.events().await?;
        let mut opening = Opening {
            decoder: EventDecoder::default(),
            reading: Reading::new(self.provider.format, request),
        };
        let (mut seen, mut bytes) = (Vec::new(), 0);
        while bytes < MOST_OPENING_BYTES
            && let Some(piece) = self.piece().await?
        {
            bytes += piece.len();
            seen.push(piece.clone());
            if opening.over(piece, self)? {
                break;
            }
        }
        self.ahead.extend(seen);
        Ok(())
    }

    /// What comes is a stream, and not a document.
    async fn events(&mut self) -> Result<(), Failure> {
        (self.most, self.left) = (MOST_STREAM_BYTES, MOST_STREAM_BYTES);
        let kind = self.response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("application/json") || kind.starts_with("text/html")) {
            return Ok(());
        }
        // Some servers call a stream JSON; no line of one begins like a document.
        let first = self.piece().await?.unwrap_or_default();
        if !matches!(first.trim_ascii_start().first(), None | Some(b'{' | b'[' | b'<')) {
            self.ahead.push_back(first);
            return Ok(());
        }
        self.progressed();
        let mut body = BytesMut::from(first);
        while body.len() < MOST_ERROR_BYTES
            && let Some(piece) = self.piece().await?
        {
            self.progressed();
            body.extend_from_slice(&piece);
        }
        let body = body.freeze();
        let told = match self.provider.format.reply(&body) {
            Ok(_) => Told::wrong("it sent one body where a stream was asked for"),
            Err(told) => told,
        };
        Err(self.no_reply(told, body))
    }
}

impl Opening {
    /// Whether content, the end or something that is no stream has come with the next piece of it.
    fn over(&mut self, piece: Bytes, exchange: &mut Exchange) -> Result<bool, Failure> {
        let (mut events, mut chunks) = (Vec::new(), Vec::new());
        let decoded = self.decoder.feed(piece, &mut events);
        for data in events {
            match self.reading.read(data.clone(), &mut chunks) {
                Ok(false) if self.reading.most_tokens() == 0 => {}
                Ok(_) => return Ok(true),
                Err(told) => return passing(exchange.no_reply(told, data)),
            }
        }
        if !chunks.is_empty() {
            exchange.progressed();
        }
        match decoded {
            Ok(()) => Ok(false),
            Err(EventFault::Named(data)) => {
                passing(exchange.no_reply(exchange.provider.format.error(&data), data))
            }
            Err(EventFault::TooLong) => Ok(true),
        }
    }
}

/// A failure of which something else than telling it may be done.
fn passing(failure: Failure) -> Result<bool, Failure> {
    match failure.retry {
        Retry::After(_) | Retry::Throttled(_) => Err(failure),
        _ => Ok(true),
    }
}
