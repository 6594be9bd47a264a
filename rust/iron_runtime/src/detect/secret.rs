//! Private keys and web tokens, which their form tells.

use super::Finding;
use super::encoded::base64;
use super::entity::Known;
use super::view::View;
use super::work::looked_at;

/// A 16,384-bit RSA key has 12,700 characters in PEM form.
const LONGEST_PEM: usize = 16_384;
/// An Ed25519 key in PKCS#8 has 64 characters, some of which may be signs.
const SHORTEST_KEY: usize = 48;
/// `-----BEGIN PGP PRIVATE KEY BLOCK-----`, and what else may stand in the dashes.
const LONGEST_HEADER: usize = 80;
/// Longer headers carry certificates; what comes first tells enough.
const JWT_HEADER: usize = 2_048;

/// Add every private key: PKCS#1, PKCS#8, SEC1, OpenSSH and PGP, in lines or with `\n` for line breaks.
pub(super) fn find_private_keys(view: &View<'_>, findings: &mut Vec<Finding>) {
    let mut done = 0;
    for start in view.private_keys.iter().copied() {
        if start < done {
            continue;
        }
        let text = &view.bytes[start..view.bytes.len().min(start + LONGEST_PEM)];
        let header = &text[..text.len().min(LONGEST_HEADER)];
        let Some(title) = memchr::memmem::find(header, b"PRIVATE KEY") else { continue };
        let Some(body) = memchr::memmem::find(&header[title..], b"-----").map(|at| title + at + 5) else {
            continue;
        };
        // Another header before the end belongs to another block.
        let next = memchr::memmem::find(&text[body..], b"-----BEGIN").map_or(text.len(), |at| body + at);
        let end = memchr::memmem::find(&text[body..next], b"-----END").map(|at| body + at);
        looked_at(next);
        let material = &text[body..end.unwrap_or(next)];
        let letters = material.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
        if letters < SHORTEST_KEY || memchr::memmem::find(material, b"...").is_some() {
            done = start + body;
            continue;
        }
        let closing = |end: usize| {
            let line = &text[end + 5..text.len().min(end + LONGEST_HEADER)];
            memchr::memmem::find(line, b"-----").map_or(end + 5, |dashes| end + 5 + dashes + 5)
        };
        done = start + end.map_or(next, closing);
        findings.push(Finding::new(Known::PrivateKey, start..done, 1.0, "private key in PEM form"));
    }
}

/// Add every JSON web token: three parts in base64, the first a JSON object that names an algorithm.
pub(super) fn find_jwts(view: &View<'_>, findings: &mut Vec<Finding>) {
    let in_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let text = view.bytes;
    for (start, _) in view.encoded.iter().copied().chain(view.numbers.iter().copied()) {
        let begins = text[start..].starts_with(b"eyJ") && !text[..start].last().is_some_and(in_part);
        if !begins {
            continue;
        }
        let row = |from: usize| {
            let len = text[from..].iter().take_while(|byte| in_part(byte)).count();
            looked_at(len);
            from + len
        };
        let header = row(start);
        if text.get(header) != Some(&b'.') {
            continue;
        }
        let payload = row(header + 1);
        if text.get(payload) != Some(&b'.') || payload == header + 1 {
            continue;
        }
        let end = row(payload + 1);
        let head = &text[start..header.min(start + JWT_HEADER)];
        let named = base64(head).is_some_and(|json| json.contains("\"alg\"") || json.contains("\"enc\""));
        let found = findings.last().is_some_and(|last| last.span.start == start);
        if named && !found && end - payload > 16 {
            findings.push(Finding::new(Known::Jwt, start..end, 0.98, "decodable header"));
        }
    }
}
