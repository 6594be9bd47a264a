//! Secrets that no vendor's format tells: private keys, web tokens, connection strings, assignments.

use super::Finding;
use super::encoded::base64;
use super::entity::Known;
use super::placeholder::{entropy, is_placeholder};
use super::view::View;

/// A 16,384-bit RSA key has 12,700 characters in PEM form.
const LONGEST_PEM: usize = 16_384;
/// Longer headers carry certificates; what comes first tells enough.
const JWT_HEADER: usize = 2_048;

/// Add every private key.
pub(super) fn find_private_keys(view: &View<'_>, findings: &mut Vec<Finding>) {
    let mut done = 0;
    for start in view.private_keys.iter().copied() {
        if start < done {
            continue;
        }
        let text = &view.bytes[start..view.bytes.len().min(start + LONGEST_PEM)];
        let Some(head) = memchr::memmem::find(&text[..text.len().min(80)], b"PRIVATE KEY") else { continue };
        let after = head + b"PRIVATE KEY".len();
        let Some(dashes) = text[after..].iter().take(16).position(|byte| *byte == b'-') else { continue };
        let body = after + dashes + 5;
        // A key that is written in one line has its line breaks as `\n`.
        let end = memchr::memmem::find(&text[body.min(text.len())..], b"-----END").map(|at| body + at);
        let material = &text[body.min(text.len())..end.unwrap_or(text.len())];
        let letters = material.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
        if letters < 64 || memchr::memmem::find(material, b"...").is_some() {
            continue;
        }
        let tail = end.map(|end| {
            end + text[end..]
                .iter()
                .take(80)
                .position(|byte| *byte == b'\n')
                .unwrap_or(text.len().min(end + 40) - end)
        });
        done = start + tail.unwrap_or(text.len());
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
        let row = |from: usize| from + text[from..].iter().take_while(|byte| in_part(byte)).count();
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

/// Add every URL that holds a password.
pub(super) fn find_connections(view: &View<'_>, findings: &mut Vec<Finding>) {
    const LONGEST: usize = 512;
    let text = view.bytes;
    let mut done = 0;
    for hit in &view.schemes {
        // postgresql+psycopg2://, mongodb+srv://, jdbc:mysql://
        let driver = text[hit.end..]
            .iter()
            .take(20)
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"+:".contains(byte))
            .count();
        let Some(at) = (hit.end..=hit.end + driver).find(|at| text[*at..].starts_with(b"://")) else {
            continue;
        };
        if hit.start < done {
            continue;
        }
        let rest = &text[at + 3..text.len().min(at + 3 + LONGEST)];
        let outside = |byte: &u8| byte.is_ascii_whitespace() || b"\"'<>`/".contains(byte);
        let authority = &rest[..rest.iter().position(outside).unwrap_or(rest.len())];
        let Some(host) = authority.iter().rposition(|byte| *byte == b'@') else { continue };
        let Some(colon) = authority[..host].iter().position(|byte| *byte == b':') else { continue };
        let password = &authority[colon + 1..host];
        if password.len() < 3 || is_template(password) || is_placeholder(password) || is_weak(password) {
            continue;
        }
        let end = at
            + 3
            + rest
                .iter()
                .position(|byte| byte.is_ascii_whitespace() || b"\"'<>`".contains(byte))
                .unwrap_or(rest.len());
        done = end;
        findings.push(Finding::new(Known::ConnectionString, hit.start..end, 0.9, "URL with a password"));
    }
}

/// What examples and development machines have; knowing it opens nothing.
fn is_weak(password: &[u8]) -> bool {
    const WEAK: [&[u8]; 12] = [
        b"pass",
        b"pw",
        b"pwd",
        b"secret",
        b"postgres",
        b"root",
        b"admin",
        b"user",
        b"test",
        b"guest",
        b"mysql",
        b"token",
    ];
    WEAK.iter().any(|weak| password.eq_ignore_ascii_case(weak))
}

/// `${PASSWORD}`, `{{ password }}`, `%s`, `$PASSWORD`, `<password>`: filled in later.
fn is_template(value: &[u8]) -> bool {
    value.iter().any(|byte| b"{}<>$%".contains(byte))
        && !(value[0] != b'$'
            && value.iter().filter(|byte| b"{}<>$%".contains(byte)).count() == 1
            && value.contains(&b'$'))
}

/// Add every value that is assigned to a name like `password`.
pub(super) fn find_assigned(view: &View<'_>, findings: &mut Vec<Finding>) {
    const LONGEST: usize = 200;
    let text = view.bytes;
    for hit in &view.assigned {
        let at = |from: usize, allowed: &[u8], most: usize| {
            from + text[from..].iter().take(most).take_while(|byte| allowed.contains(byte)).count()
        };
        // The rest of a name, a closing quote or bracket: `secret_key_base"]`.
        let name = hit.end
            + text[hit.end..]
                .iter()
                .take(24)
                .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
                .count();
        let sign = at(at(name, b"\"'`]", 2), b" \t", 8);
        let signs = at(sign, b":=>", 3);
        let written = match &text[sign..signs] {
            b"=" | b":" | b":=" | b"=>" => at(signs, b" \t", 8),
            // `password is ...`, in prose.
            b"" if text[sign..].starts_with(b"is ") && sign > name => sign + 3,
            _ => continue,
        };
        let quote = text.get(written).copied().filter(|byte| b"\"'`".contains(byte));
        let start = written + usize::from(quote.is_some());
        let ends = |byte: &u8| match quote {
            Some(quote) => *byte == quote || *byte == b'\n',
            None => byte.is_ascii_whitespace() || b"\"'`;,&)]}".contains(byte),
        };
        let Some(len) = text[start..]
            .iter()
            .take(LONGEST)
            .position(ends)
            .or_else(|| (text.len() - start < LONGEST).then(|| text.len() - start))
        else {
            continue;
        };
        let value = &text[start..start + len];
        let value = if quote.is_none() { value.strip_suffix(b".").unwrap_or(value) } else { value };
        if is_secret(value, quote.is_some()) {
            let reason = "value of a name like password";
            findings.push(Finding::new(Known::Password, start..start + value.len(), 0.75, reason));
        }
    }
}

/// Whether a value looks drawn or chosen to be secret, and not like a word, an expression or a placeholder.
fn is_secret(value: &[u8], quoted: bool) -> bool {
    if value.len() < 8 || value.contains(&b' ') || is_placeholder(value) || is_template(value) {
        return false;
    }
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let signs = value.iter().filter(|byte| !byte.is_ascii_alphanumeric()).count();
    let letters = value.len() - digits - signs;
    // A call, a path, an attribute: source code that names where the value comes from.
    let code = !quoted && value.iter().any(|byte| b"()[].\\".contains(byte))
        || value.windows(2).any(|pair| pair == b"::" || pair == b"->" || pair == b"//")
        || value.contains(&b'(');
    let drawn = value.iter().any(|byte| b"!@#$%^&*+".contains(byte));
    let mixed = digits > 0 && (letters > 0 || signs > 1) || letters > 0 && signs > 1 && drawn;
    let least = if quoted { 2.8 } else { 3.0 };
    mixed && !code && entropy(value) >= least
}
