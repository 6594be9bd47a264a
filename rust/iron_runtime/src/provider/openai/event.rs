//! Stream events from JSON.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::decode::{Name, kind, read_error, tier};
use super::usage::usage;
use crate::call::{Text, Usage};
use crate::pricing::Tier;
use crate::provider::Told;

/// One event of a stream.
#[derive(Debug)]
pub(crate) enum Event {
    /// `[DONE]`: nothing comes after it.
    Done,
    /// A chunk of the reply.
    Chunk {
        /// What it adds to each choice it speaks of; none in an event of usage alone.
        deltas: Vec<Delta>,
        usage: Option<Usage>,
        tier: Option<Tier>,
    },
}

/// What an event adds to one choice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delta {
    pub(crate) index: u32,
    pub(crate) text: Text,
    /// It has a text, if only an empty one.
    pub(crate) spoke: bool,
    pub(crate) finish_reason: Option<Text>,
    /// It holds more than text: tool calls, reasoning, log probabilities, or fields that we do not know.
    pub(crate) more: bool,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<ChoiceBody<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<Name<'a>>,
}

#[derive(Deserialize)]
struct ChoiceBody<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    delta: DeltaBody<'a>,
    #[serde(borrow, default)]
    finish_reason: Option<Name<'a>>,
    #[serde(default)]
    logprobs: Option<IgnoredAny>,
}

#[derive(Default)]
struct DeltaBody<'a> {
    content: Option<Cow<'a, str>>,
    more: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for DeltaBody<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = DeltaBody<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a delta")
            }
            fn visit_unit<E>(self) -> Result<DeltaBody<'de>, E> {
                Ok(DeltaBody::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DeltaBody<'de>, A::Error> {
                let mut delta = DeltaBody::default();
                while let Some(Name(key)) = map.next_key::<Name<'de>>()? {
                    match &*key {
                        "content" => {
                            delta.content = map.next_value::<Option<Name<'de>>>()?.map(|name| name.0);
                        }
                        "role" => drop(map.next_value::<IgnoredAny>()?),
                        _ => delta.more |= map.next_value::<Option<IgnoredAny>>()?.is_some(),
                    }
                }
                Ok(delta)
            }
        }
        deserializer.deserialize_any(Fields)
    }
}

/// Read one event's data.
///
/// # Errors
/// The error that it tells, or what is wrong with it, as a sentence without its content.
pub(crate) fn event(data: &Bytes) -> Result<Event, Told> {
    if data.as_ref() == b"[DONE]" {
        return Ok(Event::Done);
    }
    let body: Body<'_> = serde_json::from_slice(data)
        .map_err(|error| Told::wrong(format!("an event of the stream is not a chunk ({})", kind(&error))))?;
    if let Some(told) = body.error.and_then(|value| read_error(value.get())) {
        return Err(told);
    }
    let choices = body.choices.unwrap_or_default();
    let deltas = choices.into_iter().map(|choice| Delta {
        index: choice.index,
        spoke: choice.delta.content.is_some(),
        text: choice.delta.content.map_or(Text::new(), |text| shared(data, text)),
        finish_reason: choice.finish_reason.map(|name| shared(data, name.0)),
        more: choice.delta.more || choice.logprobs.is_some(),
    });
    let deltas = deltas.collect();
    Ok(Event::Chunk { deltas, usage: body.usage.and_then(usage), tier: tier(body.service_tier.as_ref()) })
}

/// The text as a part of `data` where it is one, unescaped.
fn shared(data: &Bytes, text: Cow<'_, str>) -> Text {
    match text {
        Cow::Owned(text) => text.into(),
        // Valid UTF-8 cut from valid UTF-8: checked again, as the type asks, for less than a copy costs.
        Cow::Borrowed(text) => {
            Text::try_from(data.slice_ref(text.as_bytes())).unwrap_or_else(|_| Text::from(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deltas(data: &'static str) -> Vec<Delta> {
        match event(&Bytes::from_static(data.as_bytes())).unwrap() {
            Event::Chunk { deltas, .. } => deltas,
            Event::Done => panic!("done"),
        }
    }

    #[test]
    fn text_is_a_slice_of_the_event() {
        let delta = deltas(
            r#"{"id":"c","choices":[{"index":1,"delta":{"role":"assistant","content":"hé"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        );
        let expected = Delta { index: 1, text: "hé".into(), spoke: true, finish_reason: None, more: false };
        assert_eq!(delta, [expected]);
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(deltas(r#"{"choices":[{"delta":{"content":"a\n\ud83e\udd80"}}]}"#)[0].text, "a\n🦀");
    }

    #[test]
    fn what_is_more_than_text_is_marked() {
        for data in [
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
            r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}"#,
            r#"{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[]}}]}"#,
        ] {
            assert!(deltas(data)[0].more, "{data}");
        }
        assert!(
            !deltas(r#"{"choices":[{"delta":{"content":"a","refusal":null,"tool_calls":null}}]}"#)[0].more
        );
    }

    #[test]
    fn usage_done_and_errors_are_told_apart() {
        let usage =
            Bytes::from_static(br#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#);
        let Event::Chunk { deltas, usage: Some(usage), .. } = event(&usage).unwrap() else {
            panic!("no usage")
        };
        assert_eq!((deltas.len(), usage.output_tokens), (0, 2));
        assert!(matches!(event(&Bytes::from_static(b"[DONE]")).unwrap(), Event::Done));
        let error = event(&Bytes::from_static(br#"{"error":{"message":"overloaded"}}"#)).unwrap_err();
        assert_eq!(error, Told::wrong("overloaded"));
        assert!(
            event(&Bytes::from_static(br#"{"choices":[{"#))
                .unwrap_err()
                .message
                .unwrap()
                .contains("ends too early")
        );
    }
}
