//! The `airlock` command.

use std::process::ExitCode;

use airlock_cli::{arguments::Arguments, run};
use clap::Parser;

fn main() -> ExitCode {
    run(&Arguments::parse())
}
