use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::claims::{Claims, Judged};
use crate::compact::CompactJws;
use crate::error::TokenError;
use crate::header::Header;
use crate::issuer::{self, ConfigurationError, TrustedIssuer};
use crate::key_set::{KeySet, Wanted};
use crate::signature_check::SignatureCheck;
use crate::{json, limits};

/// Verifies access tokens of a fixed list of issuers.
#[derive(Clone, Debug)]
pub struct Verifier {
    issuers: Vec<TrustedIssuer>,
    /// Index and tenant of every `iss` that is accepted.
    names: BTreeMap<String, (usize, Option<String>)>,
}

/// A token that was parsed and matched to one issuer. Nothing of it is proven.
pub struct Unverified<'a> {
    jws: CompactJws<'a>,
    header: Header,
    members: Map<String, Value>,
    index: usize,
    trusted: &'a TrustedIssuer,
    issuer: &'a str,
    tenant: Option<&'a str>,
}

impl Verifier {
    /// A verifier that accepts tokens of these issuers and of no other.
    ///
    /// # Errors
    /// [`ConfigurationError`] for a configuration that is ambiguous, unsafe, or could accept nothing.
    pub fn new(issuers: Vec<TrustedIssuer>) -> Result<Self, ConfigurationError> {
        let names = issuer::check(&issuers)?;
        Ok(Self { issuers, names })
    }

    /// The issuers, in the order in which they were given.
    #[must_use]
    pub fn issuers(&self) -> &[TrustedIssuer] {
        &self.issuers
    }

    /// Reads an access token in compact form, without the `Bearer` or `DPoP` before it, and matches it to one
    /// issuer, before any key is looked at.
    ///
    /// # Errors
    /// [`TokenError`] for the first check that failed.
    pub fn read<'a>(&'a self, token: &'a [u8]) -> Result<Unverified<'a>, TokenError> {
        let jws = CompactJws::parse(token)?;
        let header = Header::read(&jws.header)?;
        let members =
            json::object(&jws.payload, limits::TOKEN_BYTES).map_err(|_| TokenError::Malformed("payload"))?;

        // The claim only says whose keys count: a token that lies about its issuer fails at the signature.
        let named = members.get("iss").and_then(Value::as_str).ok_or(TokenError::Issuer)?;
        let (issuer, (index, tenant)) = self.names.get_key_value(named).ok_or(TokenError::Issuer)?;
        let trusted = self.issuers.get(*index).ok_or(TokenError::Issuer)?;
        trusted.check_header(&header)?;
        Ok(Unverified { jws, header, members, index: *index, trusted, issuer, tenant: tenant.as_deref() })
    }
}

impl Unverified<'_> {
    /// The issuer's index in [`Verifier::issuers`].
    #[must_use]
    pub fn issuer(&self) -> usize {
        self.index
    }

    /// Verifies the token with its issuer's keys, and judges its claims.
    ///
    /// The time is in seconds since 1970. An accepted token may be remembered until [`Claims::expires_at`],
    /// under a digest of all its bytes. It is worth nothing before all of [`Claims::confirmation`] is proven.
    ///
    /// # Errors
    /// [`TokenError`] for the first check that failed. After [`TokenError::KeyUnknown`] it may be tried again
    /// with newer keys.
    pub fn verify(
        &self,
        keys: &KeySet,
        signatures: &dyn SignatureCheck,
        now_seconds: u64,
    ) -> Result<Claims, TokenError> {
        let key = keys.select(Wanted {
            key_id: self.header.key_id.as_deref(),
            algorithm: self.header.algorithm,
            issuer: self.issuer,
            tenant: self.tenant.or_else(|| self.claimed_tenant()),
        })?;
        signatures
            .verify(key, self.jws.signing_input, &self.jws.signature)
            .map_err(|_| TokenError::Signature)?;
        let judged = Judged {
            members: &self.members,
            trusted: self.trusted,
            issuer: self.issuer,
            tenant_in_issuer: self.tenant,
            typed: self.header.is_typed(),
        };
        judged.claims(now_seconds)
    }

    /// The tenant that an issuer without `{tenant}` in its name serves, for keys that ask for it.
    fn claimed_tenant(&self) -> Option<&str> {
        let names = &self.trusted.claim_names.tenant;
        names.iter().find_map(|name| self.members.get(name)).and_then(Value::as_str)
    }
}

impl std::fmt::Debug for Unverified<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Unverified").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
