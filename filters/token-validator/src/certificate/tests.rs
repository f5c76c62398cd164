use proptest::prelude::*;

use super::*;

fn rules(json: &str) -> Result<Rules, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn certificate(subject: &str, dns_name: Option<&str>, uri: Option<&str>) -> PeerCertificate {
    let owned = |name: Option<&str>| name.map(str::to_owned);
    PeerCertificate {
        digest: [7; 32],
        subject: subject.to_owned(),
        dns_name: owned(dns_name),
        uri: owned(uri),
    }
}

const AGENTS: &str = r#"[
    {"organizational_units": ["agents", "bots"], "common_names": ["agent-*", "bot"]},
    {"dns_names": ["*.agents.example.com"]},
    {"uris": ["spiffe://example.org/agents/*"], "organizational_units": ["mesh"]}
]"#;

#[test]
fn a_certificate_fits_every_field_of_one_rule() {
    let rules = rules(AGENTS).unwrap();
    let uri = Some("spiffe://example.org/agents/7");
    for fitting in [
        certificate("CN=agent-7,OU=agents,O=Example", None, None),
        certificate("OU=staff+OU=bots,CN=bot", None, None),
        certificate("", Some("a.agents.example.com"), None),
        certificate("OU=mesh", Some("other.example.com"), uri),
    ] {
        assert_eq!(rules.judge(Some(&fitting)), Ok(()), "{fitting:?}");
    }
    for other in [
        certificate("CN=agent-7", None, None),
        certificate("OU=agents", None, None),
        certificate("CN=agent-7,OU=Agents", None, None),
        certificate("CN=agent-7,CN=agent-8,OU=agents", None, None),
        certificate("CN=agent-7\\,OU=agents", None, None),
        certificate("CN=other,OU=agents", None, uri),
        certificate("OU=agents", None, uri),
        certificate("CN=a.agents.example.com", None, None),
        certificate("", None, Some("a.agents.example.com")),
        certificate("CN=agent-7,OU=#0C066167656E7473", None, None),
    ] {
        assert_eq!(rules.judge(Some(&other)), Err(CertificateError::NotAllowed), "{other:?}");
    }
}

#[test]
fn without_a_certificate_or_with_one_that_cannot_be_read_nobody_gets_in() {
    let rules = rules(AGENTS).unwrap();
    assert_eq!(rules.judge(None), Err(CertificateError::Missing));
    for subject in ["CN=\"agent-7\",OU=agents", "CN=agent-7;OU=agents", "CN=agent-7\\00,OU=agents"] {
        let certificate = certificate(subject, Some("a.agents.example.com"), None);
        assert_eq!(rules.judge(Some(&certificate)), Err(CertificateError::Unreadable), "{subject}");
    }
    let reasons = [CertificateError::Missing, CertificateError::Unreadable, CertificateError::NotAllowed];
    assert_eq!(
        reasons.map(CertificateError::reason),
        ["certificate_missing", "certificate_unreadable", "certificate_not_allowed"]
    );
}

#[test]
fn rules_that_say_nothing_are_refused() {
    for (json, problem) in [
        ("[]", "no rule"),
        ("[{}]", "[0]: a rule names nothing"),
        (r#"[{"uris": ["a:b"]}, {}]"#, "[1]: a rule names nothing"),
        (r#"[{"organizational_units": []}]"#, "[0]: a list of names is empty"),
        (r#"[{"common_names": ["a"], "dns_names": []}]"#, "[0]: a list of names is empty"),
        (r#"[{"common_name": ["a"]}]"#, "unknown field `common_name`"),
        (r#"[{"dns_names": ["a..b"]}]"#, "`a..b`: not a dns name"),
        (r#"[{"uris": ["https://*/"]}]"#, "after the authority only"),
    ] {
        let refused = rules(json).unwrap_err();
        assert!(refused.contains(problem), "{json}: {refused}");
    }
}

/// RFC 8705 appendix A has none for which the certificate is known; the form is that of its section 3.1.
#[test]
fn a_token_is_bound_to_one_certificate_in_one_spelling() {
    let certificate = certificate("CN=a", None, None);
    let thumbprint = URL_SAFE_NO_PAD.encode([7; 32]);
    assert!(is_bound(&certificate, &thumbprint));
    let hex = "07".repeat(32);
    let (padded, cut) = (format!("{thumbprint}="), thumbprint.split_at(42).0.to_owned());
    let trailing_bits = format!("{cut}d");
    let other = URL_SAFE_NO_PAD.encode([8; 32]);
    for refused in ["", " ", &padded, &cut, &trailing_bits, &other, &hex, &thumbprint.to_lowercase()] {
        assert!(!is_bound(&certificate, refused), "{refused}");
    }
}

proptest! {
    /// Whatever stands in one value, it never counts as another attribute.
    #[test]
    fn no_value_adds_an_organizational_unit(value in "[ -~]{0,32}") {
        let rules = rules(r#"[{"organizational_units": ["agents"]}]"#).unwrap();
        let escaped: String = value.bytes().map(|byte| format!("\\{byte:02X}")).collect();
        let certificate = certificate(&format!("CN={escaped},O=Example"), None, None);
        prop_assert_eq!(rules.judge(Some(&certificate)), Err(CertificateError::NotAllowed));
    }
}
