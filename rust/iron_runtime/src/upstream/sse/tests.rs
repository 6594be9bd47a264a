use proptest::prelude::*;

use super::*;

/// The events of a stream that comes in these pieces, and what ended it if not its end.
fn decode(pieces: &[&[u8]]) -> (Vec<Bytes>, Option<EventFault>) {
    let mut decoder = EventDecoder::default();
    let mut events = Vec::new();
    let fed = pieces.iter().try_for_each(|piece| decoder.feed(Bytes::copy_from_slice(piece), &mut events));
    let ended = fed.and_then(|()| decoder.finish(&mut events));
    (events, ended.err())
}

/// The events of a stream without a fault, as text.
fn texts(stream: &str) -> Vec<String> {
    let (events, fault) = decode(&[stream.as_bytes()]);
    assert_eq!(fault, None, "{stream:?}");
    events.into_iter().map(|event| String::from_utf8(event.to_vec()).unwrap()).collect()
}

const STREAM: &str = "\u{feff}: comment\r\ndata: {\"a\":\"é🦀\"}\r\n\r\nevent: x\ndata:one\ndata: two\n\nid: 7\rdata\rdata:  b\r\r\
                      data: [DONE]\n\n";

#[test]
fn every_line_end_comment_and_multi_line_data_are_read() {
    assert_eq!(texts(STREAM), ["{\"a\":\"é🦀\"}", "one\ntwo", "\n b", "[DONE]"]);
    assert_eq!(texts("data:1\ndata:2\ndata:3\ndata:\n\n"), ["1\n2\n3\n"]);
}

#[test]
fn fields_are_named_exactly() {
    assert!(texts("database: 1\n\nDATA: 2\n\n data: 3\n\ndata \n\nevent\n\n:data: 4\n\n").is_empty());
    assert_eq!(texts("data\n\n"), [""]);
    assert_eq!(texts("data::\n\n"), [":"]);
}

#[test]
fn a_byte_order_mark_is_one_at_the_start_alone() {
    assert_eq!(texts("\u{feff}data: 1\n\ndata: \u{feff}2\n\n"), ["1", "\u{feff}2"]);
    assert!(texts("\u{feff}\u{feff}data: 1\n\n").is_empty(), "a field of another name");
    assert!(texts("\u{feff}").is_empty());
}

#[test]
fn one_byte_at_a_time_is_the_same() {
    let pieces: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
    assert_eq!(decode(&pieces), decode(&[STREAM.as_bytes()]));
}

#[test]
fn a_last_event_without_its_blank_line_is_given_at_the_end() {
    assert_eq!(texts("data: [DONE]\n"), ["[DONE]"]);
    assert_eq!(texts("data: [DONE]"), ["[DONE]"]);
    assert!(texts(": nothing\n\n").is_empty());
}

#[test]
fn an_event_named_an_error_ends_the_stream() {
    let named = |data: &'static str| Some(EventFault::Named(Bytes::from_static(data.as_bytes())));
    for (stream, before, fault) in [
        ("data: 1\n\nevent: error\ndata: {\"x\":1}\n\ndata: 2\n\n", 1, named("{\"x\":1}")),
        ("data: down\nevent:error\r\n\r\n", 0, named("down")),
        ("event: error\n\n", 0, named("")),
        ("event: error\ndata: cut", 0, named("cut")),
        ("event: error\nevent: other\ndata: 1\n\n", 1, None),
        ("event: errors\ndata: 1\n\n", 1, None),
    ] {
        let (events, told) = decode(&[stream.as_bytes()]);
        assert_eq!((events.len(), told), (before, fault), "{stream:?}");
    }
}

#[test]
fn an_event_that_never_ends_is_refused_and_not_kept() {
    const MOST: usize = 128 * 1024;
    for line in [&[b'x'; 1024][..], b"data: xxxxxxxxxxxxxxxx\n", b"data:\n"] {
        let piece = Bytes::from(line.repeat(16 * 1024 / line.len()));
        let mut decoder = EventDecoder { most: MOST, ..EventDecoder::default() };
        let mut events = Vec::new();
        let fed = (0..60).try_for_each(|_| decoder.feed(piece.clone(), &mut events));
        assert_eq!((fed, events.len()), (Err(EventFault::TooLong), 0));
        assert!(decoder.buffered() <= 2 * (MOST + piece.len()), "{}", decoder.buffered());
    }
}

impl EventDecoder {
    /// The memory that it holds.
    fn buffered(&self) -> usize {
        let data = match &self.data {
            Data::Joined(joined) => joined.capacity(),
            other => other.len(),
        };
        self.partial.capacity() + data
    }
}

/// Bytes of which many are those that mean something.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let words: [&[u8]; 14] = [
        b"data",
        b"data: ",
        b"event: error",
        b"event:",
        b"id",
        b":",
        b" ",
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"\xEF\xBB\xBF",
        b"\xF0\x9F\xA6\x80",
        b"[DONE]",
    ];
    let word = prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_split_gives_the_same_events(bytes in bytes(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let pieces = cut(&bytes, &cuts);
        prop_assert_eq!(decode(&pieces), decode(&[&bytes]));
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(decode(&single), decode(&[&bytes]));
    }

    #[test]
    fn any_bytes_are_held_within_bounds(pieces in prop::collection::vec(bytes(), 0..40)) {
        let mut decoder = EventDecoder { most: 64, ..EventDecoder::default() };
        let longest = pieces.iter().map(Vec::len).max().unwrap_or(0);
        for piece in &pieces {
            let mut events = Vec::new();
            let fed = decoder.feed(Bytes::copy_from_slice(piece), &mut events);
            prop_assert!(events.iter().all(|event| event.len() <= 64 + piece.len()));
            // Twice, because a buffer that grows doubles.
            prop_assert!(decoder.buffered() <= 2 * (64 + longest) + 64, "{}", decoder.buffered());
            if fed.is_err() {
                break;
            }
        }
    }

    /// What the standard says, said once more in the simplest way: all at once and line by line.
    #[test]
    fn events_are_those_of_the_standard(text in prop::collection::vec(prop::sample::select(vec!["data", "data:", "event: x", "id", ":", " ", "a", "\n", "\r", "\r\n", "\n\n", "é"]), 0..30)) {
        let stream = text.concat();
        let (mut expected, mut data) = (Vec::new(), None::<String>);
        for line in stream.replace("\r\n", "\n").replace('\r', "\n").split('\n') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            if line.is_empty() {
                expected.extend(data.take());
            } else if field == "data" {
                let value = value.strip_prefix(' ').unwrap_or(value);
                data = Some(data.map_or(value.to_owned(), |before| format!("{before}\n{value}")));
            }
        }
        expected.extend(data);
        prop_assert_eq!(texts(&stream), expected);
    }
}
