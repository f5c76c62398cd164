//! One attempt to fetch keys: where the issuer says they are, then the keys.

use airlock_jose::limits;
use airlock_pipeline::{CallAnswer, Host, HostError, NEW, OutgoingCall, Upkeep};
use sha2::{Digest as _, Sha256};

use super::{
    Held, Source,
    endpoint::{self, Endpoint},
    milliseconds, read_set,
    record::Record,
};
use crate::{cache::Digest, configuration::IssuerConfiguration};

/// How the keys of one issuer are fetched. Times are in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Value of `iss`.
    pub(crate) issuer: String,
    /// Cluster of the proxy.
    pub(crate) cluster: String,
    /// Where to begin.
    pub(crate) start: Start,
    /// After so long keys are fetched again.
    pub(crate) refresh_ms: u64,
    /// Shortest time between attempts that unknown keys bring about.
    pub(crate) unknown_key_ms: u64,
    /// For so long keys are used without being fetched again.
    pub(crate) keep_ms: u64,
    /// A call may take so long.
    pub(crate) timeout_ms: u64,
}

/// Where an attempt begins.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// The keys are there.
    KeySet(Endpoint),
    /// One of these says where the keys are.
    Metadata(Vec<Endpoint>),
}

/// An attempt of this worker that is under way.
#[derive(Debug)]
pub(super) struct Attempt {
    call: u32,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// A metadata document was asked for; the number is its place among those that there can be.
    Metadata(usize),
    KeySet,
}

/// Calls of an attempt at most: two documents and a key set.
const CALLS: u64 = 3;

/// Milliseconds between two looks at what other workers have found out.
const LOOK_MS: u32 = 1_000;

impl Settings {
    /// What configuration says of an issuer's keys.
    pub(crate) fn new(issuer: &IssuerConfiguration, cluster: &str) -> Result<Self, String> {
        let endpoint = |name: &str, url: &str| {
            Endpoint::parse(url).ok_or_else(|| format!("{name}: `{}` is no URL", url.escape_debug()))
        };
        let start = match (&issuer.jwks_uri, &issuer.discovery_uri) {
            (Some(uri), None) => Start::KeySet(endpoint("jwks_uri", uri)?),
            (None, Some(uri)) => Start::Metadata(vec![endpoint("discovery_uri", uri)?]),
            (None, None) if issuer.issuer.contains('{') => {
                return Err("jwks_uri: say where the keys of all tenants are".to_owned());
            }
            (None, None) => Start::Metadata(endpoint("issuer", &issuer.issuer)?.metadata_of().to_vec()),
            (Some(_), Some(_)) => {
                return Err("discovery_uri: `jwks_uri` says already where the keys are".to_owned());
            }
        };
        let milliseconds = |seconds: u32| u64::from(seconds).saturating_mul(1_000);
        Ok(Self {
            issuer: issuer.issuer.clone(),
            cluster: cluster.to_owned(),
            start,
            refresh_ms: milliseconds(issuer.refresh_seconds.max(1)),
            unknown_key_ms: milliseconds(issuer.unknown_key_seconds),
            keep_ms: milliseconds(issuer.keep_seconds.max(issuer.refresh_seconds)),
            timeout_ms: u64::from(issuer.timeout_ms),
        })
    }

    /// What tells these settings from others.
    pub(super) fn digest(&self) -> Digest {
        Sha256::digest(format!("{self:?}")).into()
    }
}

impl Source {
    /// Does what is due. `next_call` numbers the calls of a stage.
    pub(crate) fn upkeep(&mut self, next_call: &mut u32, host: &mut dyn Host) -> Result<Upkeep, HostError> {
        let wake = self.look(host)?;
        let now_ms = milliseconds(host);
        let calls = if self.due() <= now_ms && self.lease(now_ms, host)? {
            match &self.settings.start {
                Start::KeySet(endpoint) => vec![self.call(endpoint.clone(), Step::KeySet, next_call)],
                Start::Metadata(places) => match places.first().cloned() {
                    Some(first) => vec![self.call(first, Step::Metadata(0), next_call)],
                    None => Vec::new(),
                },
            }
        } else {
            Vec::new()
        };
        Ok(Upkeep { calls, wake, again_ms: Some(LOOK_MS), warnings: Vec::new() })
    }

    /// Takes the answer to a call, if it is one of this source.
    pub(crate) fn answered(
        &mut self,
        call: u32,
        answer: Option<&CallAnswer>,
        next_call: &mut u32,
        host: &mut dyn Host,
    ) -> Result<Upkeep, HostError> {
        let Some(attempt) = self.attempt.take_if(|attempt| attempt.call == call) else {
            return Ok(Upkeep::default());
        };
        let body = answer.filter(|answer| answer.status == 200).map(|answer| answer.body.as_slice());
        let following = match attempt.step {
            Step::KeySet => {
                let fetched = body.map_or(Ok(None), |body| self.take_set(body, host))?;
                return self.end(fetched, host);
            }
            Step::Metadata(place) => self.after_metadata(place, body),
        };
        match following {
            Some((endpoint, step)) => {
                let calls = vec![self.call(endpoint, step, next_call)];
                Ok(Upkeep { calls, again_ms: Some(LOOK_MS), ..Upkeep::default() })
            }
            None => self.end(None, host),
        }
    }

    /// Takes over a key set that was fetched, if it is one. Returns the time.
    fn take_set(&mut self, body: &[u8], host: &mut dyn Host) -> Result<Option<u64>, HostError> {
        let Some((set, revision)) = read_set(body) else { return Ok(None) };
        let fetched = milliseconds(host);
        share_set(host, &self.names.set, body)?;
        self.held = Some(Held { set, revision, fetched });
        Ok(Some(fetched))
    }

    /// The call that follows a metadata document, or the absence of one.
    fn after_metadata(&self, place: usize, body: Option<&[u8]>) -> Option<(Endpoint, Step)> {
        let Start::Metadata(places) = &self.settings.start else { return None };
        let from = places.get(place)?;
        let named = body.and_then(|body| endpoint::key_set_endpoint(body, &self.settings.issuer, from));
        let next = place.saturating_add(1);
        named
            .map(|endpoint| (endpoint, Step::KeySet))
            .or_else(|| Some((places.get(next)?.clone(), Step::Metadata(next))))
    }

    fn call(&mut self, endpoint: Endpoint, step: Step, next_call: &mut u32) -> OutgoingCall {
        let id = *next_call;
        *next_call = next_call.wrapping_add(1);
        let answer_bytes = match step {
            Step::KeySet => limits::KEY_SET_BYTES,
            Step::Metadata(_) => endpoint::METADATA_BYTES,
        };
        self.attempt = Some(Attempt { call: id, step });
        OutgoingCall {
            id,
            cluster: self.settings.cluster.clone(),
            method: "GET",
            authority: endpoint.authority,
            path: endpoint.path,
            headers: vec![("accept", "application/json".to_owned())],
            body: None,
            timeout_ms: u32::try_from(self.settings.timeout_ms).unwrap_or(u32::MAX),
            answer_bytes,
        }
    }

    /// Says to all workers that this one makes an attempt, unless another does. A worker that dies at it is waited for
    /// until its calls would have timed out.
    fn lease(&mut self, now_ms: u64, host: &mut dyn Host) -> Result<bool, HostError> {
        let seen = Record::read(host, &self.names.record)?;
        if seen.record != self.record || seen.record.leased_until > now_ms {
            return Ok(false);
        }
        let leased_until = now_ms.saturating_add(self.settings.timeout_ms.saturating_mul(CALLS));
        let begun = seen.record.begun.saturating_add(1);
        let record = Record { begun, began: now_ms, leased_until, ..seen.record };
        let is_ours = seen.replace(host, &self.names.record, record).is_ok();
        if is_ours {
            self.record = record;
        }
        Ok(is_ours)
    }

    /// Says to all workers how the attempt has ended: when keys came, or that none did.
    fn end(&mut self, fetched: Option<u64>, host: &mut dyn Host) -> Result<Upkeep, HostError> {
        host.count(if fetched.is_some() { "keys_fetched" } else { "keys_not_fetched" });
        let now_ms = milliseconds(host);
        let seen = Record::read(host, &self.names.record)?;
        let ended = Record {
            done: seen.record.begun,
            ended: now_ms,
            leased_until: 0,
            fetched: fetched.unwrap_or(seen.record.fetched),
            failures: if fetched.is_some() { 0 } else { seen.record.failures.saturating_add(1) },
            ..seen.record
        };
        // Where another worker has taken over in the meantime its record stands, and its keys come soon.
        let _ = seen.replace(host, &self.names.record, ended);
        self.record = ended;
        self.wanted_after = self.wanted_after.filter(|attempt| ended.done <= *attempt);
        let Settings { issuer, cluster, .. } = &self.settings;
        let warning =
            || format!("the keys of `{issuer}` could not be fetched through the cluster `{cluster}`");
        let warnings = if fetched.is_some() { Vec::new() } else { vec![warning()] };
        Ok(Upkeep { calls: Vec::new(), wake: true, again_ms: Some(LOOK_MS), warnings })
    }
}

/// Puts a key set where all workers find it. The last one counts, so that a lost race is repeated.
fn share_set(host: &mut dyn Host, name: &str, body: &[u8]) -> Result<(), HostError> {
    const ATTEMPTS: usize = 8;
    for _ in 0..ATTEMPTS {
        let revision = host.shared(name)?.map_or(NEW, |(_, revision)| revision);
        if host.share(name, body, revision).is_ok() {
            return Ok(());
        }
    }
    Err(HostError)
}
