//! The attack corpus: one file per case, `tests/attacks/<topic>/<case>.yaml`. Its README explains the format.

use std::{fs, net::SocketAddr, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    client::{Answer, Http},
    wire::{Wire, send_bytes},
};

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// `<topic>/<case>`, from the file's place.
    #[serde(skip)]
    pub name: String,
    /// What is sent, in one line.
    pub what: String,
    /// What an attacker gains where it is passed, or who suffers where it is refused.
    pub why: String,
    /// The class of mistake of a gateway that gets it wrong.
    pub mistake: Mistake,
    /// Whose token the request carries.
    #[serde(default = "alice")]
    pub caller: String,
    /// Who has opened the session that `{session}` in a header stands for.
    pub session: Option<String>,
    /// What is sent.
    pub request: Request,
    /// What must come of it through Airlock.
    pub expect: Expect,
    /// What comes of it through a plain Envoy.
    pub control: Control,
}

/// Mistakes that gateways make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mistake {
    /// Gateway and server read the same bytes in two ways.
    TwoReadings,
    /// The verdict is about a part of the message, and the rest passes unread.
    UnreadBytes,
    /// The verdict is about a header, and the server acts on the body, or the other way round.
    HeaderTrust,
    /// Names are compared loosely, or normalised differently from the server.
    Lookalike,
    /// Gateway and server disagree on where a request ends or where it goes.
    Smuggling,
    /// The sender decides how much work a message makes.
    Exhaustion,
    /// Nobody asks whose token or session it is.
    BorrowedIdentity,
    /// Pages of other sites reach the server through a browser.
    CrossSite,
    /// A form of the protocol that the verdict should not depend on decides, so that honest clients suffer or rules are
    /// passed by.
    FormOverMeaning,
}

/// A request, with what every honest client sends as the default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Version of HTTP; without it, the case holds for both.
    http: Option<u8>,
    #[serde(default = "post")]
    method: String,
    #[serde(default = "mcp")]
    path: String,
    /// Headers, in order. They take the place of default ones of the same name.
    #[serde(default)]
    headers: Vec<Header>,
    /// Default headers that are not sent.
    #[serde(default)]
    without: Vec<String>,
    body: Option<Body>,
    #[serde(default)]
    cut: Cut,
    /// Trailers after the body.
    #[serde(default)]
    trailers: Vec<Header>,
    /// The whole request as bytes of HTTP/1.1, in place of all of the above.
    raw: Option<Body>,
}

/// `name: value` as text, or a value of any bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Header {
    Line(String),
    Bytes(HeaderBytes),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderBytes {
    name: String,
    base64: String,
}

/// Bytes: a text, or parts that are put together.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Body {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Part {
    Text(String),
    Repeat(Repeat),
    Base64(Base64),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    repeat: String,
    times: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64 {
    base64: String,
}

/// How the body is cut into chunks of HTTP/1 or frames of HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cut {
    /// Not at all.
    #[default]
    Whole,
    /// Into pieces of so many bytes.
    Every(usize),
    /// In two, once at each byte: as many requests as the body has bytes.
    AtEachByte,
    /// HTTP/2 frames without content before, between and after two halves.
    EmptyFrames,
}

/// What must come of a request through Airlock.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Airlock refuses it, the server is not reached, and the refusal is on record.
    Refused(Refused),
    /// The server gets it with the same body, and its answer comes back.
    Passed(Passed),
    /// The proxy itself ends it before Airlock has a say, and the server is not reached.
    Stopped(Stopped),
}

/// A refusal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// JSON-RPC code.
    pub code: i64,
    /// Stable reason code.
    pub reason: String,
    /// Id that the answer carries.
    pub id: Value,
}

/// A request that gets through.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passed {
    /// HTTP status.
    pub status: u16,
}

/// A request that the proxy ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopped {
    /// HTTP status; `null` where the connection ends without an answer.
    pub status: Option<u16>,
}

/// What comes of a request through a plain Envoy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The server gets it.
    ReachesServer,
    /// Envoy ends it, for this reason.
    Stopped(String),
}

/// What stands for something that is known only when the case runs.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// `{token}`: the caller's access token.
    pub token: String,
    /// `{session}`: the session's id.
    pub session: String,
}

/// One of the requests that a case stands for.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Which one it is.
    pub name: String,
    /// The body that the server gets if it passes; unknown for raw bytes.
    pub body: Option<Bytes>,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Wire(Wire),
    Raw(Bytes),
}

impl Attack {
    /// Every case below a folder, by name.
    pub fn load(folder: &Path) -> Vec<Self> {
        let mut attacks: Vec<Self> = entries(folder)
            .filter(|topic| topic.is_dir())
            .flat_map(|topic| entries(&topic).map(|file| Self::read(folder, &file)).collect::<Vec<_>>())
            .collect();
        attacks.sort_by(|one, other| one.name.cmp(&other.name));
        attacks
    }

    fn read(folder: &Path, file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap();
        let read = serde_saphyr::from_str(&text);
        let mut attack: Self = read.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        attack.name = file.with_extension("").strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            file.extension().and_then(|extension| extension.to_str()),
            Some("yaml"),
            "{}",
            attack.name
        );
        let one_line = |text: &str| !text.trim().is_empty() && !text.contains('\n');
        assert!(one_line(&attack.what) && !attack.why.trim().is_empty(), "{} says what and why", attack.name);
        attack
    }

    /// The requests that the case stands for, in every version of HTTP and every cutting that it asks for.
    pub fn variants(&self, known: &Known, to: SocketAddr) -> Vec<Variant> {
        let request = &self.request;
        if let Some(raw) = &request.raw {
            let raw = fill(&raw.bytes(), known, to);
            return vec![Variant { name: "raw".to_owned(), body: None, form: Form::Raw(raw.into()) }];
        }
        let body: Option<Bytes> = request.body.as_ref().map(|body| body.bytes().into());
        let versions: &[Http] = match (request.http, request.cut) {
            (None | Some(2), Cut::EmptyFrames) => &[Http::Two],
            (Some(1), Cut::Whole | Cut::Every(_) | Cut::AtEachByte) => &[Http::One],
            (Some(2), _) => &[Http::Two],
            (None, _) => &[Http::One, Http::Two],
            (Some(version), _) => panic!("{}: no HTTP version {version} for this cutting", self.name),
        };
        let variant = |&http: &Http| {
            let body = body.clone();
            request.cut.pieces(body.as_ref()).into_iter().map(move |(cut, pieces)| Variant {
                name: format!("{http:?}, {cut}"),
                body: body.clone(),
                form: Form::Wire(request.wire(http, pieces, known, to)),
            })
        };
        versions.iter().flat_map(variant).collect()
    }
}

impl Variant {
    /// Sends it on a connection of its own. There may be no answer but the connection's end.
    pub async fn send(self, to: SocketAddr) -> Option<Answer> {
        match self.form {
            Form::Wire(wire) => wire.send(to).await,
            Form::Raw(bytes) => send_bytes(vec![bytes], to).await,
        }
    }
}

impl Request {
    fn wire(&self, http: Http, pieces: Vec<Bytes>, known: &Known, to: SocketAddr) -> Wire {
        const USUAL: [&str; 3] = [
            "content-type: application/json",
            "accept: application/json, text/event-stream",
            "authorization: Bearer {token}",
        ];
        let own: Vec<_> = self.headers.iter().map(|header| header.field(known, to)).collect();
        let is_own = |name: &str| own.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let usual = USUAL.map(|line| Header::Line(line.to_owned()).field(known, to));
        let usual = usual.into_iter().filter(|(name, _)| !is_own(name) && !self.without.contains(name));
        let (host, own): (Vec<_>, Vec<_>) = own.iter().cloned().partition(|(name, _)| name == "host");
        let host = host
            .into_iter()
            .next()
            .map_or_else(|| to.to_string(), |(_, value)| String::from_utf8(value).unwrap());
        Wire {
            http,
            method: self.method.clone(),
            path: String::from_utf8(fill(self.path.as_bytes(), known, to)).unwrap(),
            host,
            headers: usual.chain(own).collect(),
            pieces,
            trailers: self.trailers.iter().map(|header| header.field(known, to)).collect(),
        }
    }
}

impl Header {
    fn field(&self, known: &Known, to: SocketAddr) -> (String, Vec<u8>) {
        match self {
            Self::Line(line) => {
                let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("`{line}` is no header"));
                (name.to_owned(), fill(value.strip_prefix(' ').unwrap_or(value).as_bytes(), known, to))
            }
            Self::Bytes(HeaderBytes { name, base64 }) => (name.clone(), STANDARD.decode(base64).unwrap()),
        }
    }
}

impl Body {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Parts(parts) => parts.iter().flat_map(Part::bytes).collect(),
        }
    }
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Repeat(Repeat { repeat, times }) => repeat.repeat(*times).into_bytes(),
            Self::Base64(Base64 { base64 }) => STANDARD.decode(base64).unwrap(),
        }
    }
}

impl Cut {
    /// Every cutting that is asked for, with a name.
    fn pieces(self, body: Option<&Bytes>) -> Vec<(String, Vec<Bytes>)> {
        let Some(body) = body else { return vec![("no body".to_owned(), Vec::new())] };
        match self {
            Self::Whole => vec![("uncut".to_owned(), vec![body.clone()])],
            Self::Every(size) => {
                let pieces = body.chunks(size).map(Bytes::copy_from_slice).collect();
                vec![(format!("cut every {size} bytes"), pieces)]
            }
            Self::AtEachByte => (1..body.len())
                .map(|at| (format!("cut at byte {at}"), vec![body.slice(..at), body.slice(at..)]))
                .collect(),
            Self::EmptyFrames => {
                let (empty, half) = (Bytes::new, body.len() / 2);
                let pieces = vec![empty(), body.slice(..half), empty(), body.slice(half..), empty()];
                vec![("empty frames".to_owned(), pieces)]
            }
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path())
}

fn fill(bytes: &[u8], known: &Known, to: SocketAddr) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, value) in
        [("{token}", known.token.as_str()), ("{session}", &known.session), ("{host}", &to.to_string())]
    {
        while let Some(at) = bytes.windows(place.len()).position(|window| window == place.as_bytes()) {
            bytes.splice(at..at + place.len(), value.bytes());
        }
    }
    bytes
}

fn alice() -> String {
    "alice@example.com".to_owned()
}

fn post() -> String {
    "POST".to_owned()
}

fn mcp() -> String {
    "/mcp".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = "what: w\nwhy: y\nmistake: smuggling\nrequest: { body: '{}' }\n\
                        expect:\n  passed: { status: 200 }\ncontrol: reaches_server\n";

    #[test]
    fn a_case_with_an_unknown_member_is_an_error() {
        assert!(serde_saphyr::from_str::<Attack>(CASE).is_ok());
        for (known, with_unknown) in [
            ("what: w", "what: w\nwho: m"),
            ("body: '{}'", "body: '{}', bodies: 1"),
            ("body: '{}'", "body: [{ repeat: x, times: 1, of: 2 }]"),
            ("body: '{}'", "headers: [{ name: a, base64: '', value: b }]"),
            ("status: 200", "status: 200, reason: x"),
            ("reaches_server", "reaches_nobody"),
            ("smuggling", "sloth"),
        ] {
            let case = CASE.replacen(known, with_unknown, 1);
            assert!(serde_saphyr::from_str::<Attack>(&case).is_err(), "{case}");
        }
    }
}
