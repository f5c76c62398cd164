//! A stream cut anywhere gives the same events, no byte is lost, and new data is what a client reads.

#![no_main]

use airlock_mcp::sse::{Event, Splitter};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 16;

fn split(chunks: &[&[u8]]) -> Option<(Vec<Event>, Vec<u8>)> {
    let mut splitter = Splitter::new(LIMIT);
    let mut events = Vec::new();
    for chunk in chunks {
        events.extend(splitter.push(chunk).ok()?);
        assert!(splitter.pending() <= LIMIT);
    }
    Some((events, splitter.into_pending()))
}

/// What a client sees: the data of each event.
fn data(events: &[Event]) -> Vec<Vec<u8>> {
    events.iter().filter_map(|event| event.data().map(|data| data.into_owned())).collect()
}

fuzz_target!(|input: &[u8]| {
    // The first bytes say where the stream is cut and what the new data is.
    let Some((head, stream)) = input.split_at_checked(8) else { return };
    let Some((whole, rest)) = split(&[stream]) else { return };
    let raw: Vec<u8> = whole.iter().flat_map(|event| event.raw().to_vec()).chain(rest).collect();
    assert_eq!(raw, stream);

    let single: Vec<&[u8]> = stream.chunks(1).collect();
    let mut cuts: Vec<usize> = head.iter().map(|&byte| usize::from(byte).min(stream.len())).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    let some: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
    for chunks in [single, some] {
        let (cut, rest) = split(&chunks).unwrap();
        let raw: Vec<u8> = cut.iter().flat_map(|event| event.raw().to_vec()).chain(rest).collect();
        assert_eq!(raw, stream);
        assert_eq!(data(&cut), data(&whole));
    }

    let joined = String::from_utf8_lossy(head).replace("\r\n", "\n").replace('\r', "\n").into_bytes();
    // A comment before any field is an event of its own, which has no place for data.
    let is_comment = |event: &Event| {
        let raw = event.raw();
        raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw).starts_with(b":")
    };
    for (index, event) in whole.iter().enumerate().filter(|(_, event)| !is_comment(event)) {
        let changed = event.with_data(String::from_utf8_lossy(head).as_bytes());
        // A byte-order mark means something at the start of a stream only.
        let before: &[u8] = if index == 0 { b"" } else { b"\n" };
        let (events, rest) = split(&[before, &changed]).unwrap();
        assert!(rest.is_empty());
        assert_eq!(data(&events), [joined.clone()]);
    }
});
