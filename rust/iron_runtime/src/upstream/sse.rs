//! Event-stream framing, as the HTML standard has it: any split of the bytes gives the same events.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// The longest event that is buffered; a whole reply as one event stays far below it.
const MOST_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// An event that never ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventTooLong;

/// Takes bytes as they come and gives the data of each event.
///
/// An event that lies within one piece is a slice of it; only what is split is copied.
#[derive(Debug, Default)]
pub(crate) struct EventDecoder {
    /// The beginning of a line that has not ended.
    partial: BytesMut,
    /// The data lines of the event so far.
    data: Option<Bytes>,
    /// The last line ended with CR: a LF that follows belongs to it.
    after_cr: bool,
    /// The stream has begun: a byte-order mark is only one at its start.
    begun: bool,
}

impl EventDecoder {
    /// Add a piece and append the data of every event that it completes.
    pub(crate) fn feed(&mut self, piece: Bytes, events: &mut Vec<Bytes>) -> Result<(), EventTooLong> {
        let mut rest = if self.partial.is_empty() {
            piece
        } else {
            self.partial.extend_from_slice(&piece);
            self.partial.split().freeze()
        };
        if !self.begun {
            const MARK: &[u8] = b"\xEF\xBB\xBF";
            if rest.len() < MARK.len() && MARK.starts_with(&rest) {
                self.partial.extend_from_slice(&rest);
                return Ok(());
            }
            self.begun = true;
            if rest.starts_with(MARK) {
                drop(rest.split_to(MARK.len()));
            }
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
            self.line(&line, events);
        }
        self.partial.extend_from_slice(&rest);
        let buffered = self.partial.len() + self.data.as_ref().map_or(0, Bytes::len);
        if buffered > MOST_EVENT_BYTES { Err(EventTooLong) } else { Ok(()) }
    }

    /// The stream has ended: the data of an event whose closing blank line never came.
    pub(crate) fn finish(&mut self, events: &mut Vec<Bytes>) {
        if !self.partial.is_empty() {
            let line = self.partial.split().freeze();
            self.line(&line, events);
        }
        events.extend(self.data.take());
    }

    fn line(&mut self, line: &Bytes, events: &mut Vec<Bytes>) {
        if line.is_empty() {
            events.extend(self.data.take());
            return;
        }
        // Other fields and comments carry nothing that we use.
        let Some(value) = line.strip_prefix(b"data") else { return };
        let value = match value {
            [] => &[],
            [b':', b' ', value @ ..] | [b':', value @ ..] => value,
            _ => return,
        };
        let value = line.slice_ref(value);
        self.data = Some(match self.data.take() {
            None => value,
            Some(before) => {
                let mut joined = BytesMut::with_capacity(before.len() + 1 + value.len());
                joined.extend_from_slice(&before);
                joined.extend_from_slice(b"\n");
                joined.extend_from_slice(&value);
                joined.freeze()
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Vec<String> {
        let mut decoder = EventDecoder::default();
        let mut events = Vec::new();
        for piece in pieces {
            decoder.feed(Bytes::copy_from_slice(piece), &mut events).unwrap();
        }
        decoder.finish(&mut events);
        events.into_iter().map(|event| String::from_utf8(event.to_vec()).unwrap()).collect()
    }

    const STREAM: &str = "\u{feff}: comment\r\ndata: {\"a\":\"é🦀\"}\r\n\r\nevent: x\ndata:one\ndata: two\n\nid: 7\rdata\rdata:  b\r\r\
                          data: [DONE]\n\n";

    #[test]
    fn reads_every_line_end_comment_and_multi_line_data() {
        assert_eq!(decode(&[STREAM.as_bytes()]), ["{\"a\":\"é🦀\"}", "one\ntwo", "\n b", "[DONE]"]);
    }

    #[test]
    fn one_byte_at_a_time_is_the_same() {
        let pieces: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(decode(&pieces), decode(&[STREAM.as_bytes()]));
    }

    #[test]
    fn a_last_event_without_its_blank_line_is_given_at_the_end() {
        assert_eq!(decode(&[b"data: [DONE]\n"]), ["[DONE]"]);
        assert_eq!(decode(&[b"data: [DONE]"]), ["[DONE]"]);
        assert!(decode(&[b"", b": nothing\n\n"]).is_empty());
    }

    #[test]
    fn an_event_that_never_ends_is_refused() {
        let mut decoder = EventDecoder::default();
        let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
        let fed =
            (0..17).map(|_| decoder.feed(piece.clone(), &mut Vec::new())).collect::<Result<Vec<_>, _>>();
        assert_eq!(fed, Err(EventTooLong));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(cuts in prop::collection::vec(0..STREAM.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &STREAM.as_bytes()[cut[0]..cut[1]]).collect();
            prop_assert_eq!(decode(&pieces), decode(&[STREAM.as_bytes()]));
        }
    }
}
