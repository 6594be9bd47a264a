//! Embeddings: unit vectors that depend on seed, model, text and length alone.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::draw::{Draw, Purpose};
use crate::openai::error::ApiError;
use crate::openai::fields::{Fields, invalid_type, invalid_value};
use crate::openai::request::{model_of, parse_body};
use crate::tokens::count_tokens;

/// Most inputs in one request, as OpenAI documents.
const MAX_INPUTS: usize = 2048;

/// An embedding request, checked.
pub(crate) struct EmbeddingsRequest {
    pub(crate) model: String,
    inputs: Vec<Input>,
    dimensions: u64,
    base64: bool,
}

/// One thing to embed, as a number that stands for it.
struct Input {
    tokens: u64,
    digest: u64,
}

impl EmbeddingsRequest {
    pub(crate) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let map = parse_body(body)?;
        let fields = Fields::new(&map, "");
        let model = model_of(fields)?;
        let inputs = read_inputs(fields.required("input")?)?;
        let own = if model.contains("3-large") { 3072 } else { 1536 };
        let dimensions = fields.integer("dimensions", 1, own)?.unwrap_or(own);
        let base64 = match fields.string("encoding_format")? {
            None | Some("float") => false,
            Some("base64") => true,
            Some(other) => return Err(invalid_value("encoding_format", other, &["float", "base64"])),
        };
        Ok(Self { model, inputs, dimensions, base64 })
    }

    pub(crate) fn input_tokens(&self) -> u64 {
        self.inputs.iter().map(|input| input.tokens).sum()
    }

    pub(crate) fn len(&self) -> u64 {
        self.inputs.len() as u64
    }

    /// The body of the reply.
    pub(crate) fn reply(&self, seed: u64) -> Bytes {
        let data = self.inputs.iter().enumerate().map(|(index, input)| {
            let seed = seed ^ digest(self.model.bytes(), 0);
            let vector = unit_vector(&mut Draw::new(seed, Purpose::Vector, input.digest), self.dimensions);
            Embedding {
                object: "embedding",
                index,
                embedding: Vector { values: vector, base64: self.base64 },
            }
        });
        let tokens = self.input_tokens();
        let list = List {
            object: "list",
            data: data.collect(),
            model: &self.model,
            usage: ListUsage { prompt_tokens: tokens, total_tokens: tokens },
        };
        // Structs of strings and finite numbers always become JSON.
        serde_json::to_vec(&list).unwrap_or_default().into()
    }
}

fn read_inputs(input: &Value) -> Result<Vec<Input>, ApiError> {
    let items = match input {
        Value::String(text) => return Ok(vec![read_text(text, "input")?]),
        Value::Array(items) if items.first().is_some_and(Value::is_number) => {
            return Ok(vec![read_tokens(items, "input")?]);
        }
        Value::Array(items) => items,
        other => return Err(invalid_type("input", "one of a string or an array", other)),
    };
    if items.is_empty() || items.len() > MAX_INPUTS {
        let message = format!(
            "Invalid 'input': expected an array with 1 to {MAX_INPUTS} items, but got {} items instead.",
            items.len()
        );
        return Err(ApiError::invalid(message).param("input"));
    }
    items
        .iter()
        .enumerate()
        .map(|(nth, item)| match item {
            Value::String(text) => read_text(text, &format!("input[{nth}]")),
            Value::Array(tokens) => read_tokens(tokens, &format!("input[{nth}]")),
            other => Err(invalid_type(&format!("input[{nth}]"), "a string or an array of integers", other)),
        })
        .collect()
}

fn read_text(text: &str, place: &str) -> Result<Input, ApiError> {
    if text.is_empty() {
        return Err(empty(place));
    }
    Ok(Input { tokens: count_tokens(text), digest: digest(text.bytes(), 1) })
}

fn read_tokens(tokens: &[Value], place: &str) -> Result<Input, ApiError> {
    if tokens.is_empty() {
        return Err(empty(place));
    }
    let mut bytes = Vec::with_capacity(tokens.len() * 8);
    for (nth, token) in tokens.iter().enumerate() {
        let number =
            token.as_u64().ok_or_else(|| invalid_type(&format!("{place}[{nth}]"), "an integer", token))?;
        bytes.extend(number.to_le_bytes());
    }
    Ok(Input { tokens: tokens.len() as u64, digest: digest(bytes.into_iter(), 2) })
}

fn empty(place: &str) -> ApiError {
    ApiError::invalid(format!("Invalid '{place}': input cannot be empty.")).param(place)
}

/// FNV-1a: equal inputs have equal vectors, and nobody is out to make others collide.
fn digest(bytes: impl Iterator<Item = u8>, kind: u64) -> u64 {
    bytes.fold(0xCBF2_9CE4_8422_2325 ^ kind, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn unit_vector(draw: &mut Draw, dimensions: u64) -> Vec<f32> {
    let drawn: Vec<f64> = (0..dimensions).map(|_| draw.unit() * 2.0 - 1.0).collect();
    let length = drawn.iter().map(|x| x * x).sum::<f64>().sqrt();
    drawn.into_iter().map(|x| narrow(if length > 0.0 { x / length } else { 1.0 })).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "embeddings are single precision on the wire")]
fn narrow(x: f64) -> f32 {
    x as f32
}

#[derive(Serialize)]
struct List<'a> {
    object: &'a str,
    data: Vec<Embedding>,
    model: &'a str,
    usage: ListUsage,
}

#[derive(Serialize)]
struct ListUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

struct Vector {
    values: Vec<f32>,
    base64: bool,
}

impl Serialize for Vector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.base64 {
            let bytes: Vec<u8> = self.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            return serializer.serialize_str(&base64(&bytes));
        }
        self.values.serialize(serializer)
    }
}

/// RFC 4648 base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - group.len()));
        for nth in 0..4 {
            let digit = DIGITS.get(bits >> (18 - 6 * nth) & 63).copied().unwrap_or(b'=');
            text.push(if nth <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(change: Value) -> Result<Value, ApiError> {
        let mut body = json!({"model": "text-embedding-3-small", "input": "hello"});
        if let (Value::Object(body), Value::Object(change)) = (&mut body, change) {
            body.extend(change);
        }
        let request = EmbeddingsRequest::read(body.to_string().as_bytes())?;
        Ok(serde_json::from_slice(&request.reply(3)).unwrap())
    }

    #[test]
    fn base64_is_rfc_4648() {
        for (text, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(text.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xFB, 0xFF]), "+/8=");
    }

    #[test]
    fn vectors_have_length_one_and_depend_on_the_input_alone() {
        let alone = reply(json!({"dimensions": 64})).unwrap();
        let among = reply(json!({"dimensions": 64, "input": ["other", "hello", [1, 2], [1, 2]]})).unwrap();
        let vector: Vec<f64> = serde_json::from_value(alone["data"][0]["embedding"].clone()).unwrap();
        assert_eq!(vector.len(), 64);
        assert!((vector.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-6);
        assert_eq!(alone["data"][0]["embedding"], among["data"][1]["embedding"]);
        assert_ne!(alone["data"][0]["embedding"], among["data"][0]["embedding"]);
        assert_eq!(among["data"][2]["embedding"], among["data"][3]["embedding"]);
        assert_eq!(among["usage"]["prompt_tokens"], 2 + 2 + 2 + 2);
    }

    #[test]
    fn lengths_follow_the_model() {
        let len = |change| reply(change).unwrap()["data"][0]["embedding"].as_array().unwrap().len();
        assert_eq!(len(json!({})), 1536);
        assert_eq!(len(json!({"model": "text-embedding-3-large"})), 3072);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (change, param) in [
            (json!({"input": null}), "input"),
            (json!({"input": ""}), "input"),
            (json!({"input": []}), "input"),
            (json!({"input": ["a", ""]}), "input[1]"),
            (json!({"input": [["a"]]}), "input[0][0]"),
            (json!({"input": 5}), "input"),
            (json!({"input": vec!["a"; 2049]}), "input"),
            (json!({"dimensions": 0}), "dimensions"),
            (json!({"dimensions": 1537}), "dimensions"),
            (json!({"encoding_format": "hex"}), "encoding_format"),
        ] {
            assert_eq!(reply(change.clone()).unwrap_err().param.as_deref(), Some(param), "{change}");
        }
    }
}
