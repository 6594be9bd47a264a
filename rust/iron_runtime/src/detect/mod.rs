//! Detection: what a text holds that a policy may care about.
//!
//! A text is brought into its normal form and read once ([`view`]); the reading notes the few places where something may
//! begin, and each detector looks at its own places. All work is linear in the length of the text: whatever looks ahead
//! or back from a place looks at a bounded number of bytes.

mod account;
mod ahead;
mod assignment;
mod birth;
mod body;
mod called;
mod character;
mod checksum;
mod connection;
mod crypto;
mod custom;
mod encoded;
mod entity;
mod group;
mod highest;
mod identifier;
mod injection;
mod lexicon;
mod national;
mod network;
mod normal;
mod numbers;
mod password;
mod phone;
mod phrase;
mod placeholder;
mod plan;
mod secret;
mod topic;
mod vat;
mod vendor;
mod view;
mod window;
mod words;
mod work;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

pub(crate) use self::called::is_label;
pub use self::called::{Detector, DetectorFault, Fault, Match};
pub(crate) use self::character::is_unsegmented;
pub(crate) use self::custom::Custom;
pub use self::entity::{Entity, Family, Known};
use self::injection::Injection;
use self::lexicon::Lexicon;
use self::normal::Normal;
use self::vendor::Vendors;
#[cfg(test)]
pub(crate) use self::vendor::keys;
use self::view::View;
pub(crate) use self::window::{OwnWaits, Waits};
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

/// What a text holds, in order of place.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What the built-in detectors found.
    pub(crate) built_in: Vec<Finding>,
    /// What each configuration's own lists and patterns found, with its number.
    pub(crate) custom: Vec<(usize, Finding)>,
}

/// Which detectors to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each detector is asked or not, whatever the others are")]
pub(crate) struct Wanted {
    pub(crate) pii: bool,
    pub(crate) network: bool,
    pub(crate) secrets: bool,
    pub(crate) injection: bool,
}

impl Wanted {
    #[cfg(test)]
    const ALL: Self = Self { pii: true, network: true, secrets: true, injection: true };

    /// What either wants.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            pii: self.pii || other.pii,
            network: self.network || other.network,
            secrets: self.secrets || other.secrets,
            injection: self.injection || other.injection,
        }
    }
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

    /// What the text holds.
    pub(crate) fn inspect<'c>(
        &self,
        text: &str,
        wanted: Wanted,
        customs: impl Iterator<Item = &'c Custom>,
    ) -> Found {
        let normal = Normal::of(text);
        let view = View::of(&normal.text, &self.lexicon);
        self.find(&normal, &view, wanted, customs)
    }

    fn find<'c>(
        &self,
        normal: &Normal<'_>,
        view: &View<'_>,
        wanted: Wanted,
        customs: impl Iterator<Item = &'c Custom>,
    ) -> Found {
        let mut findings = Vec::new();
        if wanted.secrets {
            self.vendors.find(view, &mut findings);
            secret::find_private_keys(view, &mut findings);
            secret::find_jwts(view, &mut findings);
            connection::find_urls(view, &mut findings);
            password::find_assigned(view, &mut findings);
            password::find_authorization(view, &mut findings);
            password::find_curl(view, &mut findings);
        }
        if wanted.pii || wanted.network {
            numbers::find(view, &mut findings);
            network::find_email(view, &mut findings);
            network::find_url(view, &mut findings);
            birth::find(view, &mut findings);
        }
        if wanted.injection {
            self.injection.inspect(&self.lexicon, normal, view, &mut findings);
        }
        settle(normal, &mut findings);
        debug_assert!(
            findings.iter().all(
                |found| matches!(found.entity, Entity::Known(known) if found.score <= known.highest_score())
            ),
            "a score is higher than the highest there is"
        );
        let mut own = Vec::new();
        for (number, custom) in customs.enumerate() {
            let mut found = Vec::new();
            custom.find(&normal.text, &mut found);
            settle(normal, &mut found);
            own.extend(found.into_iter().map(|finding| (number, finding)));
        }
        Found { built_in: findings, custom: own }
    }
}

/// Keep the surest of what overlaps, and say where in the original it is.
fn settle(normal: &Normal<'_>, findings: &mut Vec<Finding>) {
    numbers::keep_surest(findings);
    for finding in findings {
        finding.span = normal.original(&finding.span);
    }
}

fn between(bytes: &[u8], lowest: u8, highest: u8) -> bool {
    bytes.iter().all(|byte| (lowest..=highest).contains(byte))
}
