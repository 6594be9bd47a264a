//! Repairs: an output that does not fit is sent back to the model with what is wrong with it.

use std::fmt::Write;

use crate::call::{Content, Message, Role, Text};
use crate::schema::Violation;

/// What is added to the conversation: what the model said, and why that does not do.
pub(crate) fn turn(said: Text, violations: &[Violation]) -> Vec<Message> {
    let mut wrong = String::from("Your last answer cannot be used. What is wrong with it:\n");
    for violation in violations {
        // Writing to a string cannot fail.
        let _ = writeln!(wrong, "- {violation}");
    }
    wrong.push_str("Answer again with the corrected JSON and nothing else.");
    let mut turn = Vec::with_capacity(2);
    // Some providers take no message that says nothing.
    if !said.trim().is_empty() {
        turn.push(Message { role: Role::Assistant, content: Content::Text(said), extra: Vec::new() });
    }
    turn.push(Message::user(wrong));
    turn
}
