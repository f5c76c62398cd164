//! How fast a message is read, validated and classified, beside `serde_json`.
//!
//! `scripts/bench` runs this program twice: natively, and as WebAssembly in V8, as Envoy does.

mod bodies;
mod measure;

use std::fmt::{self, Write};
use std::hint::black_box;
use std::process::ExitCode;

use airlock_mcp::{Class, Limits, parse};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::bodies::{HOSTILE_SHAPES, TYPICAL, USUAL, USUAL_SHAPES};
use crate::measure::{Reader, seconds_each};

/// What a gateway written with `serde_json` would read: what it decides on, and the rest as checked text.
#[derive(Deserialize)]
struct Typed<'a> {
    jsonrpc: String,
    id: u64,
    method: String,
    #[serde(borrow)]
    params: TypedParams<'a>,
}

#[derive(Deserialize)]
struct TypedParams<'a> {
    name: String,
    #[serde(borrow)]
    arguments: &'a RawValue,
    #[serde(borrow, rename = "_meta")]
    meta: &'a RawValue,
}

/// What `--check` holds the numbers against. Ratios: they hold on any machine, and where others work on it too.
mod bounds {
    const IN_V8: bool = cfg!(target_arch = "wasm32");

    /// Times the speed of `serde_json` into a `Value`, for the typical body. Measured: 2.5 in V8, 1.7 natively.
    pub(crate) const TYPICAL_TO_VALUE: f64 = if IN_V8 { 1.8 } else { 1.2 };
    /// Times the speed of `serde_json` into types, which looks for no name given twice, for every body that is usual.
    /// Measured: 1.0 and more in V8, 0.6 and more natively.
    pub(crate) const USUAL_TO_TYPED: f64 = if IN_V8 { 0.75 } else { 0.4 };
    /// Time per byte at 1 MB, in times of that at 16 KB. Measured: 1.1.
    pub(crate) const GROWTH: f64 = 2.0;
    /// Time per byte of a hostile body of 1 MB, in times of the typical one of that size. Measured: up to 30.
    pub(crate) const HOSTILE: f64 = 60.0;
}

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let limits = Limits { members: 1_000_000, ..Limits::default() };
    let mut report = Report::default();
    report.usual(&limits);
    report.sizes(&limits);
    report.hostile(&limits);
    emit(&report.text);
    for failure in &report.failures {
        emit(&format!("too slow: {failure}\n"));
    }
    if check && !report.failures.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[derive(Default)]
struct Report {
    text: String,
    failures: Vec<String>,
}

impl Report {
    fn usual(&mut self, limits: &Limits) {
        self.line(format_args!(
            "{:<36} {:>8} {:>8} {:>9}   {:>8} {:>8} {:>8}",
            "tools/call of 16 KB", "x typed", "x Value", "bytes", "MB/s", "typed", "Value"
        ));
        for (index, shape) in USUAL_SHAPES.iter().enumerate() {
            let body = shape.body(USUAL);
            let ours = || read(&body, limits);
            let typed = || read_typed(&body);
            let value = || read_value(&body);
            let readers: [Reader<'_>; 3] = [&ours, &typed, &value];
            let [ours, typed, value] = seconds_each(readers).map(|seconds| body.len() as f64 / seconds / 1e6);
            self.line(format_args!(
                "{:<36} {:>8.2} {:>8.2} {:>9}   {ours:>8.0} {typed:>8.0} {value:>8.0}",
                shape.name,
                ours / typed,
                ours / value,
                body.len()
            ));
            self.expect(ours / typed >= bounds::USUAL_TO_TYPED, shape.name, "beside serde_json into types");
            if index == 0 {
                self.expect(
                    ours / value >= bounds::TYPICAL_TO_VALUE,
                    shape.name,
                    "beside serde_json into Value",
                );
            }
        }
    }

    fn sizes(&mut self, limits: &Limits) {
        let sizes = [1 << 10, 4 << 10, USUAL, 64 << 10, 256 << 10, 1 << 20];
        let bodies = sizes.map(|size| TYPICAL.body(size));
        let readers = [0, 1, 2, 3, 4, 5].map(|index: usize| {
            let body = bodies.get(index).map_or(&[][..], Vec::as_slice);
            move || read(body, limits)
        });
        let readers: [Reader<'_>; 6] = readers.each_ref().map(|reader| reader as Reader<'_>);
        let seconds = seconds_each(readers);
        let mut per_byte = seconds;
        for (cost, body) in per_byte.iter_mut().zip(&bodies) {
            *cost /= body.len() as f64;
        }
        let [_, _, usual, _, _, largest] = per_byte;
        self.line(format_args!(
            "\n{:<36} {:>8} {:>8}   {:>8}",
            "typical, by size", "x 16 KB", "bytes", "MB/s"
        ));
        for (cost, body) in per_byte.iter().zip(&bodies) {
            let label = format!("{} KB, time per byte", body.len() >> 10);
            self.line(format_args!(
                "{label:<36} {:>8.2} {:>8}   {:>8.0}",
                cost / usual,
                body.len(),
                1e-6 / cost
            ));
        }
        self.expect(largest / usual <= bounds::GROWTH, "1 MB", "per byte, beside 16 KB");
    }

    fn hostile(&mut self, limits: &Limits) {
        self.line(format_args!("\n{:<36} {:>9} {:>8}", "hostile, 1 MB, time per byte", "x typical", "MB/s"));
        let typical = TYPICAL.body(1 << 20);
        for shape in &HOSTILE_SHAPES {
            let body = shape.body(1 << 20);
            let [usual, seconds] = seconds_each([&|| read(&typical, limits), &|| read(&body, limits)]);
            let (usual, cost) = (usual / typical.len() as f64, seconds / body.len() as f64);
            self.line(format_args!("{:<36} {:>9.1} {:>8.0}", shape.name, cost / usual, 1e-6 / cost));
            self.expect(cost / usual <= bounds::HOSTILE, shape.name, "per byte, beside the typical body");
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{line}");
    }

    fn expect(&mut self, holds: bool, subject: &str, what: &str) {
        if !holds {
            self.failures.push(format!("{subject}, {what}"));
        }
    }
}

fn read(body: &[u8], limits: &Limits) -> bool {
    parse(black_box(body), limits)
        .is_ok_and(|message| message.class() == Class::Write && message.is_tool_call())
}

fn read_typed(body: &[u8]) -> bool {
    serde_json::from_slice::<Typed<'_>>(black_box(body)).is_ok_and(|call| {
        call.jsonrpc == "2.0"
            && call.id == 17
            && Class::of(&call.method) == Class::Write
            && call.params.name == "write_file"
            && call.params.arguments.get().len() > call.params.meta.get().len()
    })
}

fn read_value(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(black_box(body))
        .is_ok_and(|call| call.get("method").and_then(Value::as_str).map(Class::of) == Some(Class::Write))
}

#[expect(clippy::print_stdout, reason = "a table on standard output is what this program is for")]
fn emit(text: &str) {
    print!("{text}");
}
