use crate::{Headers, Reply};

/// The two directions of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the client to the server.
    Request,
    /// From the server to the client.
    Response,
}

/// The proxy refused something that a stage needed; whoever sees it must refuse the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostError;

/// The certificate that the client has shown in the TLS handshake, of which it holds the key. Whether whoever issued it
/// is trusted is for the proxy's TLS configuration to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of its DER form (RFC 8705 section 3.1 compares it).
    pub digest: [u8; 32],
    /// Subject in the form of RFC 2253, such as `CN=agent,OU=payments`; empty where it has none.
    pub subject: String,
    /// The first DNS name among its alternative names.
    pub dns_name: Option<String>,
    /// The first URI among its alternative names.
    pub uri: Option<String>,
}

/// What stages need of the proxy that they run in, and nothing more.
///
/// An implementation never panics on what a client or a server sent.
pub trait Host {
    /// All header lines of that side; empty when the proxy does not hold them (any more).
    fn headers(&self, side: Side) -> Headers;

    /// Sets a header to one line. Only possible while the headers of that side have not been forwarded.
    fn set_header(&mut self, side: Side, name: &str, value: &str) -> Result<(), HostError>;

    /// Removes all lines of a header; removing an absent one succeeds.
    fn remove_header(&mut self, side: Side, name: &str) -> Result<(), HostError>;

    /// The first `size` bytes of the body that the proxy shows at this moment: all that is buffered when an earlier
    /// callback paused, otherwise the piece that has just come.
    fn body(&self, side: Side, size: usize) -> Result<Vec<u8>, HostError>;

    /// Takes the trailers of the request away before they leave. Only possible while they are being delivered.
    fn drop_request_trailers(&mut self) -> Result<(), HostError>;

    /// Puts `bytes` in the place of the first `size` bytes of what [`Host::body`] shows.
    fn replace_body(&mut self, side: Side, size: usize, bytes: &[u8]) -> Result<(), HostError>;

    /// Answers the client in the server's stead.
    fn reply(&mut self, reply: &Reply) -> Result<(), HostError>;

    /// Publishes `wasm.<name>` for access logs, RBAC, rate limits and tracing of the proxy itself.
    fn set_property(&mut self, name: &str, value: &[u8]);

    /// What all workers of the proxy share under `key`, with its revision; `None` where there is nothing.
    fn shared(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError>;

    /// Puts `value` under `key` for all workers. It fails where there is a value already and its revision is another:
    /// then another worker was faster. [`NEW`] stands for "there is none".
    fn share(&mut self, key: &str, value: &[u8], revision: u32) -> Result<(), HostError>;

    /// Checks a signature over the SHA-256 of `message`: RSA (PKCS#1 v1.5) or ECDSA (in DER), as `public_key`, a
    /// SubjectPublicKeyInfo in DER, says. `None` where this host cannot check any.
    ///
    /// The host takes keys of every size and curve: whoever calls has pinned them.
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool>;

    /// The certificate of the client's connection; `None` where it has shown none.
    fn peer_certificate(&self) -> Result<Option<PeerCertificate>, HostError>;

    /// Adds one to the counter `airlock.<name>`. Names must be few: a proxy keeps each for good.
    fn count(&mut self, name: &str);

    /// Time since the Unix epoch, in microseconds.
    fn now_micros(&self) -> u64;

    /// 16 bytes that tell this from everything else.
    fn random(&mut self) -> [u8; 16];

    /// 32 bytes that nobody can foresee.
    fn secret(&mut self) -> Result<[u8; 32], HostError>;
}

/// The revision of a shared value that is not there yet. No revision that a proxy gives out comes as far.
pub const NEW: u32 = u32::MAX;

/// Longest value that is published for operators, in bytes.
const PROPERTY_BYTES: usize = 256;

/// Publishes a fact for operators as `wasm.airlock.<name>`.
///
/// Values come from clients: control characters become `?`, so that no line of a text log can be forged, and the
/// length is bounded.
pub fn publish(host: &mut dyn Host, name: &str, value: &str) {
    let name = ["airlock.", name].concat();
    if value.len() <= PROPERTY_BYTES && !value.contains(char::is_control) {
        return host.set_property(&name, value.as_bytes());
    }
    let mut clean = String::with_capacity(value.len().min(PROPERTY_BYTES));
    for character in value.chars().map(|c| if c.is_control() { '?' } else { c }) {
        if clean.len() + character.len_utf8() > PROPERTY_BYTES {
            break;
        }
        clean.push(character);
    }
    host.set_property(&name, clean.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryHost;

    #[test]
    fn published_facts_cannot_forge_a_log_line_or_grow_without_bound() {
        let mut host = MemoryHost::default();
        publish(&mut host, "tool", "echo\r\nGET /forged");
        publish(&mut host, "method", &"é".repeat(1000));
        assert_eq!(host.properties["airlock.tool"], b"echo??GET /forged");
        assert_eq!(host.properties["airlock.method"].len(), 256);
    }
}
