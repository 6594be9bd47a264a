//! The conversation: instructions become `system`, and turns become `messages`.

use super::block;
use super::tools;
use crate::Error;
use crate::call::{Content, Message, Part, Role};
use crate::json::Json;
use crate::provider::fields::{Fields, text};
use crate::provider::lacks::{Lacks, asks_nothing};
use crate::provider::writer::Writer;

/// The field of an assistant's message that holds Anthropic's own blocks, to be given back as they came.
pub(super) const BLOCKS: &str = "content_blocks";

/// Write both.
///
/// # Errors
/// [`Error::Config`] for what the format cannot say, naming the message.
pub(super) fn write(body: &mut Writer, messages: &[Message], lacks: &mut Lacks<'_>) -> Result<(), Error> {
    let instructs = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    if messages.iter().any(|message| instructs(&message) && says_something(message)) {
        body.key("system");
        body.open_list();
        let told = |(_, message): &(usize, &Message)| instructs(message) && says_something(message);
        for (nth, message) in messages.iter().enumerate().filter(told) {
            instructions(body, message, nth, lacks)?;
        }
        body.close_list();
    }
    body.key("messages");
    body.open_list();
    let mut speaker = None;
    let said = |(_, message): &(usize, &Message)| !instructs(message) && says_something(message);
    for (nth, message) in messages.iter().enumerate().filter(said) {
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        // One turn for all that follows of the same side: the results of parallel calls belong into one.
        if speaker != Some(role) {
            if speaker.is_some() {
                end_turn(body);
            }
            body.comma();
            body.open();
            body.string("role", role);
            body.key("content");
            body.open_list();
            speaker = Some(role);
        }
        turn(body, message, nth, nth + 1 == messages.len(), lacks)?;
    }
    if speaker.is_some() {
        end_turn(body);
    }
    body.close_list();
    Ok(())
}

/// A message without anything in it is no turn: Anthropic refuses it, where others pass over it.
fn says_something(message: &Message) -> bool {
    let content = match &message.content {
        Content::None => false,
        Content::Text(text) => !block::is_blank(text),
        Content::Parts(parts) => {
            parts.iter().any(|part| !matches!(part, Part::Text { text, .. } if block::is_blank(text)))
        }
    };
    let holds = |name: &str| field(message, name).is_some_and(|value| !asks_nothing(value.as_str()));
    content
        || matches!(message.role, Role::Tool | Role::Function)
        || (message.role == Role::Assistant && ["tool_calls", BLOCKS, "refusal"].into_iter().any(holds))
}

fn field<'a>(message: &'a Message, name: &str) -> Option<&'a Json> {
    message.extra.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Whether the assistant spoke last to call tools, and did not think as Anthropic's models do.
pub(super) fn calls_without_thoughts(messages: &[Message]) -> bool {
    let Some(last) = messages.iter().rfind(|message| message.role == Role::Assistant) else { return false };
    let calls = field(last, "tool_calls").is_some_and(|calls| !asks_nothing(calls.as_str()));
    let blocks = field(last, BLOCKS).and_then(|blocks| Fields::read_list(blocks.as_str()));
    let first = blocks.as_ref().and_then(|blocks| blocks.first()?.text("type"));
    calls && !first.is_some_and(|kind| matches!(&*kind, "thinking" | "redacted_thinking"))
}

fn end_turn(body: &mut Writer) {
    body.close_list();
    body.close();
}

fn instructions(
    body: &mut Writer,
    message: &Message,
    nth: usize,
    lacks: &mut Lacks<'_>,
) -> Result<(), Error> {
    if let Content::Parts(parts) = &message.content
        && let Some(part) = parts.iter().position(|part| !matches!(part, Part::Text { .. }))
    {
        return Err(Error::config(format!(
            "messages[{nth}].content[{part}]: provider {:?} takes only text as instructions",
            lacks.provider().name
        )));
    }
    content(body, message, nth, false, lacks)?;
    extra(body, message, nth, lacks)
}

fn turn(
    body: &mut Writer,
    message: &Message,
    nth: usize,
    last: bool,
    lacks: &mut Lacks<'_>,
) -> Result<(), Error> {
    match message.role {
        Role::Tool => return tools::write_result(body, message, nth, lacks),
        Role::Function => {
            return Err(Error::config(format!(
                "messages[{nth}].role is \"function\", which provider {:?} does not take: give results as \"tool\"",
                lacks.provider().name
            )));
        }
        Role::Assistant => assistant(body, message, nth, last, lacks)?,
        _ => content(body, message, nth, false, lacks)?,
    }
    extra(body, message, nth, lacks)
}

fn assistant(
    body: &mut Writer,
    message: &Message,
    nth: usize,
    last: bool,
    lacks: &mut Lacks<'_>,
) -> Result<(), Error> {
    if let Some(blocks) = field(message, BLOCKS).filter(|blocks| !blocks.is_null()) {
        return block::write_own(body, blocks, || format!("messages[{nth}].{BLOCKS}"));
    }
    let calls = field(message, "tool_calls").filter(|calls| !asks_nothing(calls.as_str()));
    // What the model is to go on with may not end in white space.
    content(body, message, nth, last && calls.is_none(), lacks)?;
    if let Some(refusal) = field(message, "refusal").and_then(|refusal| text(refusal.as_str())) {
        block::write_text(body, &refusal, &[]);
    }
    calls.map_or(Ok(()), |calls| tools::write_calls(body, calls, nth))
}

/// What a message says, as blocks of the list that is open.
fn content(
    body: &mut Writer,
    message: &Message,
    nth: usize,
    goes_on: bool,
    lacks: &mut Lacks<'_>,
) -> Result<(), Error> {
    match &message.content {
        Content::None => {}
        Content::Text(text) => block::write_text(body, if goes_on { text.trim_end() } else { text }, &[]),
        Content::Parts(parts) => block::write_parts(body, parts, nth, goes_on, lacks)?,
    }
    Ok(())
}

/// The fields beside role and content, as far as Anthropic has a place for them.
fn extra(body: &mut Writer, message: &Message, nth: usize, lacks: &mut Lacks<'_>) -> Result<(), Error> {
    for (name, value) in &message.extra {
        match &**name {
            // Everything up to here is to be cached: the mark belongs to the last block.
            "cache_control" if !value.is_null() => body.amend("cache_control", value.as_str()),
            _ if understood(message.role, name, value) => {}
            _ => lacks.found(&format!("messages[{nth}].{name}"))?,
        }
    }
    Ok(())
}

/// Written already, or nothing that is said to the model.
fn understood(role: Role, name: &str, value: &Json) -> bool {
    let of_a_reply = matches!(
        name,
        "tool_calls" | BLOCKS | "refusal" | "annotations"
            // What another provider's model thought has no signature, without which Anthropic takes no thoughts; those
            // of its own are among the blocks.
            | "reasoning_content" | "reasoning" | "reasoning_details"
    );
    asks_nothing(value.as_str()) || (role == Role::Assistant && of_a_reply)
}
