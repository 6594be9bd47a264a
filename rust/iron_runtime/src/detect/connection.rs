//! Connection strings: URLs that hold a password, and the passwords of ODBC, ADO.NET and JDBC.

use super::Finding;
use super::assignment::Value;
use super::entity::Known;
use super::placeholder::{is_placeholder, is_template};
use super::view::View;
use super::work::looked_at;

/// Add every URL that holds a password.
pub(super) fn find_urls(view: &View<'_>, findings: &mut Vec<Finding>) {
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
        looked_at(authority.len());
        let Some(host) = authority.iter().rposition(|byte| *byte == b'@') else { continue };
        let Some(colon) = authority[..host].iter().position(|byte| *byte == b':') else { continue };
        let password = &authority[colon + 1..host];
        if password.len() < 3 || !opens(password) {
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

/// Whether a password may open something: it is neither a placeholder nor what every example has.
fn opens(password: &[u8]) -> bool {
    password.len() >= 3 && !is_template(password) && !is_placeholder(password) && !is_weak(password)
}

/// Whether the value of a name like `Password` is that of a connection string, by what stands before it in its line.
pub(super) fn is_in_connection(text: &[u8], name: usize, value: &Value) -> bool {
    const BEFORE: usize = 200;
    const MARKS: [&[u8]; 7] =
        [b"jdbc:", b"server=", b"data source=", b"driver=", b"host=", b"hostname=", b"accountendpoint="];
    let line = &text[name.saturating_sub(BEFORE)..name];
    let line = line.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    looked_at(line.len());
    let divided = line.trim_ascii_end().last().is_some_and(|byte| b";?&".contains(byte));
    divided && opens(&text[value.start..value.end]) && {
        let small = line.to_ascii_lowercase();
        MARKS.iter().any(|mark| memchr::memmem::find(&small, mark).is_some())
    }
}
