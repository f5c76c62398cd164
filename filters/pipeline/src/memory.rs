//! A proxy in memory: runs a chain over a request and a response without Envoy, for tests, fuzzers and benchmarks.

use std::collections::BTreeMap;

use crate::{Chain, Directive, Headers, Host, HostError, Reply, Side};

/// A [`Host`] whose headers, bodies and clock are plain fields.
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
    /// The answer that a stage gave in the server's stead.
    pub reply: Option<Reply>,
    /// Published properties, by their name without `wasm.`.
    pub properties: BTreeMap<String, Vec<u8>>,
    /// The clock, microseconds since the Unix epoch.
    pub now: u64,
    /// How many random values were given out; they count up.
    pub drawn: u8,
}

/// What came out of [`MemoryHost::request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// The request left for the server with this body.
    Upstream(Vec<u8>),
    /// The client got this answer.
    Refused(Reply),
}

impl MemoryHost {
    /// A host whose request has these headers.
    pub fn with_request(headers: Headers) -> Self {
        Self { request_headers: headers, ..Self::default() }
    }

    /// Sends the request through `chain` with `body` in pieces, ended by trailers if `trailers`.
    ///
    /// A chain that neither releases nor refuses is reported as an error: in a proxy the request would hang.
    pub fn request(
        &mut self,
        chain: &mut Chain,
        pieces: &[&[u8]],
        trailers: bool,
    ) -> Result<Passed, HostError> {
        let mut sent = Vec::new();
        let mut directive = chain.request_headers(self, pieces.is_empty() && !trailers);
        for (index, piece) in pieces.iter().enumerate() {
            if let Some(reply) = self.reply.take() {
                return Ok(Passed::Refused(reply));
            }
            self.request_body.extend_from_slice(piece);
            let end = index + 1 == pieces.len() && !trailers;
            let size = self.request_body.len();
            directive = chain.request_body(self, size, end);
            if directive == Directive::Continue {
                sent.append(&mut self.request_body);
            }
        }
        if trailers && self.reply.is_none() {
            directive = chain.request_trailers(self);
        }
        if let Some(reply) = self.reply.take() {
            return Ok(Passed::Refused(reply));
        }
        sent.append(&mut self.request_body);
        if directive == Directive::Continue { Ok(Passed::Upstream(sent)) } else { Err(HostError) }
    }

    /// Sends a response through `chain` with its body in pieces and returns what the client gets of it.
    pub fn response(&mut self, chain: &mut Chain, headers: Headers, pieces: &[&[u8]]) -> Passed {
        self.response_headers = headers;
        let mut sent = Vec::new();
        chain.response_headers(self, pieces.is_empty());
        for (index, piece) in pieces.iter().enumerate() {
            if let Some(reply) = self.reply.take() {
                return Passed::Refused(reply);
            }
            self.response_body.extend_from_slice(piece);
            let size = self.response_body.len();
            if chain.response_body(self, size, index + 1 == pieces.len()) == Directive::Continue {
                sent.append(&mut self.response_body);
            }
        }
        match self.reply.take() {
            Some(reply) => Passed::Refused(reply),
            None => Passed::Upstream(sent),
        }
    }

    fn side(&mut self, side: Side) -> (&mut Headers, &mut Vec<u8>) {
        match side {
            Side::Request => (&mut self.request_headers, &mut self.request_body),
            Side::Response => (&mut self.response_headers, &mut self.response_body),
        }
    }
}

impl Host for MemoryHost {
    fn headers(&self, side: Side) -> Headers {
        match side {
            Side::Request => self.request_headers.clone(),
            Side::Response => self.response_headers.clone(),
        }
    }

    fn set_header(&mut self, side: Side, name: &str, value: &str) -> Result<(), HostError> {
        self.side(side).0.set(name, value.as_bytes());
        Ok(())
    }

    fn remove_header(&mut self, side: Side, name: &str) -> Result<(), HostError> {
        self.side(side).0.remove(name);
        Ok(())
    }

    fn body(&self, side: Side, size: usize) -> Result<Vec<u8>, HostError> {
        let body = match side {
            Side::Request => &self.request_body,
            Side::Response => &self.response_body,
        };
        body.get(..size).map(<[u8]>::to_vec).ok_or(HostError)
    }

    fn replace_body(&mut self, side: Side, size: usize, bytes: &[u8]) -> Result<(), HostError> {
        let (_, body) = self.side(side);
        if size > body.len() {
            return Err(HostError);
        }
        body.splice(..size, bytes.iter().copied());
        Ok(())
    }

    fn reply(&mut self, reply: &Reply) -> Result<(), HostError> {
        self.reply = Some(reply.clone());
        Ok(())
    }

    fn set_property(&mut self, name: &str, value: &[u8]) {
        self.properties.insert(name.to_owned(), value.to_vec());
    }

    fn now_micros(&self) -> u64 {
        self.now
    }

    fn random(&mut self) -> [u8; 16] {
        self.drawn = self.drawn.wrapping_add(1);
        [self.drawn; 16]
    }
}
