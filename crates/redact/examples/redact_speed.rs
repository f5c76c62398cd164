//! How fast JSON is searched: `cargo run --release -p airlock-redact --example redact_speed`.
#![expect(clippy::print_stdout, reason = "the numbers are what this program is for")]

use std::{hint::black_box, time::Instant};

use airlock_redact::{Class, NotJson, Redactor};

const ROUNDS: u32 = 20_000;

fn main() -> Result<(), NotJson> {
    for (name, findings, has_escapes) in [
        ("clean", 0, false),
        ("clean, with line breaks", 0, true),
        ("10 findings", 10, false),
        ("10 findings, with line breaks", 10, true),
    ] {
        measure(name, document(findings, has_escapes).as_bytes())?;
    }
    Ok(())
}

fn measure(name: &str, json: &[u8]) -> Result<(), NotJson> {
    let redactor = Redactor::new(&[Class::Email, Class::Card]);
    let found: u32 = redactor.json(json)?.findings.iter().map(|(_, count)| count).sum();
    let started = Instant::now();
    for _ in 0..ROUNDS {
        black_box(redactor.json(black_box(json))?);
    }
    let seconds = started.elapsed().as_secs_f64() / f64::from(ROUNDS);
    let bytes = json.len();
    let (speed, time) = (bytes as f64 / seconds / 1e6, seconds * 1e6);
    println!("{name:32} {bytes} bytes, {found} found: {speed:.0} MB/s, {time:.1} µs");
    Ok(())
}

/// A tool result of about 16 KB: records with short fields and a paragraph of text each.
fn document(findings: usize, has_escapes: bool) -> String {
    let line_break = if has_escapes { "\\n" } else { " " };
    let records: Vec<String> = (0..68)
        .map(|number| {
            let contact = match number {
                _ if number >= findings => "none",
                _ if number % 2 == 0 => "bob@example.com",
                _ => "4111 1111 1111 1111",
            };
            format!(
                "{{\"id\":{number},\"created\":\"2025-06-18T10:{number:02}:00Z\",\"total\":1{number}.95,\"open\":true,\
                 \"contact\":\"{contact}\",\"note\":\"The parcel left the warehouse at 7:45 and reached the depot,{line_break}\
                 where it waits for customs. Reference 2025-{number:04}-88.{line_break}The driver calls an hour before.\"}}"
            )
        })
        .collect();
    format!("{{\"content\":[{}]}}", records.join(","))
}
