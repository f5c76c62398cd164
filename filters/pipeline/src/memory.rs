//! A proxy in memory: runs a chain over a request and a response without Envoy, for tests, fuzzers and benchmarks.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use crate::{
    Chain, Directive, Exchange, Headers, Host, HostError, Options, PeerCertificate, Reply, Side, Stage,
};

/// A chain of `stages` on an exchange of its own, and that exchange.
pub fn chain(stages: Vec<Box<dyn Stage>>, options: Options) -> (Chain, Rc<RefCell<Exchange>>) {
    let exchange = Rc::default();
    (Chain::new(stages.into(), Rc::clone(&exchange), options), exchange)
}

/// The headers of a POST that carries an MCP message.
pub fn post() -> Headers {
    Headers::from([
        (":method", "POST"),
        (":authority", "mcp.example.com"),
        (":path", "/mcp"),
        ("content-type", "application/json"),
    ])
}

/// Whether a signature is that of a message, asked with public key, message and signature.
pub type SignatureCheck = fn(&[u8], &[u8], &[u8]) -> bool;

/// A [`Host`] whose headers, bodies and clock are plain fields.
///
/// As in Envoy, headers cannot be changed once they have left, and a paused body is shown from its start.
#[derive(Debug, Default)]
pub struct MemoryHost {
    /// Request headers as they stand now.
    pub request_headers: Headers,
    /// Response headers as they stand now.
    pub response_headers: Headers,
    /// What [`Host::body`] shows of the request.
    pub request_body: Vec<u8>,
    /// What [`Host::body`] shows of the response.
    pub response_body: Vec<u8>,
    /// What has left for the server.
    pub upstream: Departed,
    /// What has left for the client.
    pub downstream: Departed,
    /// The answer that a stage gave in the server's stead.
    pub reply: Option<Reply>,
    /// What workers share, with revisions.
    pub shared: BTreeMap<String, (Vec<u8>, u32)>,
    /// Whether the request's trailers were taken away.
    pub trailers_dropped: bool,
    /// Published properties, by their name without `wasm.`.
    pub properties: BTreeMap<String, Vec<u8>>,
    /// Checks signatures as [`Host::verify_signature`] does; a host without it cannot.
    pub signatures: Option<SignatureCheck>,
    /// The certificate of the client.
    pub certificate: Option<PeerCertificate>,
    /// Counters, by their name without `airlock.`.
    pub counters: BTreeMap<String, u64>,
    /// The clock, microseconds since the Unix epoch.
    pub now: u64,
    /// How many random values were given out; they count up.
    pub drawn: u8,
    /// What the host refuses to do.
    pub faults: Faults,
}

/// What has left on one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Departed {
    /// The headers as they were when they left.
    pub headers: Option<Headers>,
    /// The body so far.
    pub body: Vec<u8>,
}

/// Calls that fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// [`Host::set_header`] and [`Host::remove_header`].
    pub headers: bool,
    /// [`Host::drop_request_trailers`].
    pub trailers: bool,
    /// [`Host::shared`] and [`Host::share`].
    pub shared: bool,
    /// [`Host::secret`].
    pub secret: bool,
    /// [`Host::peer_certificate`].
    pub certificate: bool,
    /// [`Host::body`].
    pub body: bool,
    /// [`Host::replace_body`].
    pub replace: bool,
    /// [`Host::reply`].
    pub reply: bool,
}

/// What came out of [`MemoryHost::request`] or [`MemoryHost::response`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// It went on to its end, with this body.
    On(Vec<u8>),
    /// The client got this answer.
    Refused(Reply),
    /// It is held for good: it runs into the proxy's time limit.
    Stuck,
}

impl MemoryHost {
    /// A host whose request has these headers.
    pub fn with_request(headers: Headers) -> Self {
        Self { request_headers: headers, ..Self::default() }
    }

    /// Sends the request through `chain` with `body` in pieces, ended by trailers if `trailers`.
    pub fn request(&mut self, chain: &mut Chain, pieces: &[&[u8]], trailers: bool) -> Passed {
        let directive = chain.request_headers(self, pieces.is_empty() && !trailers);
        self.drive(Side::Request, directive, pieces, trailers, |host, event| match event {
            Event::Body(size, end) => chain.request_body(host, size, end),
            Event::Trailers => chain.request_trailers(host),
        })
    }

    /// Sends a response through `chain` with its body in pieces and returns what the client gets of it.
    pub fn response(
        &mut self,
        chain: &mut Chain,
        headers: Headers,
        pieces: &[&[u8]],
        trailers: bool,
    ) -> Passed {
        self.response_headers = headers;
        let directive = chain.response_headers(self, pieces.is_empty() && !trailers);
        self.drive(Side::Response, directive, pieces, trailers, |host, event| match event {
            Event::Body(size, end) => chain.response_body(host, size, end),
            Event::Trailers => chain.response_trailers(host),
        })
    }

    /// Sends the reply to a refused request through the response hooks, as a proxy does.
    pub fn deliver(&mut self, chain: &mut Chain, reply: &Reply) -> Passed {
        let mut headers = Headers::default();
        headers.set(":status", reply.status.to_string().as_bytes());
        for (name, value) in &reply.headers {
            headers.set(name, value.as_bytes());
        }
        self.response(chain, headers, &[&reply.body], false)
    }

    fn drive(
        &mut self,
        side: Side,
        first: Directive,
        pieces: &[&[u8]],
        trailers: bool,
        mut callback: impl FnMut(&mut Self, Event) -> Directive,
    ) -> Passed {
        let mut directive = first;
        self.forward(side, directive);
        for (index, piece) in pieces.iter().enumerate() {
            if self.reply.is_some() {
                break;
            }
            let body = self.side(side).1;
            body.extend_from_slice(piece);
            let size = body.len();
            directive = callback(self, Event::Body(size, index + 1 == pieces.len() && !trailers));
            self.forward(side, directive);
        }
        if trailers && self.reply.is_none() {
            directive = callback(self, Event::Trailers);
            self.forward(side, directive);
        }
        match (self.reply.take(), directive) {
            (Some(reply), _) => Passed::Refused(reply),
            (None, Directive::Pause) => Passed::Stuck,
            (None, Directive::Continue) => Passed::On(self.departed(side).body.clone()),
        }
    }

    fn forward(&mut self, side: Side, directive: Directive) {
        if directive == Directive::Pause || self.reply.is_some() {
            return;
        }
        let (headers, body) = self.side(side);
        let (headers, mut body) = (headers.clone(), std::mem::take(body));
        let departed = self.departed(side);
        departed.headers.get_or_insert(headers);
        departed.body.append(&mut body);
    }

    fn side(&mut self, side: Side) -> (&mut Headers, &mut Vec<u8>) {
        match side {
            Side::Request => (&mut self.request_headers, &mut self.request_body),
            Side::Response => (&mut self.response_headers, &mut self.response_body),
        }
    }

    fn departed(&mut self, side: Side) -> &mut Departed {
        match side {
            Side::Request => &mut self.upstream,
            Side::Response => &mut self.downstream,
        }
    }

    /// The headers of a side, as long as they are there to be changed.
    fn held(&mut self, side: Side) -> Result<&mut Headers, HostError> {
        if self.faults.headers || self.departed(side).headers.is_some() {
            return Err(HostError);
        }
        Ok(self.side(side).0)
    }
}

/// What comes after the headers.
enum Event {
    Body(usize, bool),
    Trailers,
}

impl Host for MemoryHost {
    fn headers(&self, side: Side) -> Headers {
        match side {
            Side::Request => self.request_headers.clone(),
            Side::Response => self.response_headers.clone(),
        }
    }

    fn set_header(&mut self, side: Side, name: &str, value: &str) -> Result<(), HostError> {
        self.held(side)?.set(name, value.as_bytes());
        Ok(())
    }

    fn remove_header(&mut self, side: Side, name: &str) -> Result<(), HostError> {
        self.held(side)?.remove(name);
        Ok(())
    }

    fn body(&self, side: Side, size: usize) -> Result<Vec<u8>, HostError> {
        let body = match side {
            Side::Request => &self.request_body,
            Side::Response => &self.response_body,
        };
        body.get(..size).filter(|_| !self.faults.body).map(<[u8]>::to_vec).ok_or(HostError)
    }

    fn drop_request_trailers(&mut self) -> Result<(), HostError> {
        self.trailers_dropped = !self.faults.trailers;
        if self.trailers_dropped { Ok(()) } else { Err(HostError) }
    }

    fn shared(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        if self.faults.shared { Err(HostError) } else { Ok(self.shared.get(key).cloned()) }
    }

    fn share(&mut self, key: &str, value: &[u8], revision: u32) -> Result<(), HostError> {
        let now = self.shared.get(key).map(|(_, revision)| *revision);
        if self.faults.shared || now.is_some_and(|now| now != revision) {
            return Err(HostError);
        }
        self.shared.insert(key.to_owned(), (value.to_vec(), now.unwrap_or(0).wrapping_add(1)));
        Ok(())
    }

    fn replace_body(&mut self, side: Side, size: usize, bytes: &[u8]) -> Result<(), HostError> {
        let fails = self.faults.replace;
        let (_, body) = self.side(side);
        if fails || size > body.len() {
            return Err(HostError);
        }
        body.splice(..size, bytes.iter().copied());
        Ok(())
    }

    fn reply(&mut self, reply: &Reply) -> Result<(), HostError> {
        if self.faults.reply {
            return Err(HostError);
        }
        self.reply = Some(reply.clone());
        Ok(())
    }

    fn set_property(&mut self, name: &str, value: &[u8]) {
        self.properties.insert(name.to_owned(), value.to_vec());
    }

    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
        self.signatures.map(|verify| verify(public_key, message, signature))
    }

    fn peer_certificate(&self) -> Result<Option<PeerCertificate>, HostError> {
        if self.faults.certificate { Err(HostError) } else { Ok(self.certificate.clone()) }
    }

    fn count(&mut self, name: &str) {
        *self.counters.entry(name.to_owned()).or_default() += 1;
    }

    fn now_micros(&self) -> u64 {
        self.now
    }

    fn random(&mut self) -> [u8; 16] {
        self.drawn = self.drawn.wrapping_add(1);
        [self.drawn; 16]
    }

    fn secret(&mut self) -> Result<[u8; 32], HostError> {
        self.drawn = self.drawn.wrapping_add(1);
        if self.faults.secret { Err(HostError) } else { Ok([self.drawn; 32]) }
    }
}
