//! Why the audit log cannot be written.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A log that cannot be written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the audit log in {} {what}", directory.display())]
pub struct AuditFault {
    directory: PathBuf,
    /// What is wrong, and what to do.
    what: String,
    retryable: bool,
    #[source]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl AuditFault {
    /// Something that will not pass by itself.
    pub(super) fn new(directory: &Path, what: impl Into<String>) -> Self {
        Self { directory: directory.into(), what: what.into(), retryable: false, source: None }
    }

    /// More calls are in flight, or wait to be written, than the log has places.
    pub(super) fn full(directory: &Path) -> Self {
        let what =
            "has no place for another call: its disk is slower than the calls; wait, or make fewer at once";
        Self { retryable: true, ..Self::new(directory, what) }
    }

    /// What the operating system would not do.
    pub(super) fn io(directory: &Path, doing: &str, error: io::Error) -> Self {
        let what = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                format!(
                    "cannot be written, because the disk is full or a limit is reached ({doing}): make room"
                )
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                format!("cannot be written ({doing}): this user may not write there")
            }
            _ => format!("cannot be written ({doing})"),
        };
        let retryable = !matches!(error.kind(), io::ErrorKind::PermissionDenied);
        Self { directory: directory.into(), what, retryable, source: Some(Arc::new(error)) }
    }

    /// What the operating system would not let be read.
    pub(super) fn unreadable(path: &Path, error: io::Error) -> Self {
        let what = format!("cannot be read: {error}");
        Self { source: Some(Arc::new(error)), ..Self::new(path, what) }
    }

    /// Whether trying again may help, with nothing changed.
    pub fn retryable(&self) -> bool {
        self.retryable
    }

    /// The directory of the log.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}
