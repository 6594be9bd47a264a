//! What can be wrong with a log, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::audit::digest::Digest;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The number of the record that is said to stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What is wrong.
    #[serde(flatten)]
    pub wrong: Wrong,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Wrong {
    /// A line is not as it was written.
    Altered,
    /// A line is not of a record.
    Foreign,
    /// Records are missing before this one.
    Missing {
        /// The first of them.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A file is missing, and records with it.
    FileMissing {
        /// The first of them.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The records that a chain begins with are missing.
    BeginningMissing {
        /// The first that is there.
        first: u64,
    },
    /// A record stands where another belongs.
    Moved,
    /// A record stands a second time.
    Copied,
    /// Two records have one number: one of them is none of the log's.
    Inserted,
    /// A record does not follow the one before it.
    Unlinked,
    /// Records are missing at the end.
    Cut {
        /// The first of them.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The record is not the one that the head counts.
    Rewritten,
    /// The head is missing or cannot be read.
    Headless,
    /// The head is not sealed by the key.
    Unsealed,
    /// A record that has to be there is not.
    Unpinned {
        /// Its hash.
        hash: Digest,
    },
}

impl Problem {
    pub(super) fn of(file: &Path, wrong: Wrong) -> Self {
        Self { file: file.to_owned(), line: None, seq: None, wrong }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(seq) = self.seq {
            write!(f, "record {seq} ")?;
        }
        write!(f, "{}", self.wrong)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = |first: &u64, last: &u64| {
            if first == last { format!("record {first}") } else { format!("records {first} to {last}") }
        };
        match self {
            Self::Altered => f.write_str("was altered: its bytes are not those of its hash"),
            Self::Foreign => f.write_str("a line that is no record"),
            Self::Missing { first, last } => {
                write!(f, "comes too early: {} before it missing", records(first, last))
            }
            Self::FileMissing { first, last } => {
                write!(f, "the file is missing, with {}", records(first, last))
            }
            Self::BeginningMissing { first } => {
                write!(f, "all before record {first} is missing, and no record tells that it was deleted")
            }
            Self::Moved => f.write_str("is not in its place"),
            Self::Copied => f.write_str("stands a second time"),
            Self::Inserted => f.write_str("stands beside another of its number: one of them was inserted"),
            Self::Unlinked => f.write_str("does not follow the one before it: one of the two was rewritten"),
            Self::Cut { first, last } => write!(f, "{} missing at the end", records(first, last)),
            Self::Rewritten => f.write_str("is not the one that was counted: the log was rewritten"),
            Self::Headless => f.write_str(
                "the head is missing or cannot be read: whether the end was cut off cannot be told",
            ),
            Self::Unsealed => f.write_str("the head is not sealed by this key"),
            Self::Unpinned { hash } => {
                write!(f, "no record has the hash {hash}: the log was cut off or rewritten")
            }
        }
    }
}
