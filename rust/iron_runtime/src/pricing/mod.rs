//! Prices: what a call may cost before it is made, and what it did cost.

mod catalog;
mod cost;
mod estimate;
mod model;
mod rates;

pub(crate) use catalog::Catalog;
pub(crate) use cost::cost;
pub(crate) use estimate::{Bound, ChatBound, embed_bound};
pub(crate) use model::{Fees, ImageRule, LongContext, ModelPrice, Tier};
pub(crate) use rates::{Kind, Rates};
