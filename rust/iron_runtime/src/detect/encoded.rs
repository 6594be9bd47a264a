//! Encoded text: base64, hex and rot13, and data in the address of an image.

use std::ops::Range;

use super::view::View;
use super::work::looked_at;

/// Decoded text so short says nothing.
const LEAST: usize = 12;

/// Every run of the text that decodes to text: where it stands, how it is encoded, what it says.
pub(super) fn texts<'v>(
    view: &'v View<'_>,
) -> impl Iterator<Item = (Range<usize>, &'static str, String)> + 'v {
    let mut done = 0;
    view.encoded.iter().filter_map(move |(start, end)| {
        if *start < done {
            return None;
        }
        // Base64 has signs that end a run.
        let bytes = view.bytes;
        let in_base64 = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
        let end = end + bytes[*end..].iter().take_while(in_base64).count();
        done = end;
        let run = &bytes[*start..end];
        looked_at(run.len());
        let hex = || hex(run).map(|text| (*start..end, "in hex", text));
        hex().or_else(|| base64(run).map(|text| (*start..end, "in base64", text)))
    })
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..))
}

fn hex(run: &[u8]) -> Option<String> {
    let nibble = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(nibble(&pair[0])? << 4 | nibble(&pair[1])?);
    let decode = |run: &[u8]| run.chunks_exact(2).map(pair).collect::<Option<Vec<u8>>>();
    if run.len() < 2 * LEAST || !is_text(&decode(&run[..2 * LEAST])?) {
        return None;
    }
    String::from_utf8(decode(run)?).ok().filter(|text| is_text(text.as_bytes()))
}

/// Text in base64, in either alphabet.
pub(super) fn base64(run: &[u8]) -> Option<String> {
    let head = decode_base64(run.get(..16)?)?;
    if !is_text(&head) {
        return None;
    }
    String::from_utf8(decode_base64(run)?).ok().filter(|text| is_text(text.as_bytes()))
}

fn decode_base64(run: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(run.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for byte in run {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            decoded.push((bits >> held & 0xff) as u8);
        }
    }
    Some(decoded)
}

pub(super) fn rot13(c: char) -> char {
    match c {
        'a'..='m' | 'A'..='M' => char::from(c as u8 + 13),
        'n'..='z' | 'N'..='Z' => char::from(c as u8 - 13),
        other => other,
    }
}

/// A Markdown image whose address has a place for data, or carries some: showing it sends that away.
pub(super) fn leaking_image(view: &View<'_>) -> Option<Range<usize>> {
    const LABEL: usize = 200;
    const ADDRESS: usize = 512;
    const DATA: usize = 48;
    view.schemes.iter().find_map(|hit| {
        let before = &view.bytes[hit.start.saturating_sub(LABEL)..hit.start];
        let label = before.strip_suffix(b"](").or_else(|| before.strip_suffix(b"](<"))?;
        let mark = memchr::memmem::rfind(label, b"![")?;
        if label[mark + 2..].contains(&b']') {
            return None;
        }
        let rest = &view.bytes[hit.start..view.bytes.len().min(hit.start + ADDRESS)];
        let end = rest.iter().position(|byte| b") \n".contains(byte)).unwrap_or(rest.len());
        looked_at(label.len() + end);
        let query = rest[..end].split(|byte| *byte == b'?').nth(1)?;
        let slot = query.iter().any(|byte| b"{[<$".contains(byte));
        let data = query
            .split(|byte| *byte == b'&')
            .any(|pair| pair.iter().position(|byte| *byte == b'=').is_some_and(|at| pair.len() - at > DATA));
        (slot || data).then(|| hit.start - (label.len() - mark) - 2..hit.start + end)
    })
}
