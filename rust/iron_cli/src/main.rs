//! The native `iron`: every command but the demo.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(iron_cli::run_without_python(std::env::args_os().skip(1)))
}
