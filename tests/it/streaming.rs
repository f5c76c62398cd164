//! Event streams, whatever the server's habits: event by event, to the byte, cleaned where there is something to clean,
//! and given up when the client gives up.

use std::time::Duration;

use airlock_receipt::OutcomeState;
use airlock_tests::{
    client::{Call, Http},
    gateway::{Configuration, Gateway, Shape},
    tokens::Issuer,
    upstream::{Live, Upstream},
};
use http_body_util::BodyExt;
use hyper::{Response, body::Incoming};
use serde_json::json;
use tokio::time::{sleep, timeout};

/// How long one event may be under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two writes, so that the proxy reads each by itself: nothing tells a server when it has.
const BETWEEN_WRITES: Duration = Duration::from_millis(1);

/// Events as servers write them, each complete. The first opens the stream.
const HABITS: [&str; 19] = [
    "\u{feff}event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/first\"}\n\n",
    "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/lf\"}\n\n",
    "event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/crlf\"}\r\n\r\n",
    "event: message\rdata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/cr\"}\r\r",
    "event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/mixed\"}\r\n\n",
    "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/no-type\"}\n\n",
    "data:{\"jsonrpc\":\"2.0\",\"method\":\"notifications/no-space\"}\n\n",
    "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/order\"}\nretry: 10\nid: 7\nevent: message\n\n",
    "id: 8\r\nretry: 10\r\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/order\"}\r\n\r\n",
    "data: {\"jsonrpc\":\"2.0\",\ndata: \"method\":\ndata:\"notifications/lines\"}\n\n",
    "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/unicode\",\"params\":{\"data\":\"é€😀\\ud83d\\ude00\"}}\n\n",
    "id: 9\ndata: \n\n",
    "data\nid: 10\nretry: 3000\n\n",
    "id: 11\r\ndata:\r\n\r\n",
    "retry: 3000\n\n",
    ": ping\n\n",
    ": ping\n",
    ":\r\n\r\n",
    ": before\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/comments\"}\n: after\nunknown: field\n\n",
];

/// A gateway with its server, and the right to open streams through it.
struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    token: String,
}

impl Stage {
    async fn set(shape: Shape) -> Self {
        let (upstream, address) = Upstream::start().await;
        let gateway = Gateway::start(shape, address, Configuration::default()).await;
        Self { gateway, upstream, token: Issuer::default().token("alice@example.com", "mcp:read") }
    }

    /// A stream that is open at both of its ends.
    async fn open(&self, opening: Opening, http: Http) -> (Live, Reader) {
        let call = match opening {
            Opening::Post => Call::tool("stream", &json!({ "live": true })),
            Opening::Get => Call::post("").method("GET").path("/mcp?live"),
        };
        let call = call.over(http).token(&self.token);
        let (live, response) = tokio::join!(self.upstream.live(), call.open(self.gateway.address));
        (live, Reader::new(response))
    }
}

/// Writes a piece of an event and gives the proxy time to read it before the next.
async fn write_apart(live: &Live, piece: &[u8]) {
    live.write(piece.to_vec()).await;
    sleep(BETWEEN_WRITES).await;
}

/// How a client asks for a stream.
#[derive(Clone, Copy, Debug)]
enum Opening {
    Post,
    Get,
}

const EVERY_WAY: [(Opening, Http); 4] = [
    (Opening::Post, Http::One),
    (Opening::Post, Http::Two),
    (Opening::Get, Http::One),
    (Opening::Get, Http::Two),
];

/// The client's end of a stream.
struct Reader {
    body: Incoming,
    received: Vec<u8>,
}

impl Reader {
    fn new(response: Response<Incoming>) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), received: Vec::new() }
    }

    /// Waits until `length` more bytes have come, and returns all that came.
    async fn next(&mut self, length: usize) -> String {
        while self.received.len() < length {
            let frame = timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.unwrap_or_else(|_| panic!("held back behind {:?}", text(&self.received)));
            let frame = frame.unwrap_or_else(|| panic!("the end, behind {:?}", text(&self.received)));
            self.received.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        text(&std::mem::take(&mut self.received))
    }

    /// Everything that comes until the stream's end.
    async fn rest(mut self) -> String {
        let rest = timeout(PATIENCE, self.body.collect()).await.expect("an end");
        self.received.extend_from_slice(&rest.expect("a proper end").to_bytes());
        text(&self.received)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every event arrives, to the byte, before the next one is written.
async fn events_arrive_one_by_one_as_they_were_written(shape: Shape) {
    let stage = Stage::set(shape).await;
    for (opening, http) in EVERY_WAY {
        let (live, mut reader) = stage.open(opening, http).await;
        for event in HABITS {
            live.write(event).await;
            assert_eq!(reader.next(event.len()).await, event, "{opening:?} over {http:?}");
        }
        drop(live);
        assert_eq!(reader.rest().await, "", "{opening:?} over {http:?}");
    }
}

/// Wherever the server's writes cut an event, it arrives when it is complete.
async fn events_arrive_wherever_they_are_cut(shape: Shape) {
    let stage = Stage::set(shape).await;
    for event in HABITS {
        let (live, mut reader) = stage.open(Opening::Post, Http::One).await;
        for at in 1..event.len() {
            let (one, other) = event.as_bytes().split_at(at);
            write_apart(&live, one).await;
            live.write(other.to_vec()).await;
            assert_eq!(reader.next(event.len()).await, event, "cut at byte {at}");
        }
    }
    let (live, mut reader) = stage.open(Opening::Get, Http::Two).await;
    let all = HABITS.concat();
    for byte in all.bytes() {
        write_apart(&live, &[byte]).await;
    }
    assert_eq!(reader.next(all.len()).await, all, "byte by byte");
}

/// A mark of three bytes at the start of a stream may be cut too.
async fn the_mark_at_the_start_may_be_cut(shape: Shape) {
    let stage = Stage::set(shape).await;
    let event = HABITS[0];
    for at in 1..event.len() {
        let (live, mut reader) = stage.open(Opening::Get, Http::One).await;
        let (one, other) = event.as_bytes().split_at(at);
        write_apart(&live, one).await;
        live.write(other.to_vec()).await;
        assert_eq!(reader.next(event.len()).await, event, "cut at byte {at}");
    }
}

/// Clients drop an event that lacks its empty line (HTML standard, section 9.2.6): so does the gateway, because half an
/// event cannot be searched. All before it arrives.
async fn what_ends_without_an_empty_line_ends_the_stream_properly(shape: Shape) {
    let stage = Stage::set(shape).await;
    for (opening, http) in EVERY_WAY {
        for unfinished in [
            "data: {\"jsonrpc\":\"2.0\"}",
            "data: {\"jsonrpc\":\"2.0\"}\n",
            "data: jane.roe@example.com\r",
            "id: 1",
        ] {
            let (live, reader) = stage.open(opening, http).await;
            live.write(HABITS[1]).await;
            live.write(unfinished).await;
            drop(live);
            assert_eq!(reader.rest().await, HABITS[1], "{unfinished:?}, {opening:?} over {http:?}");
        }
    }
}

/// Wherever an event is cut, what is to be cleaned is cleaned, and the event arrives before the next is written.
async fn events_leave_clean_wherever_they_are_cut(shape: Shape) {
    let stage = Stage::set(shape).await;
    for end in ["\n", "\r\n", "\r"] {
        let event = |who: &str| {
            format!(
                ": note{end}id: 1{end}data: {{\"jsonrpc\":\"2.0\",{end}data: \"method\":\"notifications/message\",\"params\":{{\"data\":\"{who}\"}}}}{end}{end}"
            )
        };
        let (written, clean) = (event("jane.roe@example.com"), event("[EMAIL]"));
        let (live, mut reader) = stage.open(Opening::Post, Http::Two).await;
        for at in 1..written.len() {
            let (one, other) = written.split_at(at);
            write_apart(&live, one.as_bytes()).await;
            live.write(other.to_owned()).await;
            assert_eq!(reader.next(clean.len()).await, clean, "cut at byte {at}");
        }
    }
}

/// Whoever stops reading is gone for the server too, which can stop working for nobody.
async fn a_client_that_goes_away_reaches_the_server(shape: Shape) {
    let stage = Stage::set(shape).await;
    for (opening, http) in EVERY_WAY {
        let (live, mut reader) = stage.open(opening, http).await;
        live.write(HABITS[1]).await;
        reader.next(HABITS[1].len()).await;
        // In the middle of an event, of which the gateway holds the beginning.
        live.write("data: {\"jsonrpc\"").await;
        drop(reader);
        live.gone().await;
    }
    let signer = &stage.gateway.signer;
    signer.receipt("the streams", |record| record.outcome.state == OutcomeState::Aborted).await;
    assert!(signer.verify().is_valid());
}

/// The built-in stream of the server, at its own pace: three events with addresses in them, then the result.
async fn events_leave_clean_as_they_come(shape: Shape) {
    let stage = Stage::set(shape).await;
    let call = Call::tool("stream", &json!({})).token(&stage.token);
    let received = Reader::new(call.open(stage.gateway.address).await).rest().await;
    assert!(!received.contains("jane.ro"), "{received}");
    assert_eq!(received.matches("from [EMAIL]").count(), 3);
    assert!(received.ends_with("\n\n") && received.contains(r#""result""#), "{received}");

    let record = stage.gateway.signer.receipt("the stream", |record| !record.findings.is_empty()).await;
    let (class, count) = record.findings.first_key_value().unwrap();
    assert_eq!((class.as_str(), count.response.value()), ("email", 3));
}

macro_rules! in_every_shape {
    ($($story:ident: $whole:ident, $chain:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $whole() {
            $story(Shape::Whole).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $chain() {
            $story(Shape::Chain).await;
        }
    )*};
}

in_every_shape! {
    events_arrive_one_by_one_as_they_were_written:
        events_arrive_one_by_one_through_the_whole_chain, events_arrive_one_by_one_through_a_chain_of_filters;
    events_arrive_wherever_they_are_cut:
        events_arrive_however_cut_through_the_whole_chain, events_arrive_however_cut_through_a_chain_of_filters;
    the_mark_at_the_start_may_be_cut:
        the_mark_may_be_cut_through_the_whole_chain, the_mark_may_be_cut_through_a_chain_of_filters;
    what_ends_without_an_empty_line_ends_the_stream_properly:
        an_unfinished_event_ends_in_the_whole_chain, an_unfinished_event_ends_in_a_chain_of_filters;
    events_leave_clean_wherever_they_are_cut:
        events_leave_clean_however_cut_through_the_whole_chain, events_leave_clean_however_cut_through_a_chain_of_filters;
    a_client_that_goes_away_reaches_the_server:
        a_client_that_goes_away_is_gone_through_the_whole_chain, a_client_that_goes_away_is_gone_through_a_chain_of_filters;
    events_leave_clean_as_they_come:
        events_leave_clean_as_they_come_through_the_whole_chain, events_leave_clean_as_they_come_through_a_chain_of_filters;
}
