//! `iron budget release`.

use std::path::Path;

use iron_runtime::Error;
use iron_runtime::budget::Calendar;
use iron_runtime::budget::file::{LedgerFile, LossRelease};

use super::dollars;
use crate::failure::Failure;
use crate::terminal::Output;

/// Settle the leases of processes that have died, by their journals. Other processes do so too, as soon as they want
/// the money.
///
/// What a dead process had under way stays in doubt. Where the provider's own account shows that such an attempt was
/// not billed, `--in-doubt ID --not-billed` gives its money back. Where it shows that nothing of a loss was spent,
/// `--loss ID --not-spent` gives that back; not while the process that had it may live.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Resolve this attempt in doubt, as `iron budget show` numbers it.
    #[arg(long, value_name = "ID", requires = "not_billed")]
    in_doubt: Option<i64>,
    /// Confirm that the provider has not billed it.
    #[arg(long, requires = "in_doubt")]
    not_billed: bool,
    /// Release this loss, as `iron budget show` numbers it.
    #[arg(long, value_name = "ID", requires = "not_spent", conflicts_with = "in_doubt")]
    loss: Option<i64>,
    /// Confirm that nothing of it was spent.
    #[arg(long, requires = "loss")]
    not_spent: bool,
}

pub(super) fn run(options: &Options, path: &Path, file: Option<LedgerFile>) -> Result<u8, Failure> {
    let Some(mut file) = file else {
        return Err(Failure::config(format!("no ledger yet at {}", path.display())));
    };
    let calendar = Calendar::default();
    let mut output = Output::new();
    if let Some(id) = options.in_doubt {
        let resolved = file.resolve(id, &calendar).map_err(Error::Ledger)?;
        let Some(amount) = resolved else {
            let message = format!("no attempt in doubt has the number {id}: `iron budget show` lists them");
            return Err(Failure::config(message));
        };
        output.text(&format!("attempt {id} was not billed: {} USD given back\n", dollars(amount)))?;
        return Ok(0);
    }
    if let Some(id) = options.loss {
        let message = match file.release_loss(id, &calendar).map_err(Error::Ledger)? {
            LossRelease::Released(amount) => {
                output.text(&format!("loss {id} was not spent: {} USD given back\n", dollars(amount)))?;
                return Ok(0);
            }
            LossRelease::HolderLives(pid) => format!(
                "process {pid} had the lease of loss {id}, is running, and may be spending it: end it first"
            ),
            LossRelease::Unknown => format!("no loss has the number {id}: `iron budget show` lists them"),
        };
        return Err(Failure::config(message));
    }
    let found = file.recover(&calendar).map_err(Error::Ledger)?;
    if found.leases == 0 {
        output.text("no lease of a dead process\n")?;
        return Ok(0);
    }
    let leases = if found.leases == 1 { "lease of a dead process" } else { "leases of dead processes" };
    output.text(&format!("{} {leases}:\n", found.leases))?;
    for (name, amount) in [
        ("settled", found.settled),
        ("in doubt", found.in_doubt),
        ("given back", found.returned),
        ("loss", found.loss),
    ] {
        output.text(&format!("  {name:<12}{:>16}\n", dollars(amount)))?;
    }
    Ok(0)
}
