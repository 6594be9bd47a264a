//! The keyword arguments of a call: bounds that are ours, and fields of the request.

use std::time::Duration;

use iron_protocol::NanoUsd;
use iron_runtime::policy::PolicySet;
use iron_runtime::{CallContext, Json, Text};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyTuple};

use super::intake::utf8;
use super::json::python_name;
use super::request::{mapping, string};
use super::{Fault, Intake, money};
use crate::budget::Budget;
use crate::policy::Policy;
use crate::run::Run;

/// A year; longer would overflow no clock, but is surely milliseconds taken for seconds.
const MAX_TIMEOUT_SECONDS: f64 = 366.0 * 86_400.0;

/// What the keyword arguments of a call say.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) model: Option<String>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) n: Option<u32>,
    pub(crate) params: Vec<(Text, Json)>,
    timeout: Option<Duration>,
    max_cost: Option<NanoUsd>,
    max_attempts: Option<u32>,
    policy: Option<PolicySet>,
    pub(crate) validate_output: Option<bool>,
    pub(crate) max_repairs: Option<u32>,
}

impl Options {
    pub(crate) fn read(intake: &mut Intake, given: &Bound<'_, PyDict>) -> Result<Self, Fault> {
        let mut options = Self::default();
        for (name, value) in given {
            if value.is_none() {
                continue;
            }
            let name = string(&name, "only text as name of an argument")?;
            let name = utf8(&name)?;
            options.take(intake, name, &value).map_err(|fault| fault.at(name))?;
        }
        Ok(options)
    }

    fn take(&mut self, intake: &mut Intake, name: &str, value: &Bound<'_, PyAny>) -> Result<(), Fault> {
        match name {
            "model" => self.model = Some(model(value)?),
            "timeout" => self.timeout = Some(seconds(value)?),
            "max_cost" => self.max_cost = Some(money::amount(value)?),
            "max_attempts" => self.max_attempts = Some(count(value)?),
            "policy" => self.policy = Some(policy(value)?),
            "validate_output" => self.validate_output = Some(switch(value)?),
            "max_repairs" => self.max_repairs = Some(repairs(value)?),
            "n" => self.n = Some(count(value)?),
            // Two names of one bound.
            "max_tokens" | "max_completion_tokens" => {
                let most = count(value)?;
                if self.max_tokens.is_some_and(|other| other != most) {
                    return Err(Fault::wrong(
                        "differs between max_tokens and max_completion_tokens, which are the same bound; give one",
                    ));
                }
                self.max_tokens = Some(most);
            }
            "stream" => {
                return Err(Fault::wrong("is not an argument; call stream(...) instead of chat(...)"));
            }
            "extra_body" => {
                for (name, value) in &mapping(value, "a dict of further request fields")? {
                    let name = string(&name, "only text as key of a dict")?;
                    let name = utf8(&name)?;
                    if matches!(name, "messages" | "input" | "extra_body") {
                        return Err(Fault::wrong("is an argument of its own, not a further field").at(name));
                    }
                    self.take(intake, name, &value).map_err(|fault| fault.at(name))?;
                }
            }
            _ => self.params.push((Text::from(name), intake.json(value)?)),
        }
        Ok(())
    }

    /// The bounds of the call, on top of what holds it by the blocks that it is made in, innermost first.
    pub(crate) fn context(&self, scope: &Bound<'_, PyTuple>) -> PyResult<CallContext> {
        let mut context = CallContext::new();
        context.timeout = self.timeout;
        context.max_cost = self.max_cost;
        context.max_attempts = self.max_attempts;
        context.validate_output = self.validate_output;
        context.max_repairs = self.max_repairs;
        context.policies.extend(self.policy.clone());
        for holder in scope {
            if let Ok(budget) = holder.cast::<Budget>() {
                context.budgets.push(Budget::of(budget)?);
            } else if let Ok(policy) = holder.cast::<Policy>() {
                context.policies.push(Policy::of(policy)?);
            } else if context.run.is_none() {
                context.run = Some(Run::of(holder.cast()?)?);
            }
        }
        Ok(context)
    }
}

fn policy(value: &Bound<'_, PyAny>) -> Result<PolicySet, Fault> {
    let native = value.getattr("_native").ok();
    match native.as_ref().and_then(|native| native.cast::<Policy>().ok()) {
        Some(policy) => Ok(Policy::of(policy)?),
        None => Err(Fault::kind(value, "a policy made by iron.policy(...)")),
    }
}

fn model(value: &Bound<'_, PyAny>) -> Result<String, Fault> {
    const RIGHT: &str = "text such as \"openai/gpt-6-luna\", or an alias from the configuration";
    let name = string(value, RIGHT)?;
    match utf8(&name)? {
        "" => Err(Fault::wrong(format!("is empty; give {RIGHT}"))),
        name => Ok(name.to_owned()),
    }
}

fn seconds(value: &Bound<'_, PyAny>) -> Result<Duration, Fault> {
    const RIGHT: &str = "seconds as a number above 0";
    let is_number = value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>();
    if !is_number || value.is_instance_of::<PyBool>() {
        return Err(Fault::kind(value, RIGHT));
    }
    let seconds: f64 = value.extract().unwrap_or(f64::INFINITY);
    if !seconds.is_finite() {
        return Err(Fault::wrong(format!("is {}; give {RIGHT}", python_name(seconds))));
    }
    if seconds > MAX_TIMEOUT_SECONDS {
        return Err(Fault::wrong(format!("is {seconds}, more than a year; give {RIGHT}")));
    }
    let timeout = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if timeout.is_zero() { Err(Fault::wrong(format!("is {seconds}; give {RIGHT}"))) } else { Ok(timeout) }
}

fn switch(value: &Bound<'_, PyAny>) -> Result<bool, Fault> {
    match value.cast::<PyBool>() {
        Ok(given) => Ok(given.is_true()),
        Err(_) => Err(Fault::kind(value, "True or False")),
    }
}

fn repairs(value: &Bound<'_, PyAny>) -> Result<u32, Fault> {
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        // None is a number of them that `count` does not take.
        return if value.eq(0)? { Ok(0) } else { count(value) };
    }
    Err(Fault::kind(value, "how many repairs there may be, from 0 on"))
}

fn count(value: &Bound<'_, PyAny>) -> Result<u32, Fault> {
    const RIGHT: &str = "a whole number from 1 to 4294967295";
    if !value.is_instance_of::<PyInt>() || value.is_instance_of::<PyBool>() {
        return Err(Fault::kind(value, RIGHT));
    }
    match value.extract::<u32>() {
        Ok(0) | Err(_) => {
            let shown: String =
                value.repr().map_or_else(|_| "out of range".to_owned(), |repr| repr.to_string());
            Err(Fault::wrong(format!("is {}; give {RIGHT}", shown.chars().take(40).collect::<String>())))
        }
        Ok(number) => Ok(number),
    }
}
