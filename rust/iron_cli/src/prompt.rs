//! The prompt: from the command line, or from standard input.

use std::io::{self, IsTerminal, Read};

use crate::failure::Failure;
use crate::usage;

/// Longer input is a mistake: no model reads that much.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The text that `command` was given as an argument, or standard input for `-` and for none.
pub(crate) fn read(command: &str, what: &str, given: Option<String>) -> Result<String, Failure> {
    let prompt = match given {
        Some(prompt) if prompt != "-" => prompt,
        None if io::stdin().is_terminal() => {
            return Err(usage(command, &format!("no {what}: give it as an argument, or pipe it in")));
        }
        _ => from_stdin(io::stdin().lock())?,
    };
    if prompt.trim().is_empty() {
        return Err(usage(command, &format!("the {what} is empty")));
    }
    Ok(prompt)
}

fn from_stdin(input: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    input
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::config(format!("standard input cannot be read: {error}")))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Failure::config(format!("standard input is longer than {MOST_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::config(format!("standard input is not UTF-8 text: byte {at} begins no character"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(input: impl Read) -> String {
        match from_stdin(input).unwrap_err() {
            Failure::Error { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn input_is_utf_8_of_bounded_length() {
        assert_eq!(from_stdin(&b"h\xc3\xa9\n"[..]).unwrap(), "hé\n");
        assert!(refusal(&b"ab\xff"[..]).contains("byte 2"));
        assert!(refusal(io::repeat(b'x')).contains("longer than"));
    }

    #[test]
    fn an_argument_is_taken_as_it_stands() {
        assert_eq!(read("chat", "prompt", Some("  Hello ".into())).unwrap(), "  Hello ");
        assert!(matches!(read("chat", "prompt", Some(" \n".into())), Err(Failure::Usage(_))));
    }
}
