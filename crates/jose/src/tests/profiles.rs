//! Tokens as providers write them, and the issuers that are configured for them.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::{ClaimNames, Claims, KeySet, Profile, TokenError, TrustedIssuer};

const TENANT: &str = "7d3a1f0e-3c1b-4a53-9a44-0d6f3f3a8b11";
const OTHER_TENANT: &str = "2f1c1a52-64d7-4d0c-8a43-5a3b2c9d7e60";
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const ENTRA: &str = "https://login.example.com/{tenant}/v2.0";
const API: &str = "5b0a3c1e-8f0d-4c55-a7c0-1f6c2a9b7d44";

fn entra_issuer(tenant: &str) -> String {
    ENTRA.replace("{tenant}", tenant)
}

/// Entra's access token for a user, version 2.0.
fn entra_claims() -> Value {
    json!({
        "aud": API, "iss": entra_issuer(TENANT), "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 3600,
        "aio": "AXQAi/8IAAAA", "azp": "0f6c2a9b-1e2d-4b3c-8a7f-6d5e4c3b2a19", "azpacr": "1", "name": "Alice Example",
        "oid": "c3d2b1a0-9f8e-4d7c-b6a5-948372615040", "preferred_username": "alice@example.com",
        "rh": "0.AXwA.", "scp": "tools.call tools.list", "sub": "pairwise-8t7d6f5", "tid": TENANT,
        "uti": "q1w2e3r4t5y6", "ver": "2.0", "groups": ["9d8c7b6a-0000-4000-8000-000000000001"],
        "roles": ["Operator"],
    })
}

fn entra_header() -> Value {
    json!({"typ": "JWT", "alg": "RS256", "x5t": "rsa-1", "kid": "rsa-1"})
}

fn entra() -> TrustedIssuer {
    let mut trusted = TrustedIssuer::new(ENTRA, vec![API.into()], vec![]).with_profile(Profile::Entra);
    trusted.tenants = vec![TENANT.into(), OTHER_TENANT.into()];
    trusted
}

/// Keys of which each says whose tokens it signs.
fn keys_for(issuer: &str) -> KeySet {
    let jwk = with(Signer::Rs256.jwk(), json!({"use": "sig", "x5t": "rsa-1", "issuer": issuer}));
    KeySet::parse(&json!({"keys": [jwk]})).unwrap()
}

fn verify_entra(header_changes: Value, claim_changes: Value) -> Result<Claims, TokenError> {
    let header = with(entra_header(), header_changes).to_string();
    let token = Signer::Rs256.token(header, with(entra_claims(), claim_changes).to_string());
    Gate::new(vec![(entra(), key_set(&[Signer::Rs256]))]).verify(token, NOW)
}

#[test]
fn a_user_of_entra_is_known_by_object_id_and_tenant() {
    let claims = verify_entra(json!({}), json!({})).unwrap();
    assert_eq!(claims.issuer, entra_issuer(TENANT));
    assert_eq!(claims.subject, "c3d2b1a0-9f8e-4d7c-b6a5-948372615040");
    assert_eq!(claims.tenant.as_deref(), Some(TENANT));
    assert_eq!(claims.client.as_deref(), Some("0f6c2a9b-1e2d-4b3c-8a7f-6d5e4c3b2a19"));
    assert_eq!(claims.scopes, ["tools.call", "tools.list"]);
    assert_eq!(claims.roles, ["Operator"]);
    assert_eq!(claims.groups, ["9d8c7b6a-0000-4000-8000-000000000001"]);
    assert_eq!(claims.token_id.as_deref(), Some("q1w2e3r4t5y6"));
}

#[test]
fn an_application_of_entra_has_roles_and_no_scopes() {
    let changes = json!({"scp": null, "name": null, "preferred_username": null, "idtyp": "app"});
    let claims = verify_entra(json!({}), changes).unwrap();
    assert!(claims.scopes.is_empty());
    assert_eq!(claims.roles, ["Operator"]);
}

#[test]
fn tokens_of_entras_first_version_are_read_with_their_own_issuer() {
    let issuer = "https://sts.example.com/{tenant}/";
    let mut trusted =
        TrustedIssuer::new(issuer, vec!["api://mcp".into()], vec![]).with_profile(Profile::Entra);
    trusted.tenants = vec![TENANT.into()];
    let claims = with(
        entra_claims(),
        json!({"iss": issuer.replace("{tenant}", TENANT), "aud": "api://mcp", "azp": null, "appid": "app-1", "ver": "1.0"}),
    );
    let token = Signer::Rs256.token(entra_header().to_string(), claims.to_string());
    let claims = Gate::new(vec![(trusted, key_set(&[Signer::Rs256]))]).verify(token, NOW).unwrap();
    assert_eq!(claims.client.as_deref(), Some("app-1"));
}

#[test]
fn the_tenant_is_one_that_is_trusted_and_the_issuers() {
    let other = entra_issuer(OTHER_TENANT);
    assert!(verify_entra(json!({}), json!({"iss": other, "tid": OTHER_TENANT})).is_ok());
    for (changes, expected) in [
        (json!({"tid": OTHER_TENANT}), TokenError::Claims("tid")),
        (json!({"iss": other}), TokenError::Claims("tid")),
        (json!({"tid": null}), TokenError::Claims("tid")),
        (json!({"tid": 1}), TokenError::Claims("tid")),
        (json!({"tid": TENANT.to_uppercase()}), TokenError::Claims("tid")),
        (json!({"iss": entra_issuer(CONSUMERS), "tid": CONSUMERS}), TokenError::Issuer),
        (json!({"iss": ENTRA}), TokenError::Issuer),
        (json!({"iss": entra_issuer("")}), TokenError::Issuer),
        (json!({"iss": entra_issuer("{tenantid}")}), TokenError::Issuer),
        (json!({"iss": entra_issuer(&TENANT.to_uppercase())}), TokenError::Issuer),
        (json!({"iss": entra_issuer(&format!("{TENANT}/x"))}), TokenError::Issuer),
        (json!({"iss": format!("{}/", entra_issuer(TENANT))}), TokenError::Issuer),
    ] {
        assert_eq!(verify_entra(json!({}), changes.clone()), Err(expected), "{changes}");
    }
}

#[test]
fn tenants_hold_for_an_issuer_without_a_place_for_one_too() {
    let gate = Gate::of(|trusted| trusted.tenants = vec!["a".into(), "b".into()]);
    for (tenant, expected) in [
        (json!("a"), Ok(Some("a".to_owned()))),
        (json!("b"), Ok(Some("b".to_owned()))),
        (json!("c"), Err(TokenError::Claims("tid"))),
        (json!(null), Err(TokenError::Claims("tid"))),
        (json!(["a"]), Err(TokenError::Claims("tid"))),
    ] {
        let token = token_with(json!({}), json!({"tid": tenant}));
        assert_eq!(gate.verify(token, NOW).map(|claims| claims.tenant), expected, "{tenant}");
    }
}

#[test]
fn a_key_signs_only_for_the_issuer_that_it_names() {
    let token = Signer::Rs256.token(entra_header().to_string(), entra_claims().to_string());
    let without_id = with(entra_header(), json!({"kid": null})).to_string();
    let without_id = Signer::Rs256.token(without_id, entra_claims().to_string());
    for (issuer, expected) in [
        (entra_issuer("{tenantid}"), Ok(())),
        (entra_issuer(TENANT), Ok(())),
        (entra_issuer(CONSUMERS), Err(TokenError::KeyUnknown)),
        (entra_issuer(OTHER_TENANT), Err(TokenError::KeyUnknown)),
        ("https://login.example.com/{tenantid}".into(), Err(TokenError::KeyUnknown)),
        ("{tenantid}".into(), Err(TokenError::KeyUnknown)),
        (ENTRA.into(), Err(TokenError::KeyUnknown)),
        (String::new(), Err(TokenError::KeyUnknown)),
    ] {
        let gate = Gate::new(vec![(entra(), keys_for(&issuer))]);
        assert_eq!(gate.verify(&token, NOW).map(drop), expected, "{issuer}");
        assert_eq!(gate.verify(&without_id, NOW).map(drop), expected, "{issuer}");
    }
}

#[test]
fn a_key_for_any_tenant_needs_a_token_that_names_one() {
    let trusted =
        || TrustedIssuer::new(entra_issuer(TENANT), vec![API.into()], vec![]).with_profile(Profile::Entra);
    let gate = || Gate::new(vec![(trusted(), keys_for(&entra_issuer("{tenantid}")))]);
    for (changes, expected) in [
        (json!({}), Ok(())),
        (json!({"tid": OTHER_TENANT}), Err(TokenError::KeyUnknown)),
        (json!({"tid": null}), Err(TokenError::KeyUnknown)),
        (json!({"tid": 1}), Err(TokenError::KeyUnknown)),
    ] {
        let token = Signer::Rs256
            .token(entra_header().to_string(), with(entra_claims(), changes.clone()).to_string());
        assert_eq!(gate().verify(token, NOW).map(drop), expected, "{changes}");
    }
}

#[test]
fn groups_of_entra_that_are_elsewhere_are_refused() {
    let source = json!({"src1": {"endpoint": "https://graph.example.com/users/1/getMemberObjects"}});
    for (changes, name) in [
        (
            json!({"groups": null, "_claim_names": {"groups": "src1"}, "_claim_sources": source}),
            "_claim_names",
        ),
        (json!({"groups": null, "hasgroups": true}), "hasgroups"),
    ] {
        assert_eq!(verify_entra(json!({}), changes), Err(TokenError::Claims(name)));
    }
}

#[test]
fn an_id_token_of_entra_is_refused_though_its_type_is_the_same() {
    let changes = json!({"azp": null, "azpacr": null, "scp": null, "nonce": "n-1"});
    assert_eq!(verify_entra(json!({}), changes), Err(TokenError::Type));
    assert_eq!(verify_entra(json!({"typ": null}), json!({})), Err(TokenError::Type));
    assert_eq!(verify_entra(json!({"alg": "ES256"}), json!({})), Err(TokenError::Algorithm));
}

#[test]
fn two_issuers_of_one_provider_share_no_tenant_and_no_key() {
    let mut one = entra();
    one.tenants = vec![TENANT.into()];
    let mut other = entra();
    other.tenants = vec![OTHER_TENANT.into()];
    let none = KeySet::parse(&json!({"keys": []})).unwrap();
    let gate = Gate::new(vec![(one, none), (other, key_set(&[Signer::Rs256]))]);
    let token = |tenant: &str| {
        let claims = with(entra_claims(), json!({"iss": entra_issuer(tenant), "tid": tenant}));
        Signer::Rs256.token(entra_header().to_string(), claims.to_string())
    };
    assert_eq!(gate.verify(token(TENANT), NOW), Err(TokenError::KeyUnknown));
    assert!(gate.verify(token(OTHER_TENANT), NOW).is_ok());
}

const OKTA: &str = "https://example.okta.example.com/oauth2/default";

fn okta_claims() -> Value {
    json!({
        "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": OKTA, "aud": "api://mcp",
        "iat": NOW - 60, "exp": NOW + 3600, "cid": "0oa1client", "uid": "00u1alice",
        "scp": ["openid", "tools.call"], "auth_time": NOW - 100, "sub": "alice@example.com", "groups": ["Operators"],
    })
}

fn verify_okta(header_changes: Value, claim_changes: Value) -> Result<Claims, TokenError> {
    let trusted = TrustedIssuer::new(OKTA, vec!["api://mcp".into()], vec![]).with_profile(Profile::Okta);
    let header = with(json!({"kid": "rsa-1", "alg": "RS256"}), header_changes).to_string();
    let token = Signer::Rs256.token(header, with(okta_claims(), claim_changes).to_string());
    Gate::new(vec![(trusted, key_set(&[Signer::Rs256]))]).verify(token, NOW)
}

#[test]
fn a_user_of_okta_is_known_by_user_id() {
    let claims = verify_okta(json!({}), json!({})).unwrap();
    assert_eq!((claims.subject.as_str(), claims.client.as_deref()), ("00u1alice", Some("0oa1client")));
    assert_eq!(claims.scopes, ["openid", "tools.call"]);
    assert_eq!((claims.groups, claims.tenant), (vec!["Operators".to_owned()], None));
}

#[test]
fn a_service_of_okta_is_known_by_its_client_id() {
    let claims = verify_okta(json!({}), json!({"uid": null, "sub": "0oa1client", "groups": null})).unwrap();
    assert_eq!((claims.subject.as_str(), claims.client.as_deref()), ("0oa1client", Some("0oa1client")));
}

#[test]
fn an_okta_token_may_say_its_type_or_not() {
    for media_type in [json!(null), json!("JWT"), json!("at+jwt"), json!("application/at+jwt")] {
        assert!(verify_okta(json!({"typ": media_type}), json!({})).is_ok(), "{media_type}");
    }
    for media_type in [json!("dpop+jwt"), json!("logout+jwt"), json!("okta-internal-at+jwt")] {
        assert_eq!(verify_okta(json!({"typ": media_type}), json!({})), Err(TokenError::Type));
    }
    let id_token = json!({"cid": null, "uid": null, "scp": null, "amr": ["pwd"], "nonce": "n-1"});
    assert_eq!(verify_okta(json!({}), id_token), Err(TokenError::Type));
}

#[test]
fn a_malformed_name_is_not_hidden_by_an_earlier_one() {
    assert_eq!(verify_okta(json!({}), json!({"sub": 1})), Err(TokenError::Claims("sub")));
    assert_eq!(verify_okta(json!({}), json!({"uid": null, "sub": null})), Err(TokenError::Claims("uid")));
    assert_eq!(verify_entra(json!({}), json!({"appid": ""})), Err(TokenError::Claims("appid")));
}

#[test]
fn claims_are_found_where_the_configuration_says() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let own = ClaimNames {
        subject: names(&["https://example.com/user", "sub"]),
        groups: names(&["https://example.com/groups"]),
        ..ClaimNames::default()
    };
    let gate = Gate::of(|trusted| trusted.claim_names = own.clone().or(Profile::Rfc9068.claim_names()));
    let verify = |changes: Value| gate.verify(token_with(json!({}), changes), NOW);
    let claims = verify(json!({"https://example.com/groups": ["a"], "groups": ["b"], "scope": "x"})).unwrap();
    assert_eq!(
        (claims.subject.as_str(), claims.groups, claims.scopes),
        ("alice", names(&["a"]), names(&["x"]))
    );
    let claims = verify(json!({"https://example.com/user": "bob"})).unwrap();
    assert_eq!(claims.subject, "bob");
    // A name that only the configuration knows is not in the error; what it stands for is.
    for (changes, role) in [
        (json!({"https://example.com/user": 1}), "subject"),
        (json!({"https://example.com/groups": "a"}), "groups"),
    ] {
        assert_eq!(verify(changes), Err(TokenError::Claims(role)));
    }
}

#[test]
fn an_issuer_without_audiences_leaves_them_to_the_caller() {
    let gate = Gate::of(|trusted| trusted.audiences.clear());
    let verify = |audience: Value| gate.verify(token_with(json!({}), json!({"aud": audience})), NOW);
    assert_eq!(verify(json!("https://any.example.com")).unwrap().audience, ["https://any.example.com"]);
    assert_eq!(verify(json!(["a", "b"])).unwrap().audience, ["a", "b"]);
    assert_eq!(verify(json!([])), Err(TokenError::Audience));
    for malformed in [json!(null), json!(""), json!(1), json!(["a", 1])] {
        assert_eq!(verify(malformed), Err(TokenError::Claims("aud")));
    }
}

#[test]
fn a_token_that_could_be_an_id_token_must_name_its_client() {
    let gate = Gate::of(|trusted| trusted.types.push("JWT".into()));
    let verify = |changes: Value| gate.verify(token_with(json!({"typ": "JWT"}), changes), NOW).map(drop);
    assert_eq!(verify(json!({})), Err(TokenError::Type));
    assert_eq!(verify(json!({"client_id": "agent"})), Ok(()));
}

#[test]
fn profiles_have_names_for_configuration() {
    for (profile, name) in [(Profile::Rfc9068, "rfc9068"), (Profile::Entra, "entra"), (Profile::Okta, "okta")]
    {
        assert_eq!(serde_json::to_value(profile).unwrap(), json!(name));
        assert_eq!(serde_json::from_value::<Profile>(json!(name)).unwrap(), profile);
    }
    let algorithms = vec![crate::Algorithm::ES256];
    let own = TrustedIssuer::new(OKTA, vec![], algorithms.clone()).with_profile(Profile::Okta);
    assert_eq!(own.algorithms, algorithms);
}
