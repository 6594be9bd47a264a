//! Passwords: values of names like `password`, credentials of HTTP headers and of `curl`.

use super::Finding;
use super::assignment::{Value, Values};
use super::connection::is_in_connection;
use super::encoded::base64;
use super::entity::Known;
use super::placeholder::{encloses, entropy, is_placeholder, is_template};
use super::view::View;
use super::work::looked_at;

/// Add every value that is assigned to a name like `password`.
pub(super) fn find_assigned(view: &View<'_>, findings: &mut Vec<Finding>) {
    let text = view.bytes;
    let mut values = Values::default();
    for hit in &view.assigned {
        let Some(found) = values.of(text, hit.end) else { continue };
        let Value { start, end, quoted } = found;
        let bare = &text[start..end];
        let value = if quoted { bare } else { bare.strip_suffix(b".").unwrap_or(bare) };
        let value = value.strip_suffix(b"\\").unwrap_or(value);
        let span = start..start + value.len();
        if is_in_connection(text, hit.start, &Value { end: span.end, ..found }) {
            let reason = "password of a connection string";
            findings.push(Finding::new(Known::ConnectionString, span, 0.9, reason));
        } else if is_secret(value, quoted) {
            findings.push(Finding::new(Known::Password, span, 0.75, "value of a name like password"));
        }
    }
}

/// Add the credentials of every `Authorization` header.
pub(super) fn find_authorization(view: &View<'_>, findings: &mut Vec<Finding>) {
    const LONGEST: usize = 512;
    let text = view.bytes;
    for hit in &view.authorization {
        let sign = text[hit.end..].iter().take(8).take_while(|byte| b" \t\"'\\:=,".contains(byte)).count();
        let rest = &text[hit.end + sign..text.len().min(hit.end + sign + LONGEST)];
        let Some(space) = rest.iter().take(8).position(|byte| *byte == b' ').filter(|_| sign > 0) else {
            continue;
        };
        let (scheme, rest) = rest.split_at(space);
        let rest = &rest[1..];
        let in_token = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-._~+/=:".contains(byte);
        let token = &rest[..rest.iter().take_while(in_token).count()];
        looked_at(token.len());
        let start = hit.end + sign + space + 1;
        let secret = match &*scheme.to_ascii_lowercase() {
            b"basic" => base64(token.trim_ascii_end().split(|byte| *byte == b'=').next().unwrap_or_default())
                .is_some_and(|pair| pair.contains(':') && !is_placeholder(pair.as_bytes())),
            b"bearer" | b"token" | b"apikey" | b"ssws" => token.len() >= 16 && is_drawn(token),
            _ => false,
        };
        if secret {
            let span = start..start + token.len();
            findings.push(Finding::new(
                Known::Password,
                span,
                0.75,
                "credentials of an Authorization header",
            ));
        }
    }
}

/// Add the user and password of every `curl -u`.
pub(super) fn find_curl(view: &View<'_>, findings: &mut Vec<Finding>) {
    const LONGEST: usize = 300;
    let text = view.bytes;
    for hit in &view.curl {
        let command = &text[hit.end..text.len().min(hit.end + LONGEST)];
        let command = command.split(|byte| b"|;".contains(byte)).next().unwrap_or_default();
        looked_at(command.len());
        let flag = [&b" -u"[..], b" --user", b" --proxy-user"].into_iter().find_map(|flag| {
            let at = memchr::memmem::find(command, flag)? + flag.len();
            command.get(at).is_some_and(|byte| b" ='\"".contains(byte)).then_some(at)
        });
        let Some(flag) = flag else { continue };
        let from = flag + command[flag..].iter().take_while(|byte| b" ='\"".contains(byte)).count();
        let len =
            command[from..].iter().take_while(|byte| !byte.is_ascii_whitespace() && !b"'\"".contains(byte));
        let pair = &command[from..from + len.count()];
        let Some(colon) = pair.iter().position(|byte| *byte == b':') else { continue };
        let password = &pair[colon + 1..];
        if password.len() >= 6
            && !is_template(password)
            && !is_placeholder(password)
            && entropy(password) >= 2.2
        {
            let start = hit.end + from + colon + 1;
            let span = start..start + password.len();
            findings.push(Finding::new(Known::Password, span, 0.75, "password of a command line"));
        }
    }
}

/// Whether a token looks drawn: with digits and letters, and no placeholder.
fn is_drawn(token: &[u8]) -> bool {
    let digits = token.iter().filter(|byte| byte.is_ascii_digit()).count();
    digits > 0
        && digits < token.len()
        && entropy(token) >= 3.0
        && !is_placeholder(token)
        && !is_template(token)
}

/// Whether a value looks drawn or chosen to be secret, and not like a word, an expression or a placeholder.
fn is_secret(value: &[u8], quoted: bool) -> bool {
    if value.len() < 8 || value.contains(&b' ') || is_placeholder(value) || is_template(value) {
        return false;
    }
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let signs = value.iter().filter(|byte| !byte.is_ascii_alphanumeric()).count();
    let letters = value.len() - digits - signs;
    // A call, a path, an attribute, a pattern: source code that names where the value comes from, or what it is like.
    let code = !quoted && value.iter().any(|byte| b"()[].\\".contains(byte))
        || value.windows(2).any(|pair| pair == b"::" || pair == b"->" || pair == b"//")
        || encloses(value, b'(', b')')
        || encloses(value, b'[', b']');
    let drawn = value.iter().any(|byte| b"!@#$%^&*+".contains(byte));
    let mixed = digits > 0 && (letters > 0 || signs > 1) || letters > 0 && signs > 1 && drawn;
    let least = if quoted { 2.8 } else { 3.0 };
    mixed && !code && entropy(value) >= least
}
