//! Addresses of Bitcoin and Ethereum.

use sha2::Sha256;
use sha3::{Digest, Keccak256};

use super::Finding;
use super::entity::Known;
use super::view::View;

/// Add the address that is the run at `start..end`.
pub(super) fn find(view: &View<'_>, (start, end): (usize, usize), findings: &mut Vec<Finding>) {
    let run = &view.text[start..end];
    let found = match (run.as_bytes(), run.len()) {
        ([b'0', b'x', ..], 42) => ethereum(&run[2..]),
        ([b'1' | b'3', ..], 26..=35) => base58check(run).then_some((0.98, "Base58Check checksum")),
        ([b'b' | b'B', b'c' | b'C', b'1', ..], 42 | 62) => {
            bech32::segwit::decode(run).is_ok().then_some((1.0, "Bech32 checksum"))
        }
        _ => None,
    };
    if let Some((score, reason)) = found {
        findings.push(Finding::new(Known::Crypto, start..end, score, reason));
    }
}

/// EIP-55: a letter is capital where the hash of the small letters has a digit of 8 or more.
fn ethereum(hex: &str) -> Option<(f32, &'static str)> {
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let small = hex.to_ascii_lowercase();
    let one_case = hex == small || hex == hex.to_ascii_uppercase();
    if one_case {
        let varied = hex.bytes().filter(|byte| *byte != b'0').count() > 10;
        return varied.then_some((0.6, "form, without a checksum"));
    }
    let hash = Keccak256::digest(small.as_bytes());
    let right =
        hex.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphabetic()).all(|(index, byte)| {
            let nibble = hash[index / 2] >> (if index % 2 == 0 { 4 } else { 0 }) & 0xf;
            byte.is_ascii_uppercase() == (nibble >= 8)
        });
    right.then_some((1.0, "EIP-55 checksum"))
}

/// Bitcoin's checksum on base 58: a version byte, twenty bytes, and four of a double SHA-256.
fn base58check(run: &str) -> bool {
    let Ok(decoded) = bs58::decode(run).into_vec() else { return false };
    let Some((body, checksum)) = decoded.split_last_chunk::<4>() else { return false };
    // P2PKH and P2SH on the main network.
    let known = body.len() == 21 && matches!(body[0], 0 | 5);
    known && Sha256::digest(Sha256::digest(body))[..4] == *checksum
}
