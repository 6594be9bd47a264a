//! A provider's words about a request, which may quote the secrets in its head.

use bytes::Bytes;
use http::HeaderMap;
use memchr::memmem;

use crate::config::HIDDEN;

/// What is shorter is in texts that quote nothing, and is no key.
const LEAST_BYTES: usize = 8;

/// What was said, without the secrets of `headers`: as they were sent, and as JSON writes them.
pub(super) fn without_secrets(said: Bytes, headers: &HeaderMap) -> Bytes {
    secrets(headers).iter().fold(said, |said, secret| hide(said, secret))
}

/// The same of a text.
pub(super) fn text_without_secrets(said: String, headers: &HeaderMap) -> String {
    let hidden = without_secrets(Bytes::from(said), headers);
    String::from_utf8_lossy(&hidden).into_owned()
}

/// The values that are secrets, the longest first: one may be a part of another.
fn secrets(headers: &HeaderMap) -> Vec<String> {
    let values = headers.values().filter(|value| value.is_sensitive());
    let mut secrets: Vec<_> = values
        .filter_map(|value| std::str::from_utf8(value.as_bytes()).ok())
        // Of `Bearer KEY`, the key may be quoted alone.
        .flat_map(|value| [Some(value), value.split_once(' ').map(|(_, key)| key)])
        .flatten()
        .filter(|secret| secret.len() >= LEAST_BYTES)
        .flat_map(written)
        .collect();
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// The ways in which JSON may write a text.
fn written(text: &str) -> [String; 3] {
    let escaped = text.replace('\\', r"\\").replace('"', r#"\""#);
    [text.to_owned(), escaped.replace('/', r"\/"), escaped]
}

fn hide(said: Bytes, secret: &str) -> Bytes {
    let mut left = 0;
    let mut shown = Vec::new();
    for at in memmem::find_iter(&said, secret) {
        shown.extend_from_slice(&said[left..at]);
        shown.extend_from_slice(HIDDEN.as_bytes());
        left = at + secret.len();
    }
    if left == 0 {
        return said;
    }
    shown.extend_from_slice(&said[left..]);
    shown.into()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            let mut value = HeaderValue::from_str(value).unwrap();
            value.set_sensitive(true);
            headers.append("x-some", value);
        }
        headers.append("x-shown", HeaderValue::from_static("2023-06-01"));
        headers
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_is_quoted() {
        let headers =
            headers(&["Bearer sk-0123456789", r#"pass"word/\é"#, "sk-0123456789-and-more", "short"]);
        for (said, shown) in [
            ("no: sk-0123456789, sk-0123456789", "no: ***, ***"),
            ("no: Bearer sk-0123456789", "no: ***"),
            ("no: sk-0123456789-and-more", "no: ***"),
            (r#"no: pass"word/\é"#, "no: ***"),
            (r#"{"no": "pass\"word/\\é"}"#, r#"{"no": "***"}"#),
            (r#"{"no": "pass\"word\/\\é"}"#, r#"{"no": "***"}"#),
            ("too short, 2023-06-01", "too short, 2023-06-01"),
        ] {
            assert_eq!(text_without_secrets(said.to_owned(), &headers), shown);
        }
    }

    #[test]
    fn bytes_that_quote_nothing_are_as_they_were() {
        let said = Bytes::from_static(b"\xff no \xfe");
        assert_eq!(without_secrets(said.clone(), &headers(&["Bearer sk-0123456789"])), said);
    }
}
