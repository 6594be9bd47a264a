//! Ids, money and error codes that every part of iron-sdk agrees on.

mod decimal;
mod error;
mod ids;
mod money;

pub use error::ErrorCode;
pub use ids::{LeaseId, RequestId};
pub use money::{MoneyError, NanoUsd, Price, TokenCharge, charge};
