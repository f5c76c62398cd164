//! Which client certificates may connect, and whether one is that which a token is bound to (RFC 8705).
//!
//! Rules are about names in a certificate. They mean something only where the proxy has checked who issued it: its
//! listener must require client certificates and name the authorities that it trusts.

mod pattern;
mod subject;

use airlock_pipeline::PeerCertificate;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use pattern::{Attribute, DnsName, Pattern, Uri};
use subject::Subject;

/// What client certificates may say; one of the rules must fit.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Vec<Rule>")]
pub struct Rules(Vec<Rule>);

/// What one kind of certificate says: every field that is there must fit, by one of its values.
///
/// In patterns `*` stands for one character or more, and never for one that separates parts of a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Organizational units of which the subject must name one, compared exactly.
    organizational_units: Option<Vec<String>>,
    /// Patterns of common names. A subject with two of them fits none. `*` leaves out `.`, `/`, `:`, `@` and blanks.
    common_names: Option<Vec<Pattern<Attribute>>>,
    /// Patterns of DNS names, compared without regard to case, where `*` stays within a label. Only the first
    /// alternative name of this kind is seen.
    dns_names: Option<Vec<Pattern<DnsName>>>,
    /// Patterns of URIs, where `*` stands for letters, digits and `-._~`, after the authority. Only the first
    /// alternative name of this kind is seen.
    uris: Option<Vec<Pattern<Uri>>>,
}

/// Why a certificate is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateError {
    /// There is none.
    #[error("this gateway needs a client certificate")]
    Missing,
    /// Its subject cannot be read with certainty.
    #[error("the subject of the client certificate cannot be read")]
    Unreadable,
    /// No rule fits.
    #[error("the client certificate is not one that may be used here")]
    NotAllowed,
}

impl Rules {
    /// Whether a client with this certificate may connect.
    pub(crate) fn judge(&self, certificate: Option<&PeerCertificate>) -> Result<(), CertificateError> {
        let certificate = certificate.ok_or(CertificateError::Missing)?;
        let subject = Subject::parse(&certificate.subject).ok_or(CertificateError::Unreadable)?;
        let fits = self.0.iter().any(|rule| rule.fits(&subject, certificate));
        if fits { Ok(()) } else { Err(CertificateError::NotAllowed) }
    }
}

impl Rule {
    fn fits(&self, subject: &Subject, certificate: &PeerCertificate) -> bool {
        let unit = |unit: &String| subject.organizational_units().any(|of_subject| of_subject == unit);
        let units = self.organizational_units.as_ref().is_none_or(|units| units.iter().any(unit));
        units
            && one_fits(self.common_names.as_deref(), subject.common_name())
            && one_fits(self.dns_names.as_deref(), certificate.dns_name.as_deref())
            && one_fits(self.uris.as_deref(), certificate.uri.as_deref())
    }

    /// The first field that could never do what its author meant.
    fn problem(&self) -> Option<&'static str> {
        let Self { organizational_units, common_names, dns_names, uris } = self;
        let counts = [
            organizational_units.as_ref().map(Vec::len),
            common_names.as_ref().map(Vec::len),
            dns_names.as_ref().map(Vec::len),
            uris.as_ref().map(Vec::len),
        ];
        if counts.contains(&Some(0)) {
            return Some("a list of names is empty: no certificate could fit");
        }
        counts.iter().all(Option::is_none).then_some("a rule names nothing: every certificate would fit")
    }
}

/// Whether a name fits one of the patterns, if there are any.
fn one_fits<K: pattern::Kind>(patterns: Option<&[Pattern<K>]>, name: Option<&str>) -> bool {
    patterns.is_none_or(|patterns| name.is_some_and(|name| patterns.iter().any(|pattern| pattern.fits(name))))
}

impl CertificateError {
    /// Stable reason code.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Missing => "certificate_missing",
            Self::Unreadable => "certificate_unreadable",
            Self::NotAllowed => "certificate_not_allowed",
        }
    }
}

impl TryFrom<Vec<Rule>> for Rules {
    type Error = String;

    fn try_from(rules: Vec<Rule>) -> Result<Self, String> {
        if rules.is_empty() {
            return Err("no rule: no certificate could fit".to_owned());
        }
        for (index, rule) in rules.iter().enumerate() {
            if let Some(problem) = rule.problem() {
                return Err(format!("[{index}]: {problem}"));
            }
        }
        Ok(Self(rules))
    }
}

/// Whether a certificate is that of the confirmation `x5t#S256` (RFC 8705 section 3.1), in its one spelling.
pub(crate) fn is_bound(certificate: &PeerCertificate, thumbprint: &str) -> bool {
    URL_SAFE_NO_PAD.decode(thumbprint).is_ok_and(|digest| digest == certificate.digest)
}

#[cfg(test)]
mod tests;
