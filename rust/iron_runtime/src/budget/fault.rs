//! Why a ledger file cannot be used.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

const BUSY: &str = "is locked by another program for longer than 5 s: end it, or try again";

const DAMAGED: &str = "is damaged or no ledger: restore it from a backup, or move it away to begin anew";

/// A ledger file that cannot be read or written. Nothing was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the ledger {} {what}", path.display())]
pub struct LedgerFault {
    path: PathBuf,
    /// What is wrong, and what to do.
    what: String,
    retryable: bool,
    #[source]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl LedgerFault {
    /// Something that will not pass by itself.
    pub(super) fn new(path: &Path, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into(), retryable: false, source: None }
    }

    /// It holds no accounts that could be read.
    pub(super) fn damaged(path: &Path) -> Self {
        Self::new(path, DAMAGED)
    }

    /// Another process has it.
    pub(super) fn busy(path: &Path) -> Self {
        Self { retryable: true, ..Self::new(path, BUSY) }
    }

    /// What the operating system would not do.
    pub(super) fn io(path: &Path, doing: &str, error: io::Error) -> Self {
        let what = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("cannot be used, because the disk is full ({doing}): make room")
            }
            io::ErrorKind::FileTooLarge => {
                format!(
                    "cannot be used, because a file of this process may not grow further ({doing}): raise `ulimit -f`"
                )
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                format!("cannot be used ({doing}): this user may not write there")
            }
            _ => format!("cannot be used ({doing})"),
        };
        let retryable = !matches!(error.kind(), io::ErrorKind::PermissionDenied);
        Self { path: path.into(), what, retryable, source: Some(Arc::new(error)) }
    }

    /// What SQLite would not do.
    pub(super) fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let code = error.sqlite_error_code();
        let what = match code {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => BUSY,
            Some(ErrorCode::DiskFull) => "cannot be written, because the disk is full: make room",
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                "cannot be written: give this user the right to, or name another file in budget.ledger"
            }
            Some(ErrorCode::CannotOpen) => "cannot be opened: is its directory there and writable?",
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => DAMAGED,
            Some(ErrorCode::ConstraintViolation) => {
                "refuses a change that would break its accounts: `iron budget verify` says more; please report it"
            }
            Some(ErrorCode::SystemIoFailure) => {
                "cannot be read or written: see whether its disk is full or fails, or `ulimit -f` is reached"
            }
            _ => "cannot be used",
        };
        let retryable = matches!(
            code,
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
            )
        );
        Self { path: path.into(), what: what.to_owned(), retryable, source: Some(Arc::new(error)) }
    }

    /// Whether trying again may help, with nothing changed.
    pub fn retryable(&self) -> bool {
        self.retryable
    }

    /// The ledger file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
