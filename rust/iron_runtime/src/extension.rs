//! Extensions: what a program adds to its client in code.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::Error;
use crate::detect::is_label;
use crate::policy::{Detector, Direction, PolicySet};

/// What a program adds to its client in code.
#[derive(Clone, Default)]
pub struct Extensions {
    detectors: BTreeMap<String, Arc<dyn Detector>>,
}

impl Extensions {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Add a detector, which rules name as `detector:NAME`.
    ///
    /// # Errors
    /// [`Error::Config`] if the name is not 1 to 64 letters, digits, `_`, `-` and `.`.
    pub fn detector(mut self, name: &str, detector: impl Detector + 'static) -> Result<Self, Error> {
        if !is_label(name) {
            return Err(Error::config(format!(
                "detectors: {name:?} cannot be a name: give 1 to 64 letters, digits, \"_\", \"-\" and \".\""
            )));
        }
        self.detectors.insert(name.to_owned(), Arc::new(detector));
        Ok(self)
    }

    /// The detector that rules name.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none.
    pub(crate) fn named(&self, name: &str) -> Result<&Arc<dyn Detector>, Error> {
        self.detectors.get(name).ok_or_else(|| {
            let known = self.detectors.keys().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            Error::config(format!(
                "a rule names detector:{name}, which the client does not have: \
                 give it as one of its detectors by that name (it has {known})"
            ))
        })
    }

    /// # Errors
    /// As [`Extensions::named`], for each detector that the policy's rules name.
    pub(crate) fn check(&self, policy: Option<&PolicySet>) -> Result<(), Error> {
        let directions = Direction::ALL.into_iter();
        let names = policy.into_iter().flat_map(|policy| directions.clone().flat_map(|to| policy.called(to)));
        names.into_iter().try_for_each(|name| self.named(name).map(drop))
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("detectors", &self.detectors.keys()).finish()
    }
}
