//! What a reservation holds: an amount on each budget of its chain, and parts of leases.

use super::NodeId;
use crate::budget::attempt::{Ending, Part};

/// An amount that is held on a whole chain.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::budget) struct Held<J> {
    pub(in crate::budget) amount: i64,
    /// On which leases, for the budgets that have some; those of one budget stand together.
    pub(in crate::budget) parts: Vec<(NodeId, Part<J>)>,
}

impl<J> Held<J> {
    /// Each part with what `ending` of the whole means to it.
    pub(in crate::budget) fn endings(
        &self,
        ending: Ending,
    ) -> impl Iterator<Item = (NodeId, &Part<J>, Ending)> {
        self.parts.chunk_by(|one, other| one.0 == other.0).flat_map(move |parts| {
            let amounts: Vec<i64> = parts.iter().map(|(_, part)| part.amount).collect();
            let endings = ending.share_out(&amounts);
            parts.iter().zip(endings).map(|((node, part), ending)| (*node, part, ending))
        })
    }
}
