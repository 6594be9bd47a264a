//! `iron check`: whether the configuration is valid, and what it comes to.

use std::path::PathBuf;

use iron_protocol::NanoUsd;
use iron_runtime::config::{InForce, InspectedUpstream, Inspection, Sources, Strategy};

use crate::failure::Failure;
use crate::terminal::{self, Output};

/// The widest a column gets: what is longer stands out of line, alone.
const WIDEST: usize = 40;

/// Check the configuration, and print what is in force.
///
/// Each setting is shown with where it was written, each provider with where its key was found, each route with its
/// prices. What is risky is a warning; what no program could start with is an error, and exits with 1.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The configuration [default: `IRON_CONFIG`, else the nearest iron.toml or pyproject.toml].
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The profile to check [default: `IRON_PROFILE`].
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(options: Options) -> Result<u8, Failure> {
    let inspection = Inspection::new(&Sources {
        file: options.file,
        discover: true,
        profile: options.profile,
        environment: true,
        ..Sources::default()
    })?;
    let mut output = Output::new();
    if options.json {
        let json = serde_json::to_string(&inspection)
            .map_err(|error| Failure::Error { code: "internal", message: error.to_string() })?;
        output.text(&format!("{json}\n"))?;
        return Ok(0);
    }
    output.text(&report(&inspection))?;
    for warning in &inspection.warnings {
        terminal::warning(warning);
    }
    Ok(0)
}

fn report(inspection: &Inspection) -> String {
    let file = inspection.file.as_ref().map(|file| file.display().to_string());
    let mut lines = vec![file.unwrap_or_else(|| "no file: defaults, environment".to_owned())];
    if let Some(profile) = &inspection.profile {
        lines.push(format!("profile {profile}"));
    }

    lines.extend(settings(&inspection.settings));

    if !inspection.providers.is_empty() {
        lines.extend([String::new(), "providers".to_owned()]);
    }
    lines.extend(columns(inspection.providers.iter().map(|provider| {
        let key = match (&provider.key_from, &provider.missing_key) {
            (Some(place), _) => format!("key from {place}"),
            (None, Some(_)) => "key missing".to_owned(),
            (None, None) => "no key".to_owned(),
        };
        [provider.name.clone(), provider.url.clone(), key]
    })));

    if !inspection.routes.is_empty() {
        lines.extend([String::new(), "routes".to_owned()]);
    }
    for route in &inspection.routes {
        let how = match (&route.upstreams[..], route.strategy) {
            ([_], _) => "",
            (_, Strategy::Ordered) => ", in order",
            (_, Strategy::Weighted) => ", by weight",
            (_, Strategy::LeastLatency) => ", by latency",
        };
        lines.push(format!("  {}{how}{}", route.name, if route.default { " (default)" } else { "" }));
        lines.extend(columns(
            route.upstreams.iter().map(|upstream| [String::new(), upstream.model.clone(), price(upstream)]),
        ));
    }
    lines.join("\n") + "\n"
}

/// The settings below the tables that they stand in.
fn settings(settings: &[InForce]) -> Vec<String> {
    let mut sections: Vec<&str> = Vec::new();
    for setting in settings {
        if !sections.contains(&&*setting.section) {
            sections.push(&setting.section);
        }
    }
    let mut settings: Vec<&InForce> = settings.iter().collect();
    settings.sort_by_key(|setting| sections.iter().position(|section| *section == setting.section));
    let rows = columns(settings.iter().map(|setting| {
        let key = setting.key.strip_prefix(&setting.section).unwrap_or(&setting.key);
        let value = if setting.value.is_null() { "none".to_owned() } else { setting.value.to_string() };
        let origin = setting.origin.as_ref().map_or_else(|| "default".to_owned(), ToString::to_string);
        [key.trim_start_matches('.').to_owned(), value, origin]
    }));
    let mut lines = Vec::new();
    let mut section = "";
    for (setting, row) in settings.into_iter().zip(rows) {
        if lines.is_empty() || section != setting.section {
            section = &setting.section;
            lines.extend([
                String::new(),
                if section.is_empty() { "settings".to_owned() } else { format!("[{section}]") },
            ]);
        }
        lines.push(row);
    }
    lines
}

fn price(upstream: &InspectedUpstream) -> String {
    match (upstream.input_usd, upstream.output_usd) {
        (Some(NanoUsd::ZERO), Some(NanoUsd::ZERO)) => "free".to_owned(),
        (Some(input), Some(output)) => format!("${input} in, ${output} out per million tokens"),
        _ => "no known price".to_owned(),
    }
}

/// Rows with their cells below each other.
fn columns<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> Vec<String> {
    let rows: Vec<[String; N]> = rows.collect();
    let width = |column: usize| {
        let widths = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        widths.filter(|width| *width <= WIDEST).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = [["a", "bb", "c"], ["aaa", "b", "c"], [&*"x".repeat(41), "b", ""]];
        let rows = rows.map(|row| row.map(ToOwned::to_owned));
        let wide = format!("  {}  b", "x".repeat(41));
        assert_eq!(columns(rows.into_iter()), ["  a    bb  c", "  aaa  b   c", &wide]);
    }
}
