//! Events in the words of `iron_sdk._happened`.

use iron_runtime::{Happened, Leased};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::convert::money;

/// Put the event's fields into `fields`; what comes back is its kind.
pub(super) fn describe(what: &Happened, fields: &Bound<'_, PyDict>) -> PyResult<&'static str> {
    let py = fields.py();
    let id = |id: &iron_protocol::RequestId| fields.set_item("request_id", id.to_string());
    Ok(match what {
        Happened::Started { request_id, operation, model, agent, tags, budgets } => {
            id(request_id)?;
            fields.set_item("operation", operation.as_str())?;
            fields.set_item("model", model)?;
            fields.set_item("agent", agent.as_deref())?;
            fields.set_item("tags", PyTuple::new(py, tags.iter().map(|tag| &**tag))?)?;
            fields.set_item("budgets", PyTuple::new(py, budgets.iter().map(|name| &**name))?)?;
            "started"
        }
        Happened::Retried { request_id, upstream, attempt, code, wait } => {
            id(request_id)?;
            fields.set_item("upstream", &**upstream)?;
            fields.set_item("attempt", attempt)?;
            fields.set_item("code", code.as_str())?;
            fields.set_item("wait", wait.as_secs_f64())?;
            "retried"
        }
        Happened::FellBack { request_id, from, to, code } => {
            id(request_id)?;
            fields.set_item("upstream", &**from)?;
            fields.set_item("next_upstream", &**to)?;
            fields.set_item("code", code.as_str())?;
            "fell_back"
        }
        Happened::Repaired { request_id, upstream, repair, violations } => {
            id(request_id)?;
            fields.set_item("upstream", &**upstream)?;
            fields.set_item("repair", repair)?;
            fields.set_item("violations", violations)?;
            "repaired"
        }
        Happened::Finished { request_id, upstream, usage, cost, settlement, attempts, timing } => {
            id(request_id)?;
            fields.set_item("upstream", &**upstream)?;
            fields.set_item("usage", PyTuple::new(py, usage.counts())?)?;
            fields.set_item("cost", money::text(*cost))?;
            fields.set_item("settlement", settlement.as_str())?;
            fields.set_item("attempts", attempts)?;
            fields.set_item("timing", crate::reply::seconds(timing))?;
            "finished"
        }
        Happened::Refused { request_id, code, budget } => {
            id(request_id)?;
            fields.set_item("code", code.as_str())?;
            fields.set_item("budget", budget)?;
            "refused"
        }
        Happened::Failed { request_id, code, upstream, attempts, cost } => {
            id(request_id)?;
            fields.set_item("code", code.as_str())?;
            fields.set_item("upstream", upstream)?;
            fields.set_item("attempts", attempts)?;
            fields.set_item("cost", money::text(*cost))?;
            "failed"
        }
        Happened::Cancelled { request_id, attempts, cost } => {
            id(request_id)?;
            fields.set_item("attempts", attempts)?;
            fields.set_item("cost", money::text(*cost))?;
            "cancelled"
        }
        Happened::BreakerOpened { upstream } => {
            fields.set_item("upstream", &**upstream)?;
            "breaker_opened"
        }
        Happened::BreakerClosed { upstream } => {
            fields.set_item("upstream", &**upstream)?;
            "breaker_closed"
        }
        Happened::BudgetLow(budget) => {
            fields.set_item("budget", &*budget.name)?;
            fields.set_item("limit", money::text(budget.limit))?;
            fields.set_item("spent", money::text(budget.spent()))?;
            fields.set_item("remaining", money::text(budget.remaining()))?;
            "budget_low"
        }
        what => return describe_lease(what, fields),
    })
}

fn describe_lease(what: &Happened, fields: &Bound<'_, PyDict>) -> PyResult<&'static str> {
    Ok(match what {
        Happened::LeaseTaken { lease, renewal } => {
            of_lease(lease, fields)?;
            fields.set_item("renewal", renewal)?;
            "lease_taken"
        }
        Happened::LeaseClosed { lease, spent, returned, why } => {
            of_lease(lease, fields)?;
            fields.set_item("spent", money::text(*spent))?;
            fields.set_item("returned", money::text(*returned))?;
            fields.set_item("reason", why.as_str())?;
            "lease_closed"
        }
        Happened::LeaseRecovered { lease, found } => {
            of_lease(lease, fields)?;
            fields.set_item("pid", found.pid)?;
            fields.set_item("settled", money::text(found.settled))?;
            fields.set_item("in_doubt", money::text(found.in_doubt))?;
            fields.set_item("returned", money::text(found.returned))?;
            fields.set_item("lost", money::text(found.lost))?;
            "lease_recovered"
        }
        Happened::LeaseLost { lease } => {
            of_lease(lease, fields)?;
            "lease_lost"
        }
        // What Python has no class for yet is passed over there.
        _ => "",
    })
}

fn of_lease(lease: &Leased, fields: &Bound<'_, PyDict>) -> PyResult<()> {
    fields.set_item("lease_id", lease.id.to_string())?;
    fields.set_item("budget", &*lease.budget)?;
    fields.set_item("window", lease.window.as_str())?;
    fields.set_item("amount", money::text(lease.granted))
}
