//! Routes: which upstreams answer for a model, and in what order.

mod fallback;
mod select;
mod table;

pub(crate) use fallback::{Stop, Trip};
pub(crate) use select::Route;
pub(crate) use table::RouteTable;
