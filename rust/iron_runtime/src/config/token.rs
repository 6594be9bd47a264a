//! Tokens of a router: shown once, and known by a digest after that.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

const DIGEST_BYTES: usize = 32;

/// By it people and scanners of secrets know a token for what it is.
const PREFIX: &str = "iron_";

/// The SHA-256 of a token, which is all that is kept of it. A token has 256 random bits: nothing slower is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; DIGEST_BYTES]);

/// A new token, and what is kept of it.
pub fn new_token() -> (String, TokenDigest) {
    let token = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; DIGEST_BYTES]>()));
    let digest = TokenDigest::of(token.as_bytes());
    (token, digest)
}

impl TokenDigest {
    /// That of a token.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }

    /// Read hexadecimal digits.
    pub(super) fn read(hex: &str) -> Option<Self> {
        let mut bytes = [0; DIGEST_BYTES];
        // A sign would be read as part of a number.
        if hex.len() != 2 * DIGEST_BYTES || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDigest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_token_is_read_again() {
        let (token, digest) = new_token();
        assert!(token.starts_with("iron_") && token.len() == 48, "{token}");
        assert_eq!(TokenDigest::read(&digest.to_string()), Some(digest));
        assert_eq!(TokenDigest::read(&digest.to_string().to_uppercase()), Some(digest));
        assert_ne!(new_token().1, digest);
    }

    #[test]
    fn what_is_no_digest_is_not_read() {
        for hex in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32), &"+1".repeat(32)] {
            assert_eq!(TokenDigest::read(hex), None, "{hex}");
        }
    }

    #[test]
    fn a_digest_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(TokenDigest::of(b"abc").to_string(), expected);
    }
}
