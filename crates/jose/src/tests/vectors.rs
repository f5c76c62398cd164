//! Published examples.

use serde_json::{Value, json};

use crate::compact::CompactJws;
use crate::dpop::{Expected, Proof, ProofError, TargetUri, token_digest};
use crate::{Algorithm, InProcess, PublicKey, TokenError, thumbprint};

/// RFC 7515 appendix A.2.
const RFC_7515_A2: &str = "eyJhbGciOiJSUzI1NiJ9.\
    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
    cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujG\
    bds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K\
    0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6\
    LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

/// RFC 7515 appendix A.3.
const RFC_7515_A3: &str = "eyJhbGciOiJFUzI1NiJ9.\
    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
    DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// RFC 8037 appendix A.4.
const RFC_8037_A4: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
    hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn rfc_7515_a2_key() -> Value {
    json!({"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-\
        Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpa\
        SHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-\
        DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"})
}

fn rfc_7515_a3_key() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
}

fn rfc_8037_a2_key() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

#[test]
fn published_signatures_verify_with_their_key_alone() {
    let keys = [rfc_7515_a2_key(), rfc_7515_a3_key(), rfc_8037_a2_key()];
    let keys = keys.map(|key| PublicKey::from_jwk(&key).unwrap());
    for (right, token) in [RFC_7515_A2, RFC_7515_A3, RFC_8037_A4].into_iter().enumerate() {
        let jws = CompactJws::parse(token.as_bytes()).unwrap();
        for (index, key) in keys.iter().enumerate() {
            let verified = key.verify(jws.signing_input, &jws.signature).is_ok();
            assert_eq!(verified, index == right, "token {right}, key {index}");
        }
    }
}

#[test]
fn published_tokens_that_are_no_access_tokens_are_refused() {
    assert_eq!(super::fixtures::verify(RFC_7515_A2), Err(TokenError::Issuer));
    assert_eq!(super::fixtures::verify(RFC_7515_A3), Err(TokenError::Issuer));
    assert_eq!(super::fixtures::verify(RFC_8037_A4), Err(TokenError::Malformed("payload")));
}

#[test]
fn published_thumbprints_are_reproduced() {
    let rfc_7638 = json!({"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7a\
        PFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY\
        368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ\
        -G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
    for (key, expected) in [
        (rfc_7638, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (rfc_8037_a2_key(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ] {
        assert_eq!(thumbprint(&key).as_deref(), Ok(expected));
    }
}

/// RFC 9449 figure 2: a proof for the token endpoint.
const RFC_9449_FIGURE_2: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwie\
    CI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5V\
    ERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8v\
    c2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdL\
    XiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

/// RFC 9449 section 7.1: the proof of the request whose content figure 13 shows.
const RFC_9449_FIGURE_13: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwie\
    CI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5V\
    ERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9y\
    ZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0Ji\
    MHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxh\
    AJpLjA";

/// The access token of that request, and the thumbprint that RFC 9449 figure 7 binds to.
const RFC_9449_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const RFC_9449_THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

fn rfc_9449(proof: &str, method: &str, uri: &str, now_seconds: u64) -> Result<(), ProofError> {
    let expected = Expected {
        method,
        uri: &TargetUri::parse(uri).unwrap(),
        token_digest: &token_digest(RFC_9449_TOKEN.as_bytes()),
        thumbprint: RFC_9449_THUMBPRINT,
        algorithms: &[Algorithm::ES256],
        now_seconds,
        window_seconds: 300,
    };
    let proof = Proof::parse(proof.as_bytes())?;
    assert!(proof.verify(None, &InProcess)?.is_some());
    proof.check(&expected)
}

#[test]
fn a_published_proof_verifies_for_its_request_token_and_time() {
    let uri = "https://resource.example.org/protectedresource";
    for (method, uri, now_seconds, expected) in [
        ("GET", uri, 1_562_262_618, Ok(())),
        ("GET", uri, 1_562_262_918, Ok(())),
        ("GET", uri, 1_562_262_919, Err(ProofError::Stale)),
        ("GET", uri, 1_562_262_317, Err(ProofError::NotYetValid)),
        ("POST", uri, 1_562_262_618, Err(ProofError::Method)),
        ("GET", "https://resource.example.org/", 1_562_262_618, Err(ProofError::Uri)),
    ] {
        assert_eq!(rfc_9449(RFC_9449_FIGURE_13, method, uri, now_seconds), expected);
    }
    let proof = Proof::parse(RFC_9449_FIGURE_13.as_bytes()).unwrap();
    assert_eq!(
        (proof.token_id(), proof.issued_at(), proof.nonce()),
        ("e1j3V_bKic8-LAEB", 1_562_262_618, None)
    );
    assert_eq!(proof.thumbprint(), RFC_9449_THUMBPRINT);
}

#[test]
fn a_published_proof_for_a_token_endpoint_verifies_but_is_for_no_access_token() {
    let (uri, time) = ("https://server.example.com/token", 1_562_262_616);
    assert_eq!(rfc_9449(RFC_9449_FIGURE_2, "POST", uri, time), Err(ProofError::Claims("ath")));
    let proof = Proof::parse(RFC_9449_FIGURE_2.as_bytes()).unwrap();
    assert_eq!((proof.token_id(), proof.issued_at(), proof.nonce()), ("-BwC3ESc6acc2lTc", time, None));
    assert_eq!(proof.thumbprint(), RFC_9449_THUMBPRINT);
}
