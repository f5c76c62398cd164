use super::fixtures::*;
use crate::{ConfigurationError, IssuerProblem, TrustedIssuer, Verifier, limits};

fn configured(change: impl FnOnce(&mut TrustedIssuer)) -> Result<(), ConfigurationError> {
    let mut trusted = issuer(ISSUER);
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
fn audiences_must_be_text_and_bounded() {
    for audiences in [vec![String::new()], vec![AUDIENCE.into(), String::new()], vec!["a".into(); 33]] {
        assert_refused(IssuerProblem::Audiences, |trusted| trusted.audiences = audiences);
    }
}

#[test]
fn there_must_be_an_algorithm() {
    assert_refused(IssuerProblem::NoAlgorithm, |trusted| trusted.algorithms.clear());
}

#[test]
fn a_place_for_a_tenant_is_there_once_and_has_tenants() {
    let tenanted = |issuer: &str, tenants: &[&str]| {
        let (issuer, tenants) =
            (issuer.to_owned(), tenants.iter().map(|tenant| (*tenant).to_owned()).collect());
        move |trusted: &mut TrustedIssuer| (trusted.issuer, trusted.tenants) = (issuer, tenants)
    };
    assert_eq!(configured(tenanted("https://login.example.com/{tenant}/v2.0", &["a", "b"])), Ok(()));
    assert_eq!(configured(tenanted(ISSUER, &["a"])), Ok(()));
    for (issuer, tenants) in [
        ("https://login.example.com/{tenant}", &[][..]),
        ("https://login.example.com/{tenant}/{tenant}", &["a"]),
        ("https://login.example.com/{tenant}", &[""]),
        ("https://login.example.com/{tenant}", &["a/b"]),
        ("https://login.example.com/{tenant}", &["{tenant}"]),
        (ISSUER, &["a b"]),
        (ISSUER, &["ä"]),
        (ISSUER, &["a"; limits::TENANTS + 1]),
    ] {
        assert_refused(IssuerProblem::Tenants, tenanted(issuer, tenants));
    }
    assert_refused(IssuerProblem::Tenants, |trusted| {
        trusted.tenants = vec!["a".into()];
        trusted.claim_names.tenant.clear();
    });
}

#[test]
fn claim_names_are_bounded_and_there_is_one_for_the_subject() {
    assert_refused(IssuerProblem::ClaimNames, |trusted| trusted.claim_names.subject.clear());
    assert_refused(IssuerProblem::ClaimNames, |trusted| trusted.claim_names.groups.push(String::new()));
    assert_refused(IssuerProblem::ClaimNames, |trusted| {
        trusted.claim_names.roles = vec!["a".into(); limits::CLAIM_NAMES + 1];
    });
    assert_eq!(configured(|trusted| trusted.claim_names.groups.clear()), Ok(()));
}

#[test]
fn the_clock_skew_is_at_most_five_minutes_and_thirty_seconds_by_default() {
    assert_eq!(issuer(ISSUER).clock_skew_seconds, 30);
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
        (0..count).map(|index| issuer(&format!("{ISSUER}/{index}"))).collect()
    };
    assert_eq!(Verifier::new(vec![]).map(drop), Err(ConfigurationError::NoIssuer));
    assert!(Verifier::new(several(limits::ISSUERS)).is_ok());
    assert_eq!(
        Verifier::new(several(limits::ISSUERS + 1)).map(drop),
        Err(ConfigurationError::TooManyIssuers)
    );
    let twice = vec![issuer(ISSUER), issuer(ISSUER)];
    assert_eq!(Verifier::new(twice).map(drop), Err(ConfigurationError::DuplicateIssuer(ISSUER.into())));

    let mut tenanted = issuer("https://login.example.com/{tenant}/");
    tenanted.tenants = vec!["a".into(), "b".into()];
    let b = "https://login.example.com/b/";
    for issuers in [vec![tenanted.clone(), issuer(b)], vec![issuer(b), tenanted]] {
        assert_eq!(Verifier::new(issuers).map(drop), Err(ConfigurationError::DuplicateIssuer(b.into())));
    }
}
