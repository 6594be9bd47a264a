//! Validators: a caller's own word on an output, beyond its form.

use std::fmt::Debug;

use futures::future::BoxFuture;

use crate::Cause;
use crate::call::Text;
use crate::schema::Violation;

/// A caller's own word on an output.
///
/// It is asked about the text of each choice once that has the form which the request asks for.
pub trait OutputValidator: Debug + Send + Sync {
    /// Look at a text.
    ///
    /// # Cancel safety
    /// The future is dropped where its answer came too late, or the caller has given up.
    fn validate(&self, text: Text) -> BoxFuture<'static, Validity>;
}

/// What a validator says.
#[derive(Debug)]
pub enum Validity {
    /// It is what the caller wants.
    Valid,
    /// It is not.
    Invalid(Objection),
    /// Nobody can tell, for this reason, which says nothing of the text. The model could not repair it.
    Unknown(Cause),
}

/// What a validator has against a text.
#[derive(Debug, Default)]
pub struct Objection {
    /// Where it is something else: nothing of the text.
    pub violations: Vec<Violation>,
    /// What the model is told in their place, if that is something else: it may quote the text.
    pub told: Vec<Violation>,
    /// What lies behind it.
    pub cause: Option<Cause>,
}
