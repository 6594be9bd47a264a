//! Id newtypes.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An id of its own type: UUID version 7, so that ids sort by the time they were made.
macro_rules! id {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, larger than those made before.
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id of those bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id! {
    /// One governed call, from admission to audit; the same in errors, replies and provider headers.
    RequestId
}

id! {
    /// One lease: made by whoever asks for it, so that asking twice is asking once.
    LeaseId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_sort_by_age() {
        let ids: Vec<_> = (0..1_000).map(|_| RequestId::new()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn an_id_says_what_it_is_of() {
        let id = LeaseId::from_bytes([1; 16]);
        assert_eq!(format!("{id:?}"), "LeaseId(01010101-0101-0101-0101-010101010101)");
        assert_eq!(id.to_string(), "01010101-0101-0101-0101-010101010101");
    }
}
