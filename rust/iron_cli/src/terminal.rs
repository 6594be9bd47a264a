//! The terminal: the only writer to standard output and standard error.
//!
//! Colour goes to standard error alone, and `anstream` takes it out where nobody would see it: not a terminal,
//! `NO_COLOR`, `TERM=dumb`; `CLICOLOR_FORCE` keeps it. The cursor is never moved.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

/// Standard output, on which a reply is written piece by piece.
pub(crate) struct Output {
    is_terminal: bool,
    mid_line: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), mid_line: false }
    }

    /// Write text as it comes. What a model says must not steer a terminal: control characters stay out of one.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let shown = if self.is_terminal { printable(text) } else { Cow::Borrowed(text) };
        self.mid_line = !text.ends_with('\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(shown.as_bytes())?;
        stdout.flush()
    }

    /// End the line that was begun.
    pub(crate) fn end_line(&mut self) -> io::Result<()> {
        if self.mid_line { self.text("\n") } else { Ok(()) }
    }
}

/// One dim line on standard error.
pub(crate) fn note(text: &str) {
    line(&format!("\x1b[2m{}\x1b[0m", one_line(text)));
}

/// One line on standard error, for what was done otherwise than asked.
pub(crate) fn warning(text: &str) {
    line(&format!("\x1b[1;33mwarning\x1b[0m: {}", one_line(text)));
}

/// One line on standard error: `error[code]: message`.
pub(crate) fn error(code: &str, message: &str) {
    line(&format!("\x1b[1;31merror[{code}]\x1b[0m: {}", one_line(message)));
}

fn line(text: &str) {
    // If standard error is gone there is nobody left to tell.
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}

fn one_line(text: &str) -> String {
    text.split_whitespace().map(printable).collect::<Vec<_>>().join(" ")
}

fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.contains(steers) { Cow::Owned(text.replace(steers, "")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_left_out() {
        assert_eq!(printable("a\tb\nc é"), "a\tb\nc é");
        assert_eq!(printable("\x1b[31mred\x07\u{9b}2J\r"), "[31mred2J");
    }

    #[test]
    fn messages_take_one_line() {
        assert_eq!(one_line("first\n  second\x1b[0m"), "first second[0m");
    }
}
