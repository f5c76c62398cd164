use proptest::prelude::*;
use serde_json::json;

use super::fixtures::*;
use crate::{Algorithm, TokenError, limits};

#[test]
fn a_good_token_of_every_algorithm_is_accepted() {
    for signer in SIGNERS {
        let token = signer.token(signer.header().to_string(), claims().to_string());
        assert_eq!(verify(token).map(|claims| claims.subject), Ok("alice".to_owned()), "{signer:?}");
    }
}

#[test]
fn all_that_is_known_of_the_caller_is_returned() {
    let token = token_with(
        json!({}),
        json!({
            "aud": ["https://a.example.com", AUDIENCE], "client_id": "agent", "azp": "other", "scope": "a b",
            "groups": ["g1", "g2"], "roles": ["r1"], "jti": "id-1", "tid": "tenant-1", "iat": NOW, "nbf": NOW, "unknown": {"x": [1.5]},
        }),
    );
    let claims = verify(token).unwrap();
    let expected = json!({
        "issuer": ISSUER, "subject": "alice", "client": "agent", "scopes": ["a", "b"],
        "audience": ["https://a.example.com", AUDIENCE], "groups": ["g1", "g2"], "roles": ["r1"],
        "tenant": "tenant-1", "expires_at": NOW + 300, "token_id": "id-1",
        "confirmation": {"key_thumbprint": null, "certificate_thumbprint": null},
    });
    assert_eq!(serde_json::to_value(&claims).unwrap(), expected);
    assert_eq!(serde_json::from_value::<crate::Claims>(expected).unwrap(), claims);
}

#[test]
fn headers_that_mean_the_same_are_accepted() {
    for changes in [
        json!({"alg": "Ed25519"}),
        json!({"typ": "AT+JWT"}),
        json!({"typ": "application/at+jwt"}),
        json!({"x5t": "abc", "nonce": "xyz", "unknown": [1]}),
    ] {
        assert!(verify(token_with(changes.clone(), json!({}))).is_ok(), "{changes}");
    }
}

#[test]
fn the_client_is_the_first_of_its_names() {
    for (changes, expected) in [
        (json!({}), None),
        (json!({"appid": "4"}), Some("4")),
        (json!({"appid": "4", "cid": "3"}), Some("3")),
        (json!({"appid": "4", "cid": "3", "azp": "2"}), Some("2")),
        (json!({"appid": "4", "cid": "3", "azp": "2", "client_id": "1"}), Some("1")),
    ] {
        let claims = verify(token_with(json!({}), changes.clone())).unwrap();
        assert_eq!(claims.client.as_deref(), expected, "{changes}");
    }
}

#[test]
fn scopes_come_as_a_string_or_an_array() {
    for (changes, expected) in [
        (json!({}), &[][..]),
        (json!({"scope": ""}), &[]),
        (json!({"scope": "a"}), &["a"]),
        (json!({"scope": "b a"}), &["b", "a"]),
        (json!({"scope": ["a", "b"]}), &["a", "b"]),
        (json!({"scp": "a b"}), &["a", "b"]),
        (json!({"scp": ["a", "b"]}), &["a", "b"]),
        (json!({"scope": "a b", "scp": ["a", "b"]}), &["a", "b"]),
    ] {
        let claims = verify(token_with(json!({}), changes.clone())).unwrap();
        assert_eq!(claims.scopes, expected, "{changes}");
    }
}

#[test]
fn times_are_judged_to_the_second_with_the_clock_skew() {
    let skewed = |seconds| Gate::of(|trusted| trusted.clock_skew_seconds = seconds);
    for (skew, changes, expected) in [
        (0, json!({"exp": NOW + 1}), Ok(())),
        (0, json!({"exp": NOW}), Err(TokenError::Expired)),
        (30, json!({"exp": NOW - 29}), Ok(())),
        (30, json!({"exp": NOW - 30}), Err(TokenError::Expired)),
        (30, json!({"exp": 0}), Err(TokenError::Expired)),
        (30, json!({"exp": limits::TIME}), Ok(())),
        (0, json!({"nbf": NOW}), Ok(())),
        (0, json!({"nbf": NOW + 1}), Err(TokenError::NotYetValid)),
        (30, json!({"nbf": NOW + 30}), Ok(())),
        (30, json!({"nbf": NOW + 31}), Err(TokenError::NotYetValid)),
        (30, json!({"iat": NOW + 30}), Ok(())),
        (30, json!({"iat": NOW + 31}), Err(TokenError::NotYetValid)),
        (300, json!({"iat": 0, "nbf": 0}), Ok(())),
    ] {
        let token = token_with(json!({}), changes.clone());
        let verified = skewed(skew).verify(token.as_bytes(), NOW).map(drop);
        assert_eq!(verified, expected, "{skew} {changes}");
    }
}

#[test]
fn no_time_of_the_verifier_overflows() {
    let token = token_with(json!({}), json!({"nbf": limits::TIME}));
    assert_eq!(gate().verify(token.as_bytes(), u64::MAX), Err(TokenError::Expired));
    assert_eq!(gate().verify(token.as_bytes(), 0), Err(TokenError::NotYetValid));
}

#[test]
fn a_key_id_is_needed_only_where_there_are_several_keys_of_the_algorithm() {
    let token = token_with(json!({"kid": null}), json!({}));
    assert!(verify(&token).is_ok());

    let two = Gate::new(vec![(issuer(ISSUER), key_set(&[Signer::EdDsa, Signer::Other]))]);
    assert_eq!(two.verify(token.as_bytes(), NOW), Err(TokenError::KeyUnknown));
    assert!(two.verify(token_with(json!({}), json!({})).as_bytes(), NOW).is_ok());
}

#[test]
fn an_absent_type_is_accepted_only_where_that_is_configured() {
    let token = token_with(json!({"typ": null}), json!({}));
    assert_eq!(verify(&token), Err(TokenError::Type));

    let lenient = Gate::of(|trusted| (trusted.types, trusted.accept_absent_type) = (vec![], true));
    let token = token_with(json!({"typ": null}), json!({"client_id": "agent"}));
    assert!(lenient.verify(token.as_bytes(), NOW).is_ok());
    let typed = token_with(json!({}), json!({}));
    assert_eq!(lenient.verify(typed.as_bytes(), NOW), Err(TokenError::Type));
}

#[test]
fn an_algorithm_the_issuer_does_not_sign_with_is_refused_in_spite_of_a_key() {
    let gate = Gate::of(|trusted| trusted.algorithms = vec![Algorithm::ES256]);
    for (signer, expected) in [
        (Signer::Es256, Ok(())),
        (Signer::Rs256, Err(TokenError::Algorithm)),
        (Signer::EdDsa, Err(TokenError::Algorithm)),
    ] {
        let token = signer.token(signer.header().to_string(), claims().to_string());
        assert_eq!(gate.verify(token.as_bytes(), NOW).map(drop), expected, "{signer:?}");
    }
}

#[test]
fn the_limit_on_a_token_holds_to_the_byte() {
    let mut seen = [false; 2];
    for filler in 11_950..12_150_usize {
        let token = token_with(json!({}), json!({"filler": "x".repeat(filler)}));
        let fits = token.len() <= limits::TOKEN_BYTES;
        seen[usize::from(fits)] = true;
        let expected = if fits { Ok(()) } else { Err(TokenError::TooLarge) };
        assert_eq!(verify(&token).map(drop), expected, "{} bytes", token.len());
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn counts_and_lengths_of_claims_hold_at_the_boundary() {
    let many = |count: usize| vec!["a"; count];
    for (name, most) in [
        ("scope", limits::SCOPES),
        ("scp", limits::SCOPES),
        ("groups", limits::GROUPS),
        ("roles", limits::GROUPS),
    ] {
        let refused = Err(TokenError::Claims(name));
        assert!(verify(token_with(json!({}), json!({name: many(most)}))).is_ok(), "{name}");
        assert_eq!(verify(token_with(json!({}), json!({name: many(most + 1)}))), refused, "{name}");
    }
    let list = many(limits::SCOPES).join(" ");
    assert!(verify(token_with(json!({}), json!({"scope": list}))).is_ok());
    let longer = format!("{list} a");
    assert_eq!(verify(token_with(json!({}), json!({"scope": longer}))), Err(TokenError::Claims("scope")));

    for name in ["sub", "jti", "client_id", "scope"] {
        let refused = Err(TokenError::Claims(name));
        let longest = "x".repeat(limits::CLAIM_BYTES);
        assert!(verify(token_with(json!({}), json!({name: longest}))).is_ok(), "{name}");
        assert_eq!(verify(token_with(json!({}), json!({name: format!("{longest}x")}))), refused, "{name}");
    }
}

proptest! {
    #[test]
    fn what_a_good_token_says_is_what_is_returned(
        subject in "[^\\p{Cc}]{1,40}",
        scopes in prop::collection::vec("[!#-\\[\\]-~]{1,12}", 0..8),
        groups in prop::collection::vec("[^\\p{Cc}]{1,20}", 0..8),
        lifetime in 1_u64..100_000,
    ) {
        let changes = json!({"sub": subject, "scope": scopes.join(" "), "groups": groups, "exp": NOW + lifetime});
        let claims = verify(token_with(json!({}), changes)).unwrap();
        prop_assert_eq!(claims.subject, subject);
        prop_assert_eq!(claims.scopes, scopes);
        prop_assert_eq!(claims.groups, groups);
        prop_assert_eq!(claims.expires_at, NOW + lifetime);
    }
}
