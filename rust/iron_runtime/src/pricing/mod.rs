//! Prices: what a call may cost before it is made, and what it did cost.

mod built_in;
mod catalog;
mod cost;
mod estimate;
mod model;
mod rates;

pub use catalog::{Catalog, PricedModel};
pub(crate) use cost::cost;
pub use estimate::Estimate;
pub(crate) use estimate::{Bound, ChatBound, embed_bound};
pub use model::{Fees, ImageRule, LongContext, ModelKind, ModelPrice, Tier};
pub use rates::{Kind, Rates};
