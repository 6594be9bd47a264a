//! Wire formats: one module each.

pub(crate) mod openai;
