//! The directory of a log: what its files are called, and who may read them.
//!
//! A chain is `chain-000.000001.jsonl`, `chain-000.000002.jsonl` and so on, its seal `chain-000.head`.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// More processes than these cannot write one log at once.
pub(super) const MOST_CHAINS: u16 = 1_000;
/// The key of content digests, where the configuration names none.
pub(super) const KEY_FILE: &str = "content.key";

/// One file of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

/// The name of a chain.
pub(super) fn chain(number: u16) -> String {
    format!("{number:03}")
}

pub(super) fn head(directory: &Path, chain: &str) -> PathBuf {
    directory.join(format!("chain-{chain}.head"))
}

pub(super) fn segment(directory: &Path, chain: &str, number: u64) -> Segment {
    Segment { number, path: directory.join(format!("chain-{chain}.{number:06}.jsonl")) }
}

/// Where bytes that are no record are put aside.
pub(super) fn torn(segment: &Path) -> PathBuf {
    segment.with_extension("torn")
}

/// Make the directory, for this user alone.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// For this user alone.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// See that the names in a directory last.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The chains of a directory by name, each with its files in order.
pub(super) fn chains(directory: &Path) -> io::Result<Vec<(String, Vec<Segment>)>> {
    let mut chains = std::collections::BTreeMap::<String, Vec<Segment>>::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(rest) = name.strip_prefix("chain-") else { continue };
        if let Some(chain) = rest.strip_suffix(".head") {
            chains.entry(chain.to_owned()).or_default();
        } else if let Some((chain, number)) =
            rest.strip_suffix(".jsonl").and_then(|rest| rest.split_once('.'))
            && let Ok(number) = number.parse()
        {
            chains.entry(chain.to_owned()).or_default().push(Segment { number, path });
        }
    }
    let ordered = |(chain, mut segments): (String, Vec<Segment>)| {
        segments.sort_unstable_by_key(|segment| segment.number);
        (chain, segments)
    };
    Ok(chains.into_iter().map(ordered).collect())
}

/// The files of one chain, in order.
pub(super) fn segments(directory: &Path, chain: &str) -> io::Result<Vec<Segment>> {
    let found = chains(directory)?.into_iter().find(|(name, _)| name == chain);
    Ok(found.map(|(_, segments)| segments).unwrap_or_default())
}
