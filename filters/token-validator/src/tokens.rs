//! Access tokens: whose they are, with which keys they are verified, and which are known already.

use std::{cell::RefCell, rc::Rc};

use airlock_jose::{KeySet, TokenError, TrustedIssuer, Verifier};
use airlock_pipeline::{CallAnswer, Host, HostError, Upkeep, Wait};
use sha2::{Digest as _, Sha256};

use crate::{
    Memory,
    admission::Admission,
    cache::{Digest, Verified},
    configuration::{CacheConfiguration, IssuerConfiguration, Requirement},
    keys::{Missing, Settings, Source},
    possession::HostSignatures,
    resources::{Resource, Resources},
};

/// The tokens of all issuers.
#[derive(Debug)]
pub(crate) struct Tokens {
    verifier: Verifier,
    issuers: Vec<Issuer>,
    cache: CacheConfiguration,
    pub(crate) native_signatures: bool,
    memory: Memory,
}

/// One issuer, beyond what its tokens look like.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// Digest of its whole configuration: what was verified under another is verified again.
    digest: Digest,
    keys: IssuerKeys,
    audiences: Vec<String>,
    clock_skew_seconds: u64,
    pub(crate) dpop: Requirement,
    pub(crate) mtls: Requirement,
    pub(crate) admission: Admission,
}

#[derive(Debug)]
enum IssuerKeys {
    Configured(Rc<KeySet>),
    Fetched(Rc<RefCell<Source>>),
}

/// What is known of a token.
#[derive(Debug)]
pub(crate) enum Known<'a> {
    /// It is good.
    Good(Rc<Verified>, &'a Issuer),
    /// Its issuer's keys are on their way.
    Pending,
}

/// Why a token is not good, or not known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokensError {
    /// It is not good.
    Token(TokenError),
    /// Its issuer's keys cannot be had.
    KeysUnavailable,
    /// The proxy does not say what it knows.
    Host,
}

impl From<HostError> for TokensError {
    fn from(HostError: HostError) -> Self {
        Self::Host
    }
}

impl Tokens {
    pub(crate) fn new(
        issuers: Vec<IssuerConfiguration>,
        resources: &Resources,
        cache: CacheConfiguration,
        native_signatures: bool,
        memory: &Memory,
    ) -> Result<Self, String> {
        let mut trusted = Vec::with_capacity(issuers.len());
        let mut others = Vec::with_capacity(issuers.len());
        for (index, issuer) in issuers.into_iter().enumerate() {
            let place = |problem| format!("issuers[{index}].{problem}");
            if issuer.audiences.is_empty() && resources.is_empty() {
                let problem = "audiences: name what its tokens are for, or describe the `resources`";
                return Err(place(problem.to_owned()));
            }
            if resources.is_empty() && !matches!(issuer.dpop, Requirement::Optional) {
                let problem = "dpop: proofs name the URL of the server: describe the `resources`";
                return Err(place(problem.to_owned()));
            }
            others.push(Issuer::new(&issuer, memory).map_err(place)?);
            trusted.push(trusted_issuer(issuer));
        }
        for resource in resources.iter() {
            let reachable = |issuer: &TrustedIssuer| {
                issuer.audiences.is_empty()
                    || issuer.audiences.iter().any(|audience| resource.audiences.contains(audience))
            };
            if !trusted.iter().any(reachable) {
                return Err(format!(
                    "resources: no issuer has an audience of `{}`: name it in `audiences` of either",
                    resource.identifier
                ));
            }
        }
        let verifier = Verifier::new(trusted).map_err(|error| error.to_string())?;
        Ok(Self { verifier, issuers: others, cache, native_signatures, memory: memory.clone() })
    }

    /// Whether this token is good for `resource`. Where the keys for it are on their way the request has to wait, and
    /// `wait` keeps its place.
    pub(crate) fn known(
        &self,
        digest: &Digest,
        token: &[u8],
        resource: Option<&Resource>,
        wait: &mut Option<Wait>,
        host: &mut dyn Host,
    ) -> Result<Known<'_>, TokensError> {
        let now_ms = host.now_micros() / 1_000;
        let known = match self.remembered(digest, now_ms)? {
            Some((verified, issuer)) => Known::Good(verified, issuer),
            None => self.verify(digest, token, wait, host)?,
        };
        if !matches!(known, Known::Pending) {
            *wait = None;
        }
        if let (Known::Good(verified, issuer), Some(resource)) = (&known, resource) {
            // One and the same name must be right for both: a token for two resources of its issuer opens no third.
            let fits = |audience: &&String| {
                resource.audiences.contains(audience)
                    && (issuer.audiences.is_empty() || issuer.audiences.contains(audience))
            };
            verified.claims.audience.iter().find(fits).ok_or(TokensError::Token(TokenError::Audience))?;
        }
        Ok(known)
    }

    /// A token that verified before, under the same configuration and keys.
    fn remembered(
        &self,
        digest: &Digest,
        now_ms: u64,
    ) -> Result<Option<(Rc<Verified>, &Issuer)>, TokensError> {
        let mut memory = self.memory.known();
        let Some(verified) = memory.tokens.find(digest, self.cache) else { return Ok(None) };
        let issuer = self.issuers.iter().find(|issuer| issuer.digest == verified.issuer);
        let holds = |issuer: &&Issuer| {
            issuer.keys.held(now_ms).is_some_and(|(_, revision)| revision == verified.keys)
        };
        let Some(issuer) = issuer.filter(holds) else { return Ok(None) };
        let expires_at = verified.claims.expires_at.saturating_add(issuer.clock_skew_seconds);
        if now_ms / 1_000 >= expires_at {
            memory.tokens.forget(digest);
            return Err(TokensError::Token(TokenError::Expired));
        }
        Ok(Some((verified, issuer)))
    }

    fn verify(
        &self,
        digest: &Digest,
        token: &[u8],
        wait: &mut Option<Wait>,
        host: &mut dyn Host,
    ) -> Result<Known<'_>, TokensError> {
        let unverified = self.verifier.read(token).map_err(TokensError::Token)?;
        let issuer = self.issuers.get(unverified.issuer()).ok_or(TokensError::Token(TokenError::Issuer))?;
        // Keys change once at most while this is looked at.
        for _ in 0..2 {
            let now_ms = host.now_micros() / 1_000;
            let keys = issuer.keys.held(now_ms);
            if let Some((keys, revision)) = &keys {
                let signatures = HostSignatures { host, native: self.native_signatures };
                match unverified.verify(keys, &signatures, now_ms / 1_000) {
                    Ok(claims) => {
                        let verified = Rc::new(Verified::new(claims, issuer.digest, *revision, token.len()));
                        self.memory.known().tokens.keep(*digest, Rc::clone(&verified), self.cache);
                        return Ok(Known::Good(verified, issuer));
                    }
                    Err(TokenError::KeyUnknown) if issuer.keys.can_change() => {}
                    Err(error) => return Err(TokensError::Token(error)),
                }
            }
            let place = match wait {
                Some(wait) => wait,
                None => wait.insert(Wait {
                    since_ms: now_ms,
                    after: None,
                    place: self.memory.known().keys.place().ok_or(TokensError::KeysUnavailable)?,
                }),
            };
            match issuer.keys.missing(keys.is_some(), place, host)? {
                Missing::Look => {}
                Missing::Wait => return Ok(Known::Pending),
                Missing::Unknown => return Err(TokensError::Token(TokenError::KeyUnknown)),
                Missing::Unavailable => return Err(TokensError::KeysUnavailable),
            }
        }
        Ok(Known::Pending)
    }

    /// Renews the keys of all issuers where it is time.
    pub(crate) fn upkeep(&self, host: &mut dyn Host) -> Upkeep {
        self.each_source(|source, next_call| source.upkeep(next_call, host))
    }

    /// Takes the answer to a call of [`Tokens::upkeep`].
    pub(crate) fn answered(&self, call: u32, answer: Option<&CallAnswer>, host: &mut dyn Host) -> Upkeep {
        self.each_source(|source, next_call| source.answered(call, answer, next_call, host))
    }

    fn each_source(
        &self,
        mut work: impl FnMut(&mut Source, &mut u32) -> Result<Upkeep, HostError>,
    ) -> Upkeep {
        let mut all = Upkeep::default();
        for issuer in &self.issuers {
            let IssuerKeys::Fetched(source) = &issuer.keys else { continue };
            let next_call = &mut self.memory.known().keys.next_call;
            // A proxy that does not share data now is asked again at the next tick.
            let Ok(upkeep) = work(&mut source.borrow_mut(), next_call) else { continue };
            all.calls.extend(upkeep.calls);
            all.warnings.extend(upkeep.warnings);
            all.wake |= upkeep.wake;
            all.again_ms = all.again_ms.into_iter().chain(upkeep.again_ms).min();
        }
        all
    }
}

impl Issuer {
    fn new(configured: &IssuerConfiguration, memory: &Memory) -> Result<Self, String> {
        Ok(Self {
            // `Debug` shows every member.
            digest: Sha256::digest(format!("{configured:?}")).into(),
            keys: IssuerKeys::new(configured, memory)?,
            audiences: configured.audiences.clone(),
            clock_skew_seconds: configured.clock_skew_seconds,
            dpop: configured.dpop.clone(),
            mtls: configured.mtls.clone(),
            admission: Admission::new(configured),
        })
    }
}

impl IssuerKeys {
    fn new(configured: &IssuerConfiguration, memory: &Memory) -> Result<Self, String> {
        match (&configured.jwks, &configured.cluster) {
            (Some(jwks), None) => {
                let keys = KeySet::parse(jwks).map_err(|error| format!("jwks: {error}"))?;
                let algorithms =
                    configured.algorithms.clone().unwrap_or_else(|| configured.profile.algorithms());
                if !algorithms.iter().any(|algorithm| keys.verifies(*algorithm)) {
                    return Err("jwks: no key is for any of the issuer's `algorithms`".to_owned());
                }
                Ok(Self::Configured(Rc::new(keys)))
            }
            (None, Some(cluster)) => {
                let settings = Settings::new(configured, cluster)?;
                Ok(Self::Fetched(memory.known().keys.source(settings)))
            }
            (None, None) => {
                Err("jwks: the keys must be here, or `cluster` must say how to fetch them".to_owned())
            }
            (Some(_), Some(_)) => {
                Err("jwks: the keys are either here or fetched through `cluster`".to_owned())
            }
        }
    }

    fn held(&self, now_ms: u64) -> Option<(Rc<KeySet>, u64)> {
        match self {
            Self::Configured(keys) => Some((Rc::clone(keys), 0)),
            Self::Fetched(source) => source.borrow().held(now_ms),
        }
    }

    fn can_change(&self) -> bool {
        matches!(self, Self::Fetched(_))
    }

    fn missing(&self, has_keys: bool, wait: &mut Wait, host: &mut dyn Host) -> Result<Missing, HostError> {
        match self {
            Self::Configured(_) => Ok(Missing::Unknown),
            Self::Fetched(source) => source.borrow_mut().missing(has_keys, wait, host),
        }
    }
}

fn trusted_issuer(configured: IssuerConfiguration) -> TrustedIssuer {
    let algorithms = configured.algorithms.unwrap_or_default();
    let issuer = TrustedIssuer::new(configured.issuer, configured.audiences, algorithms)
        .with_profile(configured.profile);
    TrustedIssuer {
        clock_skew_seconds: configured.clock_skew_seconds,
        types: configured.types.unwrap_or(issuer.types),
        accept_absent_type: configured.accept_absent_type.unwrap_or(issuer.accept_absent_type),
        tenants: configured.tenants,
        claim_names: configured.claims.over(issuer.claim_names),
        ..issuer
    }
}
