//! What a caller sends: every text of a request.

use super::{NAMES, Screen};
use crate::Error;
use crate::call::{ChatRequest, Content, EmbedRequest, Message, Part, Role, Text};
use crate::json::Json;
use crate::pipeline::Call;
use crate::policy::{Direction, PolicySet};

impl Call {
    /// Hold a chat's request against the policy: what it lets pass is left in `request`.
    ///
    /// # Errors
    /// [`Error::ContentBlocked`] if a rule refuses; [`Error::Config`] for a stream whose text no rule could hold back.
    ///
    /// # Cancel safety
    /// Dropping the future gives up what detectors of the user's own are asked.
    pub(in crate::pipeline) async fn screen_chat(
        &mut self,
        request: &mut ChatRequest,
        stream: bool,
    ) -> Result<(), Error> {
        let policies = self.policies.clone();
        if let Some(rule) = policies.iter().find_map(PolicySet::acts_on_output).filter(|_| stream) {
            return Err(Error::config(format!(
                "rule {rule:?} acts on output, which it cannot do once a stream has shown it: \
                 use chat, or give the rule direction = [\"input\", \"tool_results\"]"
            )));
        }
        let screened = self.screened(request, |screen, request| {
            for message in &mut request.messages {
                screen.message(message)?;
            }
            screen.fields(&mut request.params, Direction::Input)
        });
        screened.await
    }

    /// The same for embeddings.
    pub(in crate::pipeline) async fn screen_embed(
        &mut self,
        request: &mut EmbedRequest,
    ) -> Result<(), Error> {
        let screened = self.screened(request, |screen, request| {
            for text in &mut request.input {
                screen.text(text, Direction::Input)?;
            }
            screen.fields(&mut request.params, Direction::Input)
        });
        screened.await
    }
}

impl Screen<'_> {
    fn message(&mut self, message: &mut Message) -> Result<(), Error> {
        let direction = match message.role {
            Role::Tool | Role::Function => Direction::ToolResults,
            _ => Direction::Input,
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
