//! A stream's events put together to the body that the plain call would have had.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::event::Delta;

/// Fields of a delta that name something: repeated by some providers, and never continued.
const NAMES: [&str; 5] = ["id", "type", "role", "name", "index"];

/// What has come so far.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    first: Option<Bytes>,
    usage: Option<Bytes>,
    choices: BTreeMap<u32, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    text: String,
    /// Whether any text came: an empty one differs from none.
    spoke: bool,
    finish_reason: Option<String>,
    /// Events that hold more than text, read only when the whole is asked for.
    more: Vec<Bytes>,
}

impl Assembly {
    /// Add what one event says of one choice.
    pub(crate) fn add(&mut self, data: &Bytes, delta: &Delta) {
        self.first.get_or_insert_with(|| data.clone());
        let choice = self.choices.entry(delta.index).or_default();
        choice.spoke |= delta.spoke;
        choice.text.push_str(&delta.text);
        if let Some(reason) = &delta.finish_reason {
            choice.finish_reason = Some(reason.to_string());
        }
        if delta.more {
            choice.more.push(data.clone());
        }
    }

    /// Add the event that tells the usage.
    pub(crate) fn add_usage(&mut self, data: Bytes) {
        self.usage = Some(data);
    }

    /// Whether all of `expected` choices have ended with a reason.
    pub(crate) fn finished(&self, expected: u32) -> bool {
        self.choices.len() >= expected as usize
            && self.choices.values().all(|choice| choice.finish_reason.is_some())
    }

    /// An upper bound on the tokens of everything that came: the bytes of text, and of the events that hold more.
    pub(crate) fn most_tokens(&self) -> u64 {
        let bytes = |choice: &Choice| choice.text.len() + choice.more.iter().map(Bytes::len).sum::<usize>();
        self.choices.values().map(|choice| bytes(choice) as u64).sum()
    }

    /// The whole body.
    pub(crate) fn body(&self) -> Bytes {
        let mut body = self.first.as_ref().and_then(fields).unwrap_or_default();
        body.insert("object".to_owned(), "chat.completion".into());
        body.insert(
            "choices".to_owned(),
            self.choices.iter().map(|(index, choice)| choice.value(*index)).collect(),
        );
        let usage = self.usage.as_ref().and_then(fields).and_then(|mut fields| fields.remove("usage"));
        body.insert("usage".to_owned(), usage.unwrap_or(Value::Null));
        Bytes::from(Value::Object(body).to_string())
    }
}

impl Choice {
    fn value(&self, index: u32) -> Value {
        let mut message = Map::new();
        let mut around = Map::new();
        message.insert("role".to_owned(), "assistant".into());
        message
            .insert("content".to_owned(), if self.spoke { self.text.as_str().into() } else { Value::Null });
        for data in &self.more {
            let Some(mut choice) = fields(data).and_then(|fields| choice_of(fields, index)) else { continue };
            if let Some(Value::Object(mut delta)) = choice.remove("delta") {
                delta.remove("content");
                merge(&mut message, delta);
            }
            choice.remove("finish_reason");
            merge(&mut around, choice);
        }
        if let Some(Value::Array(calls)) = message.get_mut("tool_calls") {
            // The place within the list; a plain reply has none.
            calls.iter_mut().filter_map(Value::as_object_mut).for_each(|call| drop(call.remove("index")));
        }
        around.insert("index".to_owned(), index.into());
        around.insert("message".to_owned(), Value::Object(message));
        around.entry("logprobs").or_insert(Value::Null);
        around.insert("finish_reason".to_owned(), json!(self.finish_reason));
        Value::Object(around)
    }
}

fn fields(data: &Bytes) -> Option<Map<String, Value>> {
    serde_json::from_slice(data).ok()
}

fn choice_of(mut fields: Map<String, Value>, index: u32) -> Option<Map<String, Value>> {
    let Some(Value::Array(choices)) = fields.remove("choices") else { return None };
    let wanted =
        |choice: &Value| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == u64::from(index);
    match choices.into_iter().find(wanted) {
        Some(Value::Object(choice)) => Some(choice),
        _ => None,
    }
}

/// Continue what is there with what came: texts are appended, lists are continued by `index`, objects by key.
pub(crate) fn merge(whole: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (whole.get_mut(&key), value) {
            (Some(Value::String(text)), Value::String(more)) if !NAMES.contains(&key.as_str()) => {
                text.push_str(&more);
            }
            (Some(Value::Object(whole)), Value::Object(more)) => merge(whole, more),
            (Some(Value::Array(list)), Value::Array(more)) => merge_list(list, more),
            // A name that is repeated empty does not take the name away.
            (Some(Value::String(_)), Value::String(more)) if more.is_empty() => {}
            (Some(_), Value::Null) => {}
            (_, Value::Array(more)) => {
                let mut list = Vec::new();
                merge_list(&mut list, more);
                whole.insert(key, Value::Array(list));
            }
            (_, value) => {
                whole.insert(key, value);
            }
        }
    }
}

fn merge_list(list: &mut Vec<Value>, more: Vec<Value>) {
    for item in more {
        let index = item.get("index").and_then(Value::as_u64);
        let found = index.and_then(|index| {
            list.iter_mut().find(|known| known.get("index").and_then(Value::as_u64) == Some(index))
        });
        match (found, item) {
            (Some(Value::Object(known)), Value::Object(item)) => merge(known, item),
            (_, item) => list.push(item),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Event, event};
    use super::*;

    fn assemble(events: &[&str]) -> Value {
        let mut assembly = Assembly::default();
        for data in events {
            let data = Bytes::copy_from_slice(data.as_bytes());
            let Event::Chunk { deltas, usage, .. } = event(&data).unwrap() else { continue };
            for delta in &deltas {
                assembly.add(&data, delta);
            }
            if usage.is_some() {
                assembly.add_usage(data);
            }
        }
        serde_json::from_slice(&assembly.body()).unwrap()
    }

    #[test]
    fn text_is_joined_per_choice() {
        let body = assemble(&[
            r#"{"id":"c1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}]}"#,
            r#"{"id":"c1","choices":[{"index":1,"delta":{"content":"x"}}]}"#,
            r#"{"id":"c1","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}"#,
            r#"{"id":"c1","choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#,
            r#"{"id":"c1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":3}}"#,
        ]);
        assert_eq!(body["object"], "chat.completion");
        assert_eq!((&body["id"], &body["created"], &body["model"]), (&json!("c1"), &json!(5), &json!("m")));
        assert_eq!(body["choices"][0]["message"], json!({"role": "assistant", "content": "ab"}));
        assert_eq!(body["choices"][1]["message"]["content"], "x");
        assert_eq!(body["choices"][1]["finish_reason"], "length");
        assert_eq!(body["usage"]["completion_tokens"], 3);
    }

    #[test]
    fn parallel_tool_calls_and_unknown_texts_are_continued() {
        let body = assemble(&[
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"th","tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"ink","tool_calls":[{"index":1,"function":{"arguments":"}"}}]},"finish_reason":"tool_calls"}]}"#,
        ]);
        let message = &body["choices"][0]["message"];
        assert_eq!(message["content"], Value::Null);
        assert_eq!(message["reasoning_content"], "think");
        let call = |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
        assert_eq!(message["tool_calls"], json!([call("a", "f"), call("b", "g")]));
    }

    #[test]
    fn log_probabilities_are_continued() {
        let event = |token: &str| {
            format!(
                r#"{{"choices":[{{"index":0,"delta":{{"content":"{token}"}},"logprobs":{{"content":[{{"token":"{token}"}}]}}}}]}}"#
            )
        };
        let body = assemble(&[&event("a"), &event("b")]);
        assert_eq!(body["choices"][0]["logprobs"]["content"], json!([{"token": "a"}, {"token": "b"}]));
        assert_eq!(body["choices"][0]["message"]["content"], "ab");
    }
}
