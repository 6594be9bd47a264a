//! Routes: which upstreams answer for a model, and in what order.

mod table;

pub(crate) use table::{Route, RouteTable};
