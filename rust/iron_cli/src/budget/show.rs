//! `iron budget show`.

use std::fmt::Write;
use std::path::Path;

use iron_runtime::Error;
use iron_runtime::budget::file::{BudgetState, DoubtState, LeaseState, LedgerFile, LossState, PeriodState};
use iron_runtime::budget::{Calendar, Date};
use serde_json::{Value, json};

use super::{dollars, usd};
use crate::failure::Failure;
use crate::terminal::Output;

/// Show each budget: its window, its limit, what is spent, in doubt, leased and left.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only this budget.
    name: Option<String>,
    /// Windows that are over, too.
    #[arg(long)]
    all: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, path: &Path, file: Option<LedgerFile>) -> Result<u8, Failure> {
    let mut budgets = match file {
        Some(mut file) => file.budgets(&Calendar::default()).map_err(Error::Ledger)?,
        None => Vec::new(),
    };
    if let Some(name) = &options.name {
        budgets.retain(|budget| budget.name == *name);
        if budgets.is_empty() {
            return Err(Failure::config(format!("{} has no budget {name:?}", path.display())));
        }
    }
    for budget in &mut budgets {
        let over = |period: &PeriodState| {
            // What is in doubt, lost or leased still matters when its window is over.
            !(period.is_current
                || !period.leases.is_empty()
                || !period.doubts.is_empty()
                || !period.losses.is_empty())
        };
        budget.periods.retain(|period| options.all || !over(period));
    }
    let shown = if options.json {
        format!("{}\n", json(path, &budgets))
    } else if budgets.is_empty() {
        format!("no shared budget yet in {}\n", path.display())
    } else {
        table(path, &budgets)
    };
    Output::new().text(&shown)?;
    Ok(0)
}

/// In lines of 80 columns at most, but for names and paths that are longer.
pub(super) fn table(path: &Path, budgets: &[BudgetState]) -> String {
    let mut text = format!("{}\n", path.display());
    for budget in budgets {
        for period in &budget.periods {
            show_period(&mut text, budget, period);
        }
        if budget.periods.is_empty() {
            line(&mut text, format_args!("\n{} ({}), not used in this window", budget.name, budget.window));
            line(&mut text, format_args!("  {:<12}{:>16}", "limit", dollars(budget.limit)));
        }
    }
    text
}

fn show_period(text: &mut String, budget: &BudgetState, period: &PeriodState) {
    let amounts = period.amounts;
    line(text, format_args!("\n{} ({})", budget.name, when(budget, period)));
    let leases = match period.leases.len() {
        0 => String::new(),
        1 => "  in 1 lease".to_owned(),
        many => format!("  in {many} leases"),
    };
    for (name, amount, note) in [
        ("limit", amounts.deposited, ""),
        ("settled", amounts.settled, ""),
        ("in doubt", amounts.in_doubt, ""),
        ("loss", amounts.loss, "  perhaps spent: it has no trace"),
        ("open", amounts.open, leases.as_str()),
        ("expired", amounts.expired, "  not spent when the window was over"),
        ("available", amounts.available, ""),
        ("overage", amounts.overage, "  billed beyond the limit"),
    ] {
        let always = matches!(name, "limit" | "settled" | "available") && (period.is_current || amount > 0);
        if always || amount != 0 {
            line(text, format_args!("  {name:<12}{:>16}{note}", dollars(amount)));
        }
    }
    for lease in &period.leases {
        line(text, format_args!("    lease {}", describe_lease(lease)));
    }
    for doubt in &period.doubts {
        line(text, format_args!("    {}", describe_doubt(doubt)));
    }
    for loss in &period.losses {
        line(text, format_args!("    {}", describe_loss(loss)));
    }
}

fn when(budget: &BudgetState, period: &PeriodState) -> String {
    match budget.window {
        iron_runtime::budget::Window::Lifetime => "lifetime".to_owned(),
        window => format!(
            "{window}, {} to {}{}",
            Date::of_second(period.span.starts),
            Date::of_second(period.span.ends),
            if period.is_current { "" } else { ", over" }
        ),
    }
}

fn describe_lease(lease: &LeaseState) -> String {
    let owner = if lease.is_alive { "pid" } else { "dead, was pid" };
    format!(
        "of {}: {} spent, {} held, {owner} {}, {}",
        dollars(lease.granted),
        dollars(lease.spent),
        dollars(lease.held),
        lease.pid,
        age(lease.age_seconds)
    )
}

fn describe_doubt(doubt: &DoubtState) -> String {
    format!("in doubt #{}: {}, call {}", doubt.id, dollars(doubt.amount), doubt.request)
}

fn describe_loss(loss: &LossState) -> String {
    let holder = if loss.may_live { "pid" } else { "dead, was pid" };
    format!("loss #{}: {}, {holder} {}", loss.id, dollars(loss.amount), loss.pid)
}

fn age(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

fn json(path: &Path, budgets: &[BudgetState]) -> Value {
    let budgets: Vec<Value> = budgets
        .iter()
        .map(|budget| {
            json!({
                "name": budget.name,
                "window": budget.window,
                "limit_usd": usd(budget.limit),
                "windows": budget.periods.iter().map(period).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({"ledger": path.display().to_string(), "budgets": budgets})
}

fn period(period: &PeriodState) -> Value {
    let amounts = period.amounts;
    let ends = |second: i64| (second.unsigned_abs() < i64::MAX.unsigned_abs()).then_some(second);
    json!({
        "starts": ends(period.span.starts),
        "ends": ends(period.span.ends),
        "is_current": period.is_current,
        "limit_usd": usd(amounts.deposited),
        "settled_usd": usd(amounts.settled),
        "in_doubt_usd": usd(amounts.in_doubt),
        "loss_usd": usd(amounts.loss),
        "open_usd": usd(amounts.open),
        "expired_usd": usd(amounts.expired),
        "available_usd": usd(amounts.available),
        "overage_usd": usd(amounts.overage),
        "leases": period.leases.iter().map(|lease| json!({
            "id": lease.id,
            "pid": lease.pid,
            "is_alive": lease.is_alive,
            "age_seconds": lease.age_seconds,
            "granted_usd": usd(lease.granted),
            "spent_usd": usd(lease.spent),
            "held_usd": usd(lease.held),
        })).collect::<Vec<_>>(),
        "in_doubt": period.doubts.iter().map(|doubt| json!({
            "id": doubt.id,
            "amount_usd": usd(doubt.amount),
            "request_id": doubt.request,
            "noticed_at": doubt.noticed_at,
        })).collect::<Vec<_>>(),
        "losses": period.losses.iter().map(|loss| json!({
            "id": loss.id,
            "amount_usd": usd(loss.amount),
            "pid": loss.pid,
            "may_live": loss.may_live,
            "noticed_at": loss.noticed_at,
        })).collect::<Vec<_>>(),
    })
}
