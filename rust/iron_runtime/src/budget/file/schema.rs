//! The tables of a ledger file, and how older ones become those.

use std::path::Path;

use rusqlite::{Connection, Result, TransactionBehavior};

use crate::budget::fault::LedgerFault;

/// "Iron", so that a file of another program is not taken for a ledger.
const APPLICATION: i64 = 0x4972_6f6e;

/// What leads from each version to the next; a new file begins at the first.
const MIGRATIONS: [&str; 2] = [VERSION_1, VERSION_2];

/// Amounts are nano-dollars, times are seconds since 1970. In `lease`, what is granted is all there: open, settled,
/// in doubt, or given back. In `period`, a row that breaks the identity of its accounts is refused.
const VERSION_1: &str = "
CREATE TABLE budget (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    every TEXT NOT NULL CHECK (every IN ('lifetime', 'monthly', 'weekly', 'daily')),
    maximum INTEGER NOT NULL CHECK (maximum >= 0),
    UNIQUE (name, every)
) STRICT;

CREATE TABLE period (
    id INTEGER PRIMARY KEY,
    budget INTEGER NOT NULL REFERENCES budget (id),
    starts INTEGER NOT NULL,
    ends INTEGER NOT NULL CHECK (ends > starts),
    deposited INTEGER NOT NULL CHECK (deposited >= 0),
    overage INTEGER NOT NULL CHECK (overage >= 0),
    available INTEGER NOT NULL CHECK (available >= 0),
    open INTEGER NOT NULL CHECK (open >= 0),
    settled INTEGER NOT NULL CHECK (settled >= 0),
    in_doubt INTEGER NOT NULL CHECK (in_doubt >= 0),
    loss INTEGER NOT NULL CHECK (loss >= 0),
    expired INTEGER NOT NULL CHECK (expired >= 0),
    claimed_until INTEGER NOT NULL DEFAULT 0,
    UNIQUE (budget, starts),
    CHECK (deposited + overage = available + open + settled + in_doubt + loss + expired)
) STRICT;

CREATE TABLE lease (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    period INTEGER NOT NULL REFERENCES period (id),
    holder BLOB NOT NULL CHECK (length(holder) = 16),
    pid INTEGER NOT NULL,
    boot TEXT,
    opened_at INTEGER NOT NULL,
    granted INTEGER NOT NULL CHECK (granted > 0),
    open INTEGER NOT NULL CHECK (open >= 0),
    settled INTEGER NOT NULL CHECK (settled >= 0),
    in_doubt INTEGER NOT NULL CHECK (in_doubt >= 0),
    returned INTEGER NOT NULL CHECK (returned >= 0),
    overage INTEGER NOT NULL CHECK (overage >= 0),
    CHECK (granted = open + settled + in_doubt + returned)
) STRICT, WITHOUT ROWID;

CREATE INDEX lease_by_period ON lease (period);

CREATE TABLE doubt (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    period INTEGER NOT NULL REFERENCES period (id),
    lease BLOB NOT NULL CHECK (length(lease) = 16),
    attempt INTEGER NOT NULL,
    request BLOB NOT NULL CHECK (length(request) = 16),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    noticed_at INTEGER NOT NULL,
    resolved_at INTEGER,
    UNIQUE (lease, attempt)
) STRICT;

CREATE INDEX doubt_by_period ON doubt (period);
";

/// Each loss by itself, so that it can be released. Of those before nobody knows more than that their processes are not of
/// this boot, or left no journal.
const VERSION_2: &str = "
CREATE TABLE loss (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    period INTEGER NOT NULL REFERENCES period (id),
    lease BLOB NOT NULL UNIQUE CHECK (length(lease) = 16),
    pid INTEGER NOT NULL,
    boot TEXT,
    is_dead INTEGER NOT NULL CHECK (is_dead IN (0, 1)),
    amount INTEGER NOT NULL CHECK (amount > 0),
    noticed_at INTEGER NOT NULL,
    released_at INTEGER
) STRICT;

CREATE INDEX loss_by_period ON loss (period);

INSERT INTO loss (period, lease, pid, boot, is_dead, amount, noticed_at)
SELECT id, randomblob(16), 0, NULL, 1, loss, 0 FROM period WHERE loss > 0;
";

/// Set the connection up, and bring the file to the newest version.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> std::result::Result<(), LedgerFault> {
    let wrong = |error| LedgerFault::sqlite(path, error);
    // Told before anything is written: a file of another program stays as it is.
    check_owner(connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(wrong)?;
    // Full: a commit waits for the disk. A grant that a loss of power undoes would be spent and never recorded.
    connection.pragma_update(None, "synchronous", "FULL").map_err(wrong)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(wrong)?;
    if version(connection).map_err(wrong)? < MIGRATIONS.len() {
        migrate(connection).map_err(wrong)?;
    }
    Ok(())
}

fn check_owner(connection: &Connection, path: &Path) -> std::result::Result<(), LedgerFault> {
    let wrong = |error| LedgerFault::sqlite(path, error);
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(wrong)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(wrong)?;
    let version = version(connection).map_err(wrong)?;
    if application != APPLICATION && (application != 0 || tables != 0) {
        return Err(LedgerFault::new(
            path,
            "is a database of another program: name another file in budget.ledger",
        ));
    }
    if version > MIGRATIONS.len() {
        return Err(LedgerFault::new(
            path,
            format!(
                "has version {version}, and this iron-sdk knows up to {}: update it, or name another file",
                MIGRATIONS.len()
            ),
        ));
    }
    Ok(())
}

/// Write what is there: a change that changes nothing, and is in SQLite's log all the same.
pub(super) fn rewrite_version(connection: &Connection) -> Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}

fn version(connection: &Connection) -> Result<usize> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Each step in one transaction with the number of its version; another process may have been faster.
fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (number, step) in MIGRATIONS.iter().enumerate().skip(version(&transaction)?) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", i64::try_from(number + 1).unwrap_or(i64::MAX))?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.commit()
}
