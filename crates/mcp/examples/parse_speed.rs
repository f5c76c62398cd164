//! Prints how fast messages are read on this machine, as the fastest of many short batches:
//! `cargo run --release --example parse_speed`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use airlock_mcp::{Limits, parse};

fn main() -> std::io::Result<()> {
    let prose = "The quarterly figures are attached, and the totals differ from those of last week. ";
    let source = "fn main() {\\n\\tlet path = \\\"C:\\\\\\\\data\\\";\\n}\\n";
    let cases = [
        ("16 KB tools/call, plain text", tool_call(&format!("\"text\":\"{}\"", prose.repeat(195)))),
        ("16 KB tools/call, escaped source code", tool_call(&format!("\"text\":\"{}\"", source.repeat(320)))),
        (
            "16 KB tools/call, Japanese",
            tool_call(&format!("\"text\":\"{}\"", "今期の数字を添付します。".repeat(450))),
        ),
        ("16 KB tools/call, records", tool_call(&format!("\"rows\":[{}]", records(150)))),
        ("200 B tools/call", tool_call("\"city\":\"Oslo\",\"days\":3")),
        ("100,000 members in one object", tool_call(&members(99_000))),
    ];
    for (name, body) in cases {
        report(name, &body)?;
    }
    Ok(())
}

fn tool_call(arguments: &str) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{{"name":"report.send","arguments":{{{arguments}}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    )
    .into_bytes()
}

fn records(count: usize) -> String {
    let record = |index| {
        format!(
            r#"{{"id":{index},"name":"Ada Lovelace","email":"ada{index}@example.com","amount":{}.25,"paid":true,"tags":["a","b"]}}"#,
            index * 7
        )
    };
    (0..count).map(record).collect::<Vec<_>>().join(",")
}

fn members(count: usize) -> String {
    (0..count).map(|index| format!(r#""member{index}":{index}"#)).collect::<Vec<_>>().join(",")
}

fn report(name: &str, body: &[u8]) -> std::io::Result<()> {
    use std::io::Write;

    let limits = Limits { members: 1_000_000, ..Limits::default() };
    let started = Instant::now();
    let mut fastest = Duration::MAX;
    while started.elapsed() < Duration::from_secs(1) {
        let batch = Instant::now();
        for _ in 0..8 {
            black_box(parse(black_box(body), &limits)).map_err(std::io::Error::other)?;
        }
        fastest = fastest.min(batch.elapsed());
    }
    let each = fastest / 8;
    let speed = body.len() as f64 / each.as_secs_f64() / 1e6;
    writeln!(std::io::stdout(), "{name}: {} bytes, {each:?}, {speed:.0} MB/s", body.len())
}
