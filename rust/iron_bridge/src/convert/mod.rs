//! Python values as the core's types.

mod fault;
mod intake;
mod json;
pub(crate) mod money;
pub(crate) mod options;
mod part;
pub(crate) mod request;

pub(crate) use fault::Fault;
pub(crate) use intake::Intake;
