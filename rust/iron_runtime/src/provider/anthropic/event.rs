//! Stream events from JSON.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::told;
use crate::call::Text;
use crate::provider::Told;
use crate::provider::fields::Fields;

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The message has begun, as far as it is known before it is written.
    Start(Bytes),
    /// A block has begun, as far as it is known before it is written.
    Block(Bytes),
    /// The block that was begun last goes on.
    Delta(Delta),
    /// The block that was begun last is whole.
    BlockEnd,
    /// The message is written: why it ended, and what it used.
    End(Bytes),
    /// Nothing comes after it.
    Stop,
    /// Nothing is said.
    Ping,
    /// An event that is newer than this program.
    Unknown,
}

/// What an event adds to a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delta {
    Text(Text),
    Thinking(Text),
    /// A piece of the JSON of a tool's input.
    Input(Text),
    Signature(Text),
    Citation(Bytes),
    Unknown,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    r#type: Name<'a>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<DeltaBody<'a>>,
}

#[derive(Deserialize)]
struct DeltaBody<'a> {
    #[serde(borrow, default)]
    text: Option<Name<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Name<'a>>,
    #[serde(borrow, default)]
    partial_json: Option<Name<'a>>,
    #[serde(borrow, default)]
    signature: Option<Name<'a>>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
}

/// A text; `Cow` within `Option` borrows only behind a type of its own.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Read one event's data.
///
/// # Errors
/// The error that it tells, or what is wrong with it, as a sentence without its content.
pub(super) fn event(data: &Bytes) -> Result<Event, Told> {
    let malformed = || Told::wrong("an event of the stream is malformed");
    let body: Body<'_> = serde_json::from_slice(data).map_err(|_| malformed())?;
    let part = |value: &RawValue| data.slice_ref(value.get().as_bytes());
    Ok(match &*body.r#type.0 {
        "message_start" => Event::Start(body.message.map(part).ok_or_else(malformed)?),
        "content_block_start" => Event::Block(body.content_block.map(part).ok_or_else(malformed)?),
        "content_block_delta" => Event::Delta(delta(data, body.delta.ok_or_else(malformed)?)),
        "content_block_stop" => Event::BlockEnd,
        "message_delta" => Event::End(data.clone()),
        "message_stop" => Event::Stop,
        "ping" => Event::Ping,
        "error" => {
            let told = std::str::from_utf8(data).ok().and_then(Fields::read).as_ref().and_then(told);
            return Err(told.unwrap_or_default());
        }
        _ => Event::Unknown,
    })
}

fn delta(data: &Bytes, body: DeltaBody<'_>) -> Delta {
    let shared = |Name(text): Name<'_>| match text {
        Cow::Owned(text) => text.into(),
        Cow::Borrowed(text) => {
            Text::try_from(data.slice_ref(text.as_bytes())).unwrap_or_else(|_| Text::from(text))
        }
    };
    if let Some(text) = body.text {
        Delta::Text(shared(text))
    } else if let Some(json) = body.partial_json {
        Delta::Input(shared(json))
    } else if let Some(thinking) = body.thinking {
        Delta::Thinking(shared(thinking))
    } else if let Some(signature) = body.signature {
        Delta::Signature(shared(signature))
    } else if let Some(citation) = body.citation {
        Delta::Citation(data.slice_ref(citation.get().as_bytes()))
    } else {
        Delta::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &'static str) -> Result<Event, Told> {
        event(&Bytes::from_static(data.as_bytes()))
    }

    #[test]
    fn deltas_are_told_apart() {
        for (delta, expected) in [
            (r#"{"type":"text_delta","text":"h\u00e9"}"#, Delta::Text("hé".into())),
            (r#"{"type":"thinking_delta","thinking":"hm"}"#, Delta::Thinking("hm".into())),
            (r#"{"type":"input_json_delta","partial_json":"{\"a\""}"#, Delta::Input("{\"a\"".into())),
            (r#"{"type":"signature_delta","signature":"s=="}"#, Delta::Signature("s==".into())),
            (
                r#"{"type":"citations_delta","citation":{"a":1}}"#,
                Delta::Citation(Bytes::from_static(b"{\"a\":1}")),
            ),
            (r#"{"type":"newer_delta","x":1}"#, Delta::Unknown),
        ] {
            let data = Bytes::from(format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#));
            assert_eq!(event(&data).unwrap(), Event::Delta(expected));
        }
    }

    #[test]
    fn pings_errors_and_what_is_newer_are_told_apart() {
        assert_eq!(read(r#"{"type":"ping"}"#).unwrap(), Event::Ping);
        assert_eq!(read(r#"{"type":"message_stop"}"#).unwrap(), Event::Stop);
        assert_eq!(read(r#"{"type":"newer"}"#).unwrap(), Event::Unknown);
        let error = read(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
        assert_eq!(
            error.unwrap_err(),
            Told { message: Some("Overloaded".into()), status: Some(529), ..Told::default() }
        );
        for broken in ["{\"type\":\"content_block_delta\"", "{}", "[DONE]", r#"{"type":"message_start"}"#] {
            assert!(read(broken).unwrap_err().message.unwrap().contains("malformed"), "{broken}");
        }
    }
}
