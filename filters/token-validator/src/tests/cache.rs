use std::rc::Rc;

use serde_json::json;

use super::fixtures::*;
use crate::{
    CacheConfiguration, Memory,
    cache::{Cache, Verified},
};

fn verified(size: usize) -> Rc<Verified> {
    let gateway = Gateway::new(configuration()).bearer(&key().sign(&claims()));
    Rc::new(Verified::new(gateway.admitted().clone(), [0; 32], 0, size))
}

fn digest(number: usize) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    digest
}

#[test]
fn a_token_is_verified_once_and_remembered_until_it_expires() {
    let memory = Memory::default();
    let mut gateway = Gateway::over(configuration(), &memory);
    let token = key().sign(&claims());
    gateway.bearer(&token).admitted();
    assert_eq!(memory.known().tokens.len(), 1);
    gateway.host.now = (NOW + 60 + 29) * 1_000_000;
    gateway.bearer(&token).admitted();
    gateway.host.now = (NOW + 60 + 30) * 1_000_000;
    assert_eq!(gateway.bearer(&token).refused(), (401, "token_expired"));
    assert_eq!(memory.known().tokens.len(), 0);
}

#[test]
fn what_did_not_verify_is_not_remembered() {
    let memory = Memory::default();
    let mut gateway = Gateway::over(configuration(), &memory);
    gateway.bearer(&client_key().sign(&claims())).refused();
    gateway.bearer(&key().sign(&claims_with("exp", json!(1)))).refused();
    assert_eq!(memory.known().tokens.len(), 0);
}

#[test]
fn a_remembered_token_is_verified_anew_under_another_configuration_of_its_issuer() {
    let memory = Memory::default();
    let token = key().sign(&claims());
    let mut gateway = Gateway::over(configuration(), &memory);
    gateway.bearer(&token).admitted();
    let stricter = with("/issuers/0/types", json!(["application/x"]));
    let mut gateway = gateway.reconfigured(stricter, &memory);
    assert_eq!(gateway.bearer(&token).refused(), (401, "token_type"));
    let rotated = with("/issuers/0/jwks", json!({"keys": [client_key().public_jwk()]}));
    let mut gateway = gateway.reconfigured(rotated, &memory);
    assert_eq!(gateway.bearer(&token).refused(), (401, "token_key_unknown"));
    let mut gateway = gateway.reconfigured(configuration(), &memory);
    gateway.bearer(&token).admitted();
}

#[test]
fn a_remembered_token_is_good_for_its_own_resource_only() {
    let mut configuration = configuration();
    configuration["resources"]
        .as_array_mut()
        .unwrap()
        .push(json!({"resource": "https://mcp.example.com/mcp/admin"}));
    let mut gateway = Gateway::new(configuration);
    let token = key().sign(&claims());
    gateway.bearer(&token).admitted();
    let mut admin = airlock_pipeline::memory::post();
    admin.set(":path", b"/mcp/admin");
    let outcome = gateway.request(admin, &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!(outcome.refused(), (401, "token_audience"));
}

#[test]
fn memory_is_bounded_in_tokens_and_bytes() {
    let limits = CacheConfiguration { entries: 100, bytes: 10_000 };
    for size in [1, 500] {
        let mut cache = Cache::default();
        let token = verified(size);
        for number in 0..10_000 {
            cache.keep(digest(number), Rc::clone(&token), limits);
            assert!(cache.len() <= limits.entries && cache.len() * size <= limits.bytes);
        }
        assert!(cache.find(&digest(9_999), limits).is_some());
        assert!(cache.find(&digest(0), limits).is_none());
    }
    let mut cache = Cache::default();
    cache.keep(digest(0), verified(5_001), limits);
    cache.keep(digest(1), verified(1), CacheConfiguration { entries: 0, ..limits });
    assert_eq!(cache.len(), 0);
}

#[test]
fn tokens_that_are_asked_for_stay() {
    let limits = CacheConfiguration { entries: 100, bytes: 1 << 20 };
    let mut cache = Cache::default();
    let token = verified(1);
    cache.keep(digest(0), Rc::clone(&token), limits);
    for number in 1..10_000 {
        cache.keep(digest(number), Rc::clone(&token), limits);
        if number % 40 == 0 {
            assert!(cache.find(&digest(0), limits).is_some(), "{number}");
        }
    }
}
