//! The `airlock` command.

use std::process::ExitCode;

use airlock_cli::{arguments::Arguments, run, usage};
use clap::Parser;

fn main() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => run(&arguments),
        Err(error) => usage(&error, std::env::args_os().skip(1)),
    }
}
