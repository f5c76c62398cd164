//! No input makes the verifier of access tokens panic, and what it returns of a token is within its limits and from a
//! configured issuer, even if every signature verified.

#![no_main]

use std::sync::LazyLock;

use airlock_jose::{
    KeySet, Profile, PublicKey, SignatureCheck, SignatureMismatch, TrustedIssuer, Verifier, limits,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_800_000_000;

/// Lets the claims of every token be judged.
struct Anything;

impl SignatureCheck for Anything {
    fn verify(&self, key: &PublicKey, _: &[u8], signature: &[u8]) -> Result<(), SignatureMismatch> {
        let _ = key.foreign(signature);
        Ok(())
    }
}

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let issuer =
        |name: &str, profile| TrustedIssuer::new(name, vec!["a".into()], vec![]).with_profile(profile);
    let mut entra = issuer("e/{tenant}", Profile::Entra);
    entra.tenants = vec!["t".into(), "u".into()];
    Verifier::new(vec![issuer("i", Profile::Rfc9068), entra, issuer("o", Profile::Okta)]).unwrap()
});

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let modulus = URL_SAFE_NO_PAD.encode([0xff; 256]);
    let keys = format!(
        r#"{{"keys":[{{"kid":"k","kty":"RSA","e":"AQAB","n":"{modulus}"}},{{"kid":"l","kty":"OKP","crv":"Ed25519",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","issuer":"e/{{tenantid}}"}}]}}"#
    );
    KeySet::from_json(keys.as_bytes()).unwrap()
});

// Either a token or a key set as it is, or header and payload on a line each, not yet encoded.
fuzz_target!(|input: &[u8]| {
    verify(input);
    if let Some(at) = input.iter().position(|byte| *byte == b'\n') {
        let [header, payload] =
            [&input[..at], &input[at + 1..]].map(|segment| URL_SAFE_NO_PAD.encode(segment));
        verify(format!("{header}.{payload}.AAAA").as_bytes());
    }
    if let Ok((keys, skipped)) = KeySet::from_published(input) {
        assert!(keys.len() + skipped <= limits::KEYS);
    }
});

fn verify(token: &[u8]) {
    let Ok(unverified) = VERIFIER.read(token) else { return };
    let Ok(claims) = unverified.verify(&KEYS, &Anything, NOW) else { return };
    assert!(["i", "e/t", "e/u", "o"].contains(&claims.issuer.as_str()));
    assert_eq!(claims.issuer.strip_prefix("e/").is_some(), unverified.issuer() == 1);
    if let Some(tenant) = claims.issuer.strip_prefix("e/") {
        assert_eq!(claims.tenant.as_deref(), Some(tenant));
    }
    assert!(claims.expires_at + 30 > NOW && claims.audience.iter().any(|audience| audience == "a"));
    let texts = [&claims.scopes, &claims.groups, &claims.roles].into_iter().flatten();
    for text in texts.chain([&claims.subject]).chain(&claims.client).chain(&claims.token_id) {
        assert!((1..=limits::CLAIM_BYTES).contains(&text.len()) && !text.contains(char::is_control));
    }
}
