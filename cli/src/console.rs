use std::io::{self, Write};

use serde_json::Value;

use crate::{arguments::Format, failure::Failure};

/// A number of things, such as `1 receipt` or `2 receipts`.
pub fn counted(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// Where results and errors go: each in the form for people or in the one for programs.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    format: Format,
}

impl Console {
    /// A console that prints in `format`.
    pub fn new(format: Format) -> Self {
        Self { format }
    }

    /// Prints a result. A reader that has gone away is no reason to fail.
    pub fn print(&self, text: &str, json: &Value) {
        let mut output = io::stdout().lock();
        let _ = match self.format {
            Format::Text => writeln!(output, "{text}"),
            Format::Json => writeln!(output, "{json}"),
        };
        let _ = output.flush();
    }

    /// Prints what went wrong to standard error.
    pub fn fail(&self, failure: &Failure) {
        let mut output = io::stderr().lock();
        let _ = match self.format {
            Format::Text => writeln!(output, "{}", failure.render()),
            Format::Json => writeln!(output, "{}", failure.to_json()),
        };
    }
}
