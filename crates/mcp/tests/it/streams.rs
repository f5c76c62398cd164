//! Event streams: cut, passed on, changed.

use airlock_mcp::sse::{Event, EventTooLong, Splitter};
use proptest::prelude::*;

fn split(chunks: &[&[u8]]) -> (Vec<Event>, Vec<u8>) {
    let mut splitter = Splitter::new(1 << 20);
    let events = chunks.iter().flat_map(|chunk| splitter.push(chunk).unwrap()).collect();
    (events, splitter.into_pending())
}

/// The data of each event that a client would see, read from whole lines and nothing else.
fn as_a_client(stream: &[u8]) -> Vec<Vec<u8>> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let text = String::from_utf8(stream.to_vec()).unwrap().replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let mut data: Option<Vec<&str>> = None;
    let complete = text.rfind('\n').map_or("", |end| text.get(..end).unwrap());
    for line in complete.split('\n').filter(|_| !text.is_empty()) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if line.is_empty() {
            events.extend(data.take().map(|lines| lines.join("\n").into_bytes()));
        } else if field == "data" {
            data.get_or_insert_default().push(value.strip_prefix(' ').unwrap_or(value));
        }
    }
    events
}

fn data(events: &[Event]) -> Vec<Vec<u8>> {
    events.iter().filter_map(|event| event.data().map(|data| data.into_owned())).collect()
}

#[test]
fn every_kind_of_line_end_ends_events() {
    for (stream, expected) in [
        ("data: a\n\ndata: b\n\n", vec!["a", "b"]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", vec!["a", "b"]),
        ("data: a\r\rdata: b\r\r", vec!["a", "b"]),
        ("data: a\n\rdata: b\r\n\ndata: c\r\r\n", vec!["a", "b", "c"]),
        ("\u{feff}data: a\n\n", vec!["a"]),
        ("\u{feff}\n\ndata: a\n\n", vec!["a"]),
        (": keep-alive\n\nevent: message\nid: 1\ndata:a\ndata: b\ndata\n\n", vec!["a\nb\n"]),
        ("data:  two spaces\n\n", vec![" two spaces"]),
        ("data\n\ndata:\n\n", vec!["", ""]),
        ("datum: no\nDATA: no\ndata : no\n\n", vec![]),
        ("\n\n\r\n\r\rdata: a\n\n", vec!["a"]),
        ("data: unfinished\n", vec![]),
    ] {
        let (events, _) = split(&[stream.as_bytes()]);
        let expected: Vec<Vec<u8>> = expected.into_iter().map(|data| data.as_bytes().to_vec()).collect();
        assert_eq!(data(&events), expected, "{stream:?}");
        assert_eq!(as_a_client(stream.as_bytes()), expected, "{stream:?}");
    }
}

#[test]
fn an_event_is_complete_at_its_last_cr_and_a_late_lf_follows_at_once() {
    let mut splitter = Splitter::new(100);
    let events = splitter.push(b"data: a\r\n\r").unwrap();
    assert_eq!((events.len(), events[0].raw(), splitter.pending()), (1, b"data: a\r\n\r".as_slice(), 0));
    let events = splitter.push(b"\ndata: b\r\n\r\n").unwrap();
    assert!(events[0].is_blank() && events[0].data().is_none());
    assert_eq!(events[0].raw(), b"\n");
    assert_eq!((events.len(), events[1].raw()), (2, b"data: b\r\n\r\n".as_slice()));
}

#[test]
fn a_lf_that_completes_a_crlf_within_an_event_does_not_end_it() {
    let (events, pending) = split(&[b"data: a\r", b"\n", b"data: b\r", b"\n\r", b"\n"]);
    assert_eq!(data(&events), [b"a\nb".to_vec()]);
    assert!(pending.is_empty());
}

#[test]
fn a_comment_before_any_field_does_not_wait() {
    for (chunks, expected) in [
        (&[": ping\n"] as &[&str], &[": ping\n"] as &[&str]),
        (&["\u{feff}:\r\n", ":b\r", "\n"], &["\u{feff}:\r\n", ":b\r", "\n"]),
        (&[":a\n\n"], &[":a\n", "\n"]),
        (&[":a\ndata: 1\n:b\n", "\n"], &[":a\n", "data: 1\n:b\n\n"]),
        (&["data: 1\n\n:a\n"], &["data: 1\n\n", ":a\n"]),
        (&[":", "a", "\n"], &[":a\n"]),
    ] {
        let mut splitter = Splitter::new(100);
        let events: Vec<_> =
            chunks.iter().flat_map(|chunk| splitter.push(chunk.as_bytes()).unwrap()).collect();
        let raw: Vec<_> = events.iter().map(|event| std::str::from_utf8(event.raw()).unwrap()).collect();
        assert_eq!(raw, expected);
        assert_eq!(splitter.pending(), 0);
    }
}

#[test]
fn the_type_of_an_event_is_its_last_one() {
    for (event, expected) in [
        ("data: 1\n\n", None),
        ("event: endpoint\ndata: /m\n\n", Some("endpoint")),
        ("event:a\nevent: b\r\n\n", Some("b")),
        ("event\n\n", Some("")),
        ("events: a\n\n", None),
    ] {
        let event = Splitter::new(100).push(event.as_bytes()).unwrap().remove(0);
        assert_eq!(event.name().map(|name| std::str::from_utf8(name).unwrap()), expected);
    }
}

#[test]
fn an_event_beyond_the_limit_ends_the_stream() {
    let mut splitter = Splitter::new(9);
    assert_eq!(splitter.push(b"data: a\n\n").unwrap().len(), 1);
    assert_eq!(splitter.push(b"data: aa").unwrap().len(), 0);
    assert_eq!(splitter.push(b"\n\n"), Err(EventTooLong { limit: 9 }));
    assert_eq!(splitter.push(b"\n"), Err(EventTooLong { limit: 9 }));
    assert_eq!(splitter.pending(), 0);
}

#[test]
fn new_data_takes_the_place_and_the_line_ends_of_the_old() {
    for (event, new, expected) in [
        ("event: message\ndata: old\nid: 1\n\n", "new", "event: message\ndata: new\nid: 1\n\n"),
        ("data: a\r\n:c\r\ndata: b\r\n\r\n", "new", "data: new\r\n:c\r\n\r\n"),
        ("data:old\r\r", "a\nb", "data: a\rdata: b\r\r"),
        ("data: old\n\n", "a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n\n"),
        ("data: old\n\n", "", "data: \n\n"),
        ("data: old\n\n", " spaced", "data:  spaced\n\n"),
        ("id: 1\r\n\r\n", "new", "id: 1\r\ndata: new\r\n\r\n"),
        ("\u{feff}data: old\n\n", "new", "\u{feff}data: new\n\n"),
        ("data: a\rdata: b\n\n", "new", "data: new\r\n\n"),
        ("data: a\nid: 1\rdata: b\n\n", "new", "data: new\nid: 1\r\n\n"),
    ] {
        let (events, _) = split(&[event.as_bytes()]);
        let changed = events[0].with_data(new.as_bytes());
        assert_eq!(String::from_utf8(changed).unwrap(), expected, "{event:?}");
    }
}

#[test]
fn payload_does_not_show_in_debug_output() {
    let (events, _) = split(&[b"data: secret\n\n"]);
    assert_eq!(format!("{:?}", events[0]), "Event { bytes: 14, .. }");
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "\n",
        "\n",
        "\r",
        "\r",
        "\r\n",
        "\r\n",
        "data",
        "data:",
        "data: ",
        ":",
        " ",
        "x",
        "é",
        "id: 7",
        "event: message",
        "\u{feff}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_stream_cut_anywhere_gives_the_same_events_and_bytes(
        stream in pieces(),
        cuts in prop::collection::vec(0_usize..80, 0..10),
    ) {
        let stream = stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        let (whole, _) = split(&[stream]);
        let (cut, pending) = split(&chunks);

        let raw: Vec<u8> = cut.iter().flat_map(|event| event.raw().to_vec()).chain(pending).collect();
        prop_assert_eq!(raw, stream);
        prop_assert_eq!(data(&cut), as_a_client(stream));
        let without_late_line_feeds = |events: &[Event]| -> Vec<Vec<u8>> {
            let content = |event: &Event| event.raw().strip_suffix(b"\n").unwrap_or(event.raw()).to_vec();
            events.iter().filter(|event| !event.is_blank()).map(content).collect()
        };
        prop_assert_eq!(without_late_line_feeds(&cut), without_late_line_feeds(&whole));
    }

    #[test]
    fn new_data_is_what_a_client_reads_and_nothing_else_changes(stream in pieces(), new in "[a-z\n\r: é]{0,12}") {
        let (events, _) = split(&[stream.as_bytes()]);
        let joined = new.replace("\r\n", "\n").replace('\r', "\n");
        let is_comment = |event: &Event| {
            let raw = event.raw();
            raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw).starts_with(b":")
        };
        for (index, event) in events.iter().enumerate().filter(|(_, event)| !is_comment(event)) {
            let changed = event.with_data(new.as_bytes());
            // A byte-order mark means something at the start of a stream only.
            let before: &[u8] = if index == 0 { b"" } else { b"\n" };
            let stream = [before, &changed].concat();
            prop_assert_eq!(as_a_client(&stream), [joined.as_bytes().to_vec()]);
            let (again, pending) = split(&[&stream]);
            prop_assert!(pending.is_empty());
            prop_assert_eq!(again.len(), if index == 0 { 1 } else { 2 });
            let others = |raw: &[u8]| -> Vec<String> {
                let text = String::from_utf8(raw.to_vec()).unwrap().replace('\r', "\n");
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                let is_other = |line: &&str| !line.is_empty() && *line != "data" && !line.starts_with("data:");
                text.split('\n').filter(is_other).map(str::to_owned).collect()
            };
            prop_assert_eq!(others(&changed), others(event.raw()));
        }
    }
}
