//! Any bytes are refused or read as `serde_json` reads them, but for the rules that are stricter.

#![no_main]

#[path = "../../crates/mcp/tests/it/oracle.rs"]
mod oracle;

use airlock_mcp::{Limits, batch, error_body, parse, parse_answer};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    // Small enough for inputs of a few hundred bytes to meet them.
    for limits in [Limits::default(), Limits { depth: 5, members: 20, string_bytes: 40, ..Limits::default() }]
    {
        let verdict = parse(body, &limits);
        if let Err(difference) = oracle::compare(body, &limits, &verdict) {
            panic!("{difference}");
        }
        match verdict {
            Ok(message) => {
                assert_eq!(parse_answer(body, &limits).as_ref(), Ok(&message));
                let again = serde_json::from_slice::<Value>(body).unwrap().to_string();
                let again = parse(again.as_bytes(), &Limits::default()).unwrap();
                assert_eq!((again.kind, &again.id), (message.kind, &message.id));
                assert_eq!((&again.method, &again.name), (&message.method, &message.name));
            }
            Err(error) => {
                let _ = parse_answer(body, &limits.for_answers());
                for message in batch(body, &limits).unwrap_or_default() {
                    serde_json::from_slice::<Value>(&body[message]).unwrap();
                }
                let answer = error_body(error.id.as_ref(), error.code(), error.reason(), &[]);
                serde_json::from_slice::<Value>(&answer).unwrap();
            }
        }
    }
});
