//! Detection: what a text holds that a policy may care about.
//!
//! A text is brought into its normal form and read once ([`view`]); the reading notes the few places where something may
//! begin, and each detector looks at its own places. All work is linear in the length of the text: whatever looks ahead
//! or back from a place looks at a bounded number of bytes.

mod account;
mod birth;
mod called;
mod checksum;
mod crypto;
mod custom;
mod encoded;
mod entity;
mod group;
mod identifier;
mod injection;
mod lexicon;
mod network;
mod normal;
mod numbers;
mod phone;
mod placeholder;
mod secret;
mod topic;
mod vendor;
mod view;
mod words;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

pub(crate) use self::called::is_label;
pub use self::called::{Detector, DetectorFault, Fault, Match};
pub(crate) use self::custom::Custom;
pub use self::entity::{Entity, Family, Known};
use self::injection::Injection;
use self::lexicon::Lexicon;
use self::normal::Normal;
use self::vendor::Vendors;
use self::view::View;
use crate::Error;

/// Something that a detector found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is.
    pub entity: Entity,
    /// Its bytes in the original text.
    pub span: Range<usize>,
    /// How sure that is, from 0 to 1.
    pub score: f32,
    /// Why: a checksum, a vendor's rule, signatures. Never the text itself.
    pub reason: Cow<'static, str>,
}

impl Finding {
    fn new(entity: Known, span: Range<usize>, score: f32, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { entity: Entity::Known(entity), span, score, reason: reason.into() }
    }
}

/// Which detectors to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each detector is asked or not, whatever the others are")]
pub(crate) struct Wanted {
    pub(crate) pii: bool,
    pub(crate) network: bool,
    pub(crate) secrets: bool,
    pub(crate) injection: bool,
}

#[cfg(test)]
impl Wanted {
    const ALL: Self = Self { pii: true, network: true, secrets: true, injection: true };
}

/// The built-in detectors, made once for the process.
#[derive(Debug)]
pub(crate) struct Detectors {
    lexicon: Lexicon,
    vendors: Vendors,
    injection: Injection,
}

impl Detectors {
    /// The built-in detectors.
    pub(crate) fn built_in() -> Result<&'static Self, Error> {
        static BUILT_IN: OnceLock<Result<Detectors, String>> = OnceLock::new();
        let built = BUILT_IN.get_or_init(|| {
            let vendors = Vendors::new()?;
            let injection = Injection::new()?;
            let lexicon = Lexicon::new(&vendors, &injection)?;
            Ok(Self { lexicon, vendors, injection })
        });
        built
            .as_ref()
            .map_err(|error| Error::Internal { message: format!("the built-in detectors: {error}") })
    }

    /// What the text holds, in order of place.
    pub(crate) fn inspect(&self, text: &str, wanted: Wanted, custom: &Custom) -> Vec<Finding> {
        let normal = Normal::of(text);
        let view = View::of(&normal.text, &self.lexicon);
        let mut findings = Vec::new();
        if wanted.secrets {
            self.vendors.find(&view, &mut findings);
            secret::find_private_keys(&view, &mut findings);
            secret::find_jwts(&view, &mut findings);
            secret::find_connections(&view, &mut findings);
            secret::find_assigned(&view, &mut findings);
        }
        if wanted.pii || wanted.network {
            numbers::find(&view, &mut findings);
            network::find_email(&view, &mut findings);
            network::find_url(&view, &mut findings);
            birth::find(&view, &mut findings);
        }
        if wanted.injection {
            self.injection.inspect(&self.lexicon, &normal, &view, &mut findings);
        }
        custom.find(&normal.text, &mut findings);
        numbers::keep_surest(&mut findings);
        for finding in &mut findings {
            finding.span = normal.original(&finding.span);
        }
        findings
    }
}

fn between(bytes: &[u8], lowest: u8, highest: u8) -> bool {
    bytes.iter().all(|byte| (lowest..=highest).contains(byte))
}
