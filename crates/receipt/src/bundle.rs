//! The bundle: NDJSON, one envelope a line, in log order.

use crate::envelope::MAX_ENVELOPE_BYTES;
use crate::key::KeySet;
use crate::report::Report;
use crate::verify::Verifier;

/// Verifies a bundle piece by piece, as it is read from a file or a network.
#[derive(Debug)]
pub struct BundleVerifier {
    verifier: Verifier,
    line: Vec<u8>,
    too_long: bool,
}

impl BundleVerifier {
    /// A verifier that trusts these keys.
    pub fn new(keys: KeySet) -> Self {
        Self { verifier: Verifier::new(keys), line: Vec::new(), too_long: false }
    }

    /// Takes in the next piece, which may end anywhere.
    pub fn update(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.push(end);
                    self.end_line();
                }
                None => self.push(part),
            }
        }
    }

    /// What was found. The line feed after the last line may be missing.
    pub fn finish(mut self) -> Report {
        if self.too_long || !self.line.is_empty() {
            self.end_line();
        }
        self.verifier.finish()
    }

    // Of a line that is too long nothing is kept.
    fn push(&mut self, bytes: &[u8]) {
        if self.too_long || self.line.len().saturating_add(bytes.len()) > MAX_ENVELOPE_BYTES {
            self.too_long = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        if self.too_long {
            self.verifier.malformed(format!("longer than {MAX_ENVELOPE_BYTES} bytes"));
        } else {
            self.verifier.envelope(&self.line);
        }
        self.line.clear();
        self.too_long = false;
    }
}
