//! Event-stream framing, as the HTML standard has it: any split of the bytes gives the same events.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};

/// The longest event that is buffered; a whole reply as one event stays far below it.
const MOST_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// Why no event follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EventFault {
    /// An event is longer than is buffered.
    TooLong,
    /// An event is named `error`; this is its data.
    Named(Bytes),
}

/// Takes bytes as they come and gives the data of each event.
///
/// An event that lies within one piece is a slice of it; only what is split is copied, and each byte once.
#[derive(Debug)]
pub(crate) struct EventDecoder {
    /// The beginning of a line that has not ended.
    partial: BytesMut,
    data: Data,
    /// The event so far is named `error`.
    error: bool,
    /// The last line ended with CR: a LF that follows belongs to it.
    after_cr: bool,
    /// The stream has begun: a byte-order mark is only one at its start.
    begun: bool,
    /// The most that is buffered.
    most: usize,
}

/// The data lines of an event so far.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    One(Bytes),
    Joined(BytesMut),
}

impl Default for EventDecoder {
    fn default() -> Self {
        Self {
            partial: BytesMut::new(),
            data: Data::None,
            error: false,
            after_cr: false,
            begun: false,
            most: MOST_EVENT_BYTES,
        }
    }
}

impl EventDecoder {
    /// Add a piece and append the data of every event that it completes, up to a fault. After one there is no more.
    pub(crate) fn feed(&mut self, piece: Bytes, events: &mut Vec<Bytes>) -> Result<(), EventFault> {
        let mut rest = piece;
        if !self.begun {
            let Some(begun) = self.begin(rest) else { return Ok(()) };
            rest = begun;
        }
        loop {
            if self.after_cr && !rest.is_empty() {
                self.after_cr = false;
                if rest[0] == b'\n' {
                    drop(rest.split_to(1));
                }
            }
            let Some(end) = memchr2(b'\n', b'\r', &rest) else { break };
            let line = rest.split_to(end);
            self.after_cr = rest.split_to(1)[0] == b'\r';
            let line = self.whole(line);
            self.line(&line, events)?;
        }
        self.partial.extend_from_slice(&rest);
        if self.partial.len() + self.data.len() > self.most { Err(EventFault::TooLong) } else { Ok(()) }
    }

    /// The stream has ended: the data of an event whose closing blank line never came.
    pub(crate) fn finish(&mut self, events: &mut Vec<Bytes>) -> Result<(), EventFault> {
        if !self.partial.is_empty() {
            let line = self.whole(Bytes::new());
            self.line(&line, events)?;
        }
        self.dispatch(events)
    }

    /// Take a byte-order mark away; `None` as long as what came may be the beginning of one.
    fn begin(&mut self, piece: Bytes) -> Option<Bytes> {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        let mut start = self.whole(piece);
        if start.len() < MARK.len() && MARK.starts_with(&start) {
            self.partial.extend_from_slice(&start);
            return None;
        }
        self.begun = true;
        if start.starts_with(MARK) {
            drop(start.split_to(MARK.len()));
        }
        Some(start)
    }

    /// What was kept of a line, and its end.
    fn whole(&mut self, end: Bytes) -> Bytes {
        if self.partial.is_empty() {
            return end;
        }
        self.partial.extend_from_slice(&end);
        self.partial.split().freeze()
    }

    fn line(&mut self, line: &Bytes, events: &mut Vec<Bytes>) -> Result<(), EventFault> {
        if line.is_empty() {
            return self.dispatch(events);
        }
        let (field, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => self.data.add(line.slice_ref(value)),
            b"event" => self.error = value == b"error",
            // Other fields and comments carry nothing that we use.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, events: &mut Vec<Bytes>) -> Result<(), EventFault> {
        let data = std::mem::take(&mut self.data).bytes();
        if std::mem::take(&mut self.error) {
            return Err(EventFault::Named(data.unwrap_or_default()));
        }
        events.extend(data);
        Ok(())
    }
}

impl Data {
    fn add(&mut self, line: Bytes) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(line),
            Self::One(first) => {
                let mut joined = BytesMut::with_capacity((first.len() + line.len()) * 2);
                joined.extend_from_slice(&first);
                Self::Joined(joined).with(&line)
            }
            joined @ Self::Joined(_) => joined.with(&line),
        };
    }

    fn with(mut self, line: &[u8]) -> Self {
        if let Self::Joined(joined) = &mut self {
            joined.extend_from_slice(b"\n");
            joined.extend_from_slice(line);
        }
        self
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(line) => line.len(),
            Self::Joined(joined) => joined.len(),
        }
    }

    fn bytes(self) -> Option<Bytes> {
        match self {
            Self::None => None,
            Self::One(line) => Some(line),
            Self::Joined(joined) => Some(joined.freeze()),
        }
    }
}

#[cfg(test)]
mod tests;
