//! A value that a placeholder stands for: overwritten when it goes, and never shown.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::scan::Form;

/// Clones share the text.
#[derive(Clone)]
pub(super) struct Value(Arc<Zeroizing<Box<str>>>);

impl Value {
    pub(super) fn new(text: &str) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// Write the value into a text of that form.
    pub(super) fn write(&self, form: Form, into: &mut String) {
        let text: &str = &self.0;
        match form {
            Form::Plain => into.push_str(text),
            Form::Json => {
                let quoted = Zeroizing::new(serde_json::Value::from(text).to_string());
                into.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
    }
}

impl Borrow<str> for Value {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As `str` does it: looked up by it.
        Borrow::<str>::borrow(self).hash(state);
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(***)")
    }
}
