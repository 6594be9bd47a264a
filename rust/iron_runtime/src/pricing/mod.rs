//! Prices: what a call may cost before it is made, and what it did cost.

mod catalog;
mod cost;
mod estimate;

pub(crate) use catalog::{Catalog, ImageRule, ModelPrice, Rates, Tier};
pub(crate) use cost::cost;
pub(crate) use estimate::{Bound, ChatBound, embed_bound};
