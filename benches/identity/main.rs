//! What it costs to find out who calls: CPU of Envoy for each request, beside Envoy's own `jwt_authn`.
//!
//! `scripts/bench identity` runs this program.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a measurement that cannot go on stops"
)]

mod envoy;
mod keys;
mod load;
mod variants;

use std::{collections::BTreeMap, process::ExitCode};

use crate::{
    envoy::Envoy,
    load::{Client, ask, serve},
    variants::{Variant, variants},
};

/// Rounds of which the median counts. All variants take turns in each, so that what else the machine does meets all.
const ROUNDS: usize = 9;

/// Microseconds of CPU for each request, by round.
type Measured = BTreeMap<&'static str, Vec<f64>>;

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let variants = variants();
    let filters: Vec<_> = variants.iter().map(|variant| (variant.name, variant.filter.clone())).collect();
    let envoy = Envoy::start(serve(), &filters);
    for variant in &variants {
        prove(&envoy, variant);
    }
    let measured = measure(&envoy, &variants);
    let (table, failures) = report(&variants, &measured);
    emit(&table);
    for failure in &failures {
        emit(&format!("too slow: {failure}\n"));
    }
    if check && !failures.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// That the filter is at work: without it nothing is measured.
fn prove(envoy: &Envoy, variant: &Variant) {
    let Variant { name, filter, calls, .. } = variant;
    let listener = envoy.listeners[*name];
    let status = |request: &[u8]| ask(listener, request).status;
    for request in calls.requests(1) {
        assert_eq!(status(&request), 200, "{name}: a good call\n{}", envoy.log());
    }
    if filter.is_none() {
        return;
    }
    for (what, request) in calls.wrong() {
        assert_eq!(status(&request), 401, "{name}: {what}");
    }
    if let Some(request) = calls.once() {
        assert_eq!([status(&request), status(&request)], [200, 401], "{name}: a call and its replay");
    }
}

fn measure(envoy: &Envoy, variants: &[Variant]) -> Measured {
    let clients = variants.iter().map(|variant| Client::connect(envoy.listeners[variant.name]));
    let mut clients: Vec<_> = clients.collect();
    let mut measured = Measured::new();
    for round in 0..=ROUNDS {
        for index in 0..variants.len() {
            let index = (index + round) % variants.len();
            let (variant, client) = (&variants[index], &mut clients[index]);
            let requests = variant.calls.requests(variant.count);
            let before = envoy.cpu();
            client.send(&requests, variant.count);
            let used = (envoy.cpu() - before).as_secs_f64();
            // The first round opens connections and fills caches.
            if round > 0 {
                let all = measured.entry(variant.name).or_default();
                all.push(used * 1e6 / variant.count as f64);
            }
        }
    }
    measured
}

/// The table, and what is out of its bounds.
fn report(variants: &[Variant], measured: &Measured) -> (String, Vec<String>) {
    let mut failures = Vec::new();
    let mut table = format!(
        "{:<32} {:>10} {:>10} {:>12} {:>12}\n",
        "CPU of Envoy", "us/request", "us added", "x jwt_authn", "x its part"
    );
    let plain = &measured[variants[0].name];
    for variant in variants {
        let ours = &measured[variant.name];
        let added = each(ours, plain, |ours, plain| ours - plain);
        let mut row = format!("{:<32} {:>10.1} {:>10.1}", variant.name, median(ours), median(&added));
        if let Some((native, limit)) = variant.beside {
            let native = &measured[native];
            let whole = median(&each(ours, native, |ours, native| ours / native));
            let native_added = each(native, plain, |native, plain| native - plain);
            let part = median(&added) / median(&native_added);
            row += &format!(" {whole:>12.2} {part:>12.2}");
            if limit.is_some_and(|limit| whole > limit) {
                failures.push(format!("{}, {whole:.2} times as much", variant.name));
            }
        }
        table += row.trim_end();
        table.push('\n');
    }
    (table, failures)
}

fn each(one: &[f64], other: &[f64], of: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| of(*one, *other)).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[expect(clippy::print_stdout, reason = "a table on standard output is what this program is for")]
fn emit(text: &str) {
    print!("{text}");
}
