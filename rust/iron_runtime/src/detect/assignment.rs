//! Assignments: the value that is given to a name, as the languages that people configure things in write it.

use std::ops::Range;

use super::work::looked_at;

/// A value ends within so many bytes, or is none.
const LONGEST: usize = 200;

/// Where a value stands, and whether quotes stand around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) quoted: bool,
}

/// What is behind the name that ends at `name_end`: `=`, `:`, `:=`, `=>`, a comma or a flag's space, then the value.
pub(super) fn value_start(text: &[u8], name_end: usize) -> Option<(usize, Option<u8>)> {
    let skip = |from: usize, allowed: &[u8], most: usize| {
        from + text[from..].iter().take(most).take_while(|byte| allowed.contains(byte)).count()
    };
    // The rest of a name: `secret_key_base`, `password[0]`.
    let name = name_end
        + text[name_end..]
            .iter()
            .take(40)
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte))
            .count();
    // A closing quote, bracket, backslash of JSON within JSON; in Python and TypeScript a type.
    let closed = skip(skip(name, b"\\", 3), b"\"'`])>", 3);
    let sign = skip(closed, b" \t", 24);
    let typed = [": str", ": string", ": String", ": &str", ": SecretStr"]
        .iter()
        .filter(|kind| text[sign..].starts_with(kind.as_bytes()))
        .map(|kind| skip(sign + kind.len(), b" \t", 8))
        .find(|behind| text.get(*behind) == Some(&b'='));
    let sign = typed.unwrap_or(sign);
    let signs = skip(sign, b":=>", 3);
    let written = match &text[sign..signs] {
        b"=" | b":" | b":=" | b"=>" | b"==" => skip(signs, b" \t", 8),
        // `("password", "...")`, `set password ...`, `--password ...`, `password is ...`.
        b"" if text[sign..].starts_with(b",") => skip(sign + 1, b" \t", 8),
        b"" if sign > name && text[sign..].starts_with(b"is ") => sign + 3,
        b"" if sign > name && text[..name].iter().rev().take(48).any(|byte| *byte == b'-') => {
            let flag =
                text[..name].iter().rev().take(48).take_while(|byte| !byte.is_ascii_whitespace()).count();
            text[name - flag..].starts_with(b"--").then_some(sign)?
        }
        // The text of an element: `<password>...</password>`.
        b"" if text[..closed].ends_with(b">") => closed,
        _ => return None,
    };
    let written = skip(written, b"\\", 3);
    // `f"..."`, `b"..."`, `r"..."`
    let prefixed = matches!(text.get(written..written + 2), Some([b'f' | b'b' | b'r' | b'u', b'"' | b'\'']));
    let written = written + usize::from(prefixed);
    let quote = text.get(written).copied().filter(|byte| b"\"'`".contains(byte));
    Some((written + usize::from(quote.is_some()), quote))
}

/// Looks values up one after the other, and reads no byte twice for it.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Where bare values end that begin so far, if they end.
    bare: (Range<usize>, Option<usize>),
}

impl Values {
    /// The value of the name that ends at `name_end`.
    pub(super) fn of(&mut self, text: &[u8], name_end: usize) -> Option<Value> {
        let (start, quote) = value_start(text, name_end)?;
        let end = match quote {
            Some(quote) => {
                let ends = |byte: &u8| *byte == quote || *byte == b'\n';
                looked_at(LONGEST);
                start + text[start..].iter().take(LONGEST).position(ends)?
            }
            None => self.bare_end(text, start)?,
        };
        Some(Value { start, end, quoted: quote.is_some() })
    }

    fn bare_end(&mut self, text: &[u8], start: usize) -> Option<usize> {
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'`;,&)]}<|".contains(byte);
        if !self.bare.0.contains(&start) {
            let end = text[start..].iter().take(4 * LONGEST).position(ends).map(|row| start + row);
            let end = end.or_else(|| (text.len() - start <= 4 * LONGEST).then_some(text.len()));
            looked_at(end.unwrap_or(start + 4 * LONGEST) - start);
            // Where it does not end so far, values that begin in the last quarter still may.
            self.bare = (start..end.unwrap_or(start + 3 * LONGEST), end);
        }
        self.bare.1.filter(|end| end - start < LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_assignment_is_read() {
        for text in [
            "password=abc",
            "password = \"abc\"",
            "password: 'abc'",
            "\"password\": \"abc\"",
            "password => `abc`",
            "password := \"abc\"",
            "passwordField: str = \"abc\"",
            "password: string = 'abc'",
            "[\"password\"] = \"abc\"",
            "{\\\"password\\\": \\\"abc\\\"}",
            "--password abc",
            "--db-password abc",
            "setProperty(\"password\", \"abc\")",
            "<password>abc</password>",
            "password = b\"abc\"",
            "password is abc",
        ] {
            let name_end = text.find("password").unwrap() + "password".len();
            let Value { start, end, .. } = Values::default().of(text.as_bytes(), name_end).unwrap();
            assert_eq!(&text[start..end].trim_end_matches('\\'), &"abc", "{text}");
        }
        for text in ["password abc", "password", "password?", "password != abc"] {
            assert_eq!(Values::default().of(text.as_bytes(), "password".len()), None, "{text}");
        }
    }
}
