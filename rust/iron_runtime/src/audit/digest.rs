//! Digests: SHA-256, plain and keyed.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

const BYTES: usize = 32;
/// So many characters in hexadecimal.
pub(super) const DIGITS: usize = 2 * BYTES;
/// So many digits name a key or a configuration.
const SHORT: usize = 16;

/// A SHA-256 digest, in hexadecimal where it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; BYTES]);

impl Digest {
    /// What stands where no record comes before.
    pub const NONE: Self = Self([0; BYTES]);

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Its first digits, for names.
    pub(crate) fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(SHORT);
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            *pair = [digit(byte >> 4), digit(byte & 0xf)];
        }
        f.write_str(str::from_utf8(&digits).unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; BYTES];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != BYTES || !rest.is_empty() {
            return Err("is not 64 digits long");
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let both = digit(*high).zip(digit(*low)).ok_or("has other characters than 0-9 and a-f")?;
            *byte = both.0 << 4 | both.1;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A key for digests that nobody can make, or guess a text by, without it.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// A key of any length; `None` if it is empty.
    pub fn new(secret: &[u8]) -> Option<Self> {
        let mac = Hmac::new_from_slice(secret).ok().filter(|_| !secret.is_empty());
        mac.map(Self)
    }

    /// HMAC-SHA256 of `text`.
    pub fn digest(&self, text: &[u8]) -> Digest {
        Digest(self.0.clone().chain_update(text).finalize().into_bytes().into())
    }

    /// What the key is called, which tells nothing of it.
    pub(super) fn id(&self) -> String {
        self.digest(b"iron audit key").short()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(Digest::of(b"")));
        // RFC 4231, test case 2.
        let keyed = Key::new(b"Jefe").unwrap().digest(b"what do ya want for nothing?");
        assert_eq!(keyed.to_string(), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!("E3".parse::<Digest>().is_err() && empty.to_uppercase().parse::<Digest>().is_err());
        assert!(Key::new(b"").is_none());
    }
}
