use super::fixtures::*;
use crate::{Algorithm, ConfigurationError, IssuerProblem, KeySet, TrustedIssuer, Verifier, limits};

fn configured(change: impl FnOnce(&mut TrustedIssuer)) -> Result<(), ConfigurationError> {
    let mut trusted = issuer(ISSUER, &SIGNERS);
    change(&mut trusted);
    Verifier::new(vec![trusted]).map(drop)
}

#[track_caller]
fn assert_refused(problem: IssuerProblem, change: impl FnOnce(&mut TrustedIssuer)) {
    let refused = configured(change).unwrap_err();
    assert!(
        matches!(&refused, ConfigurationError::Issuer { problem: found, .. } if *found == problem),
        "{refused}"
    );
}

#[test]
fn an_issuer_must_be_a_name_without_white_space() {
    for name in [
        String::new(),
        " ".into(),
        format!("{ISSUER}\n"),
        "a\u{0}".into(),
        "x".repeat(limits::CLAIM_BYTES + 1),
    ] {
        assert_refused(IssuerProblem::Issuer, |trusted| trusted.issuer = name);
    }
}

#[test]
fn there_must_be_an_audience() {
    for audiences in [vec![], vec![String::new()], vec![AUDIENCE.into(), String::new()], vec!["a".into(); 33]]
    {
        assert_refused(IssuerProblem::Audiences, |trusted| trusted.audiences = audiences);
    }
}

#[test]
fn there_must_be_an_algorithm_and_a_key_for_it() {
    assert_refused(IssuerProblem::NoAlgorithm, |trusted| trusted.algorithms.clear());
    assert_refused(IssuerProblem::NoKey, |trusted| {
        trusted.keys = KeySet::parse(&serde_json::json!({"keys": []})).unwrap();
    });
    assert_refused(IssuerProblem::NoKey, |trusted| {
        trusted.keys = key_set(&[Signer::Es256]);
        trusted.algorithms = vec![Algorithm::EdDSA];
    });
}

#[test]
fn the_clock_skew_is_at_most_five_minutes_and_thirty_seconds_by_default() {
    assert_eq!(issuer(ISSUER, &SIGNERS).clock_skew_seconds, 30);
    assert_eq!(configured(|trusted| trusted.clock_skew_seconds = 300), Ok(()));
    for skew in [301, u64::MAX] {
        assert_refused(IssuerProblem::ClockSkew, |trusted| trusted.clock_skew_seconds = skew);
    }
}

#[test]
fn some_type_must_be_accepted() {
    assert_refused(IssuerProblem::Types, |trusted| trusted.types.clear());
    assert_refused(IssuerProblem::Types, |trusted| trusted.types.push(String::new()));
    assert_eq!(configured(|trusted| (trusted.types, trusted.accept_absent_type) = (vec![], true)), Ok(()));
}

#[test]
fn issuers_must_be_there_bounded_and_different() {
    let several = |count: usize| -> Vec<TrustedIssuer> {
        (0..count).map(|index| issuer(&format!("{ISSUER}/{index}"), &[Signer::EdDsa])).collect()
    };
    assert_eq!(Verifier::new(vec![]).map(drop), Err(ConfigurationError::NoIssuer));
    assert!(Verifier::new(several(limits::ISSUERS)).is_ok());
    assert_eq!(
        Verifier::new(several(limits::ISSUERS + 1)).map(drop),
        Err(ConfigurationError::TooManyIssuers)
    );
    let twice = vec![issuer(ISSUER, &[Signer::EdDsa]), issuer(ISSUER, &[Signer::Other])];
    assert_eq!(Verifier::new(twice).map(drop), Err(ConfigurationError::DuplicateIssuer(ISSUER.into())));
}
