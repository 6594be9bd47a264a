//! Output: what a caller wants the text of a reply to be, and whether it is that.

mod flaw;
mod form;
mod invalid;
mod repair;
mod said;
mod validator;
mod wanted;

#[cfg(test)]
mod tests;

pub(crate) use self::flaw::Flaw;
pub(crate) use self::form::Form;
pub use self::invalid::OutputInvalid;
pub(crate) use self::repair::turn;
pub(crate) use self::said::text;
pub use self::validator::{Objection, OutputValidator, Validity};
pub(crate) use self::wanted::Wanted;
