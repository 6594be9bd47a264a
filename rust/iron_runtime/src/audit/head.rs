//! The head of a chain: how far it goes, so that an end that was cut off is missed.
//!
//! It is written in place, within one sector of a disk, after the records that it counts; so it is never ahead of them
//! but by loss of power. With a key it is sealed: who lacks the key cannot write one for a chain of his own making.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, Key};
use super::record::Link;

/// Always so long: a shorter one would leave the end of the one before.
const BYTES: usize = 480;

/// How far a chain goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The version of its form.
    v: u32,
    /// The chain.
    pub chain: String,
    /// The file of its last record.
    pub segment: u64,
    /// The number of its last record.
    pub seq: u64,
    /// The hash of that.
    pub hash: Digest,
    /// The name of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The seal: HMAC-SHA256 of chain, number and hash under the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<Digest>,
}

/// What the seal of a head is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    /// It was made with the key.
    Good,
    /// It was not made with the key, or there is none.
    Bad,
    /// No key was given to check it with, or none was used.
    Unchecked,
}

impl Head {
    pub(super) fn new(chain: &str, segment: u64, last: Link, key: Option<&Key>) -> Self {
        Self {
            v: super::record::VERSION,
            chain: chain.to_owned(),
            segment,
            seq: last.seq,
            hash: last.hash,
            key_id: key.map(Key::id),
            mac: key.map(|key| key.digest(&sealed(chain, last))),
        }
    }

    pub(super) fn link(&self) -> Link {
        Link { seq: self.seq, hash: self.hash }
    }

    pub(super) fn seal(&self, key: Option<&Key>) -> Seal {
        match (key, &self.mac) {
            (None, _) => Seal::Unchecked,
            (Some(key), Some(mac)) if *mac == key.digest(&sealed(&self.chain, self.link())) => Seal::Good,
            _ => Seal::Bad,
        }
    }

    /// Read the head in `file`; `None` if there is nothing in it yet, or nothing that could be one.
    pub(super) fn read(mut file: &File) -> io::Result<Option<Self>> {
        let mut text = Vec::new();
        file.rewind()?;
        file.take(BYTES as u64).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text).ok())
    }

    /// The head of a chain that may be in use.
    pub(super) fn look(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Self::read(&file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, mut file: &File) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.resize(BYTES - 1, b' ');
        text.push(b'\n');
        file.rewind()?;
        file.write_all(&text)
    }
}

fn sealed(chain: &str, last: Link) -> Vec<u8> {
    format!("iron audit head\n{chain}\n{}\n{}\n", last.seq, last.hash).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_written_and_sealed_by_its_key_alone() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Head::read(&file).unwrap(), None);
        let last = Link { seq: u64::MAX, hash: Digest::of(b"x") };
        let (key, other) = (Key::new(b"k").unwrap(), Key::new(b"o").unwrap());
        Head::new("000", u64::MAX, last, Some(&key)).write(&file).unwrap();
        let mut head = Head::read(&file).unwrap().unwrap();
        assert_eq!(head.link(), last);
        assert_eq!(
            [Some(&key), Some(&other), None].map(|key| head.seal(key)),
            [Seal::Good, Seal::Bad, Seal::Unchecked]
        );
        head.seq -= 1;
        assert_eq!(head.seal(Some(&key)), Seal::Bad);
        Head::new("000", 1, last, None).write(&file).unwrap();
        assert_eq!(Head::read(&file).unwrap().unwrap().seal(Some(&key)), Seal::Bad);
    }
}
