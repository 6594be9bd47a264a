//! Validators: a caller's own word on an output, beyond its form.

use std::fmt::Debug;

use futures::future::BoxFuture;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It is what the caller wants.
    Valid,
    /// It is not, in these places. They are told to the model, and must hold nothing that it may not read.
    Invalid(Vec<Violation>),
    /// Nobody can tell, for this reason. The model could not repair it.
    Unknown(String),
}
