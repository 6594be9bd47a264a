//! What a caller sends: every text of a request.

use std::collections::HashMap;

use serde_json::Value;

use super::{NAMES, Screen};
use crate::Error;
use crate::call::{ChatRequest, Content, EmbedRequest, Message, Part, Role, Text};
use crate::json::Json;
use crate::pipeline::Call;
use crate::policy::{Direction, Totals};

/// The names of tools that were called, by the ids of the calls.
type Called = HashMap<String, String>;

impl Call {
    /// Hold a chat's request against the policy: what it lets pass is left in `request`.
    ///
    /// # Errors
    /// [`Error::ContentBlocked`] if a rule refuses; [`Error::Detector`] if a detector of the user's own does not judge.
    ///
    /// # Cancel safety
    /// Dropping the future gives up what detectors of the user's own are asked.
    pub(in crate::pipeline) async fn screen_chat(&mut self, request: &mut ChatRequest) -> Result<(), Error> {
        let policies = self.hold(&request.model)?;
        let called = if policies.names_tools { called(&request.messages) } else { HashMap::new() };
        self.keep_off(request)?;
        let screened = self.screened(request, Totals::default(), |screen, request| {
            for message in &mut request.messages {
                screen.message(message, &called)?;
            }
            screen.fields(&mut request.params, Direction::Input)
        });
        self.sent = screened.await?;
        self.give();
        Ok(())
    }

    /// The same for messages that are added to a request which the policy has let pass.
    pub(in crate::pipeline) async fn screen_turn(
        &mut self,
        mut turn: Vec<Message>,
    ) -> Result<Vec<Message>, Error> {
        if !self.is_screened() {
            return Ok(turn);
        }
        let sent = std::mem::take(&mut self.sent);
        let screened = self.screened(&mut turn, sent, |screen, turn| {
            turn.iter_mut().try_for_each(|message| screen.message(message, &HashMap::new()))
        });
        self.sent = screened.await?;
        self.give();
        Ok(turn)
    }

    /// The same for embeddings.
    pub(in crate::pipeline) async fn screen_embed(
        &mut self,
        request: &mut EmbedRequest,
    ) -> Result<(), Error> {
        self.hold(&request.model)?;
        let screened = self.screened(request, Totals::default(), |screen, request| {
            for text in &mut request.input {
                screen.text(text, Direction::Input)?;
            }
            screen.fields(&mut request.params, Direction::Input)
        });
        screened.await.map(drop)
    }
}

impl Screen<'_> {
    fn message(&mut self, message: &mut Message, called: &Called) -> Result<(), Error> {
        let direction = match message.role {
            Role::Tool | Role::Function => Direction::ToolResults,
            _ => Direction::Input,
        };
        let field =
            |name: &str| message.extra.iter().find(|(field, _)| **field == *name).map(|(_, json)| json);
        let text = |name| field(name).and_then(|json| serde_json::from_str::<String>(json.as_str()).ok());
        self.tool = if direction == Direction::ToolResults && self.policies.names_tools {
            text("tool_call_id").and_then(|id| called.get(&id).cloned()).or_else(|| text("name"))
        } else {
            None
        };
        match &mut message.content {
            Content::None => {}
            Content::Text(text) => self.text(text, direction)?,
            Content::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Text { text, extra } => {
                            self.text(text, direction)?;
                            self.fields(extra, direction)?;
                        }
                        Part::Image { url, extra, .. } => {
                            if !url.starts_with("data:") {
                                self.text(url, direction)?;
                            }
                            self.fields(extra, direction)?;
                        }
                        Part::Other(json) => self.json(json, direction)?,
                    }
                }
            }
        }
        self.fields(&mut message.extra, direction)
    }

    fn fields(&mut self, fields: &mut [(Text, Json)], direction: Direction) -> Result<(), Error> {
        for (name, value) in fields {
            if !NAMES.contains(&&**name) {
                self.json(value, direction)?;
            }
        }
        Ok(())
    }
}

/// What the messages say which tools were called. Messages of tools name the call, not the tool.
fn called(messages: &[Message]) -> Called {
    let fields = messages.iter().flat_map(|message| &message.extra);
    let calls = fields
        .filter(|(name, _)| **name == *"tool_calls")
        .filter_map(|(_, calls)| serde_json::from_str::<Vec<Value>>(calls.as_str()).ok());
    let named = |call: Value| {
        let name = ["function", "custom"].into_iter().find_map(|kind| call[kind]["name"].as_str())?;
        Some((call["id"].as_str()?.to_owned(), name.to_owned()))
    };
    calls.flatten().filter_map(named).collect()
}
