//! No input makes the reader of DPoP proofs panic, none verifies without its key's signature, and the normal form of a
//! URI is its own.

#![no_main]

use std::sync::LazyLock;

use airlock_jose::dpop::{Expected, Proof, TargetUri, token_digest};
use airlock_jose::{Algorithm, InProcess, limits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;

/// The key of the proofs in RFC 9449.
const RFC_9449: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

static BASE: LazyLock<TargetUri> =
    LazyLock::new(|| TargetUri::parse("https://mcp.example.com/gateway").unwrap());

// Either a proof as it is, or header, payload and signature on a line each, not yet encoded; and a URI or a path.
fuzz_target!(|input: &[u8]| {
    read(input);
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    if let (Some(header), Some(payload), Some(signature)) = (lines.next(), lines.next(), lines.next()) {
        let segments = [header, payload, signature].map(|segment| URL_SAFE_NO_PAD.encode(segment));
        read(segments.join(".").as_bytes());
    }
    if let Ok(text) = std::str::from_utf8(input) {
        for uri in [TargetUri::parse(text), BASE.join(text)].into_iter().flatten() {
            assert_eq!(TargetUri::parse(uri.as_str()).as_ref(), Some(&uri));
        }
        if let Some(joined) = BASE.join(text) {
            assert!(joined.as_str().starts_with(BASE.as_str()));
        }
    }
});

fn read(input: &[u8]) {
    let Ok(proof) = Proof::parse(input) else { return };
    assert_eq!(proof.thumbprint().len(), 43);
    assert!((1..=limits::PROOF_ID_BYTES).contains(&proof.token_id().len()));
    let checked = proof.check(&Expected {
        method: "POST",
        uri: &BASE,
        token_digest: &token_digest(b"token"),
        thumbprint: proof.thumbprint(),
        algorithms: &[Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA],
        now_seconds: 1_800_000_000,
        window_seconds: 300,
    });
    if checked.is_ok() {
        assert!(proof.issued_at().abs_diff(1_800_000_000) <= 300);
    }
    // Only the published proofs among the seeds have a signature.
    if proof.verify(None, &InProcess).is_ok() {
        assert_eq!(proof.thumbprint(), RFC_9449);
    }
}
