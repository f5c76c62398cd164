use std::collections::BTreeMap;

use airlock_mcp::{Class, Id, Message};
use airlock_pipeline::{Caller, Facts, Mode, Refusal};
use airlock_policy::Operation as PolicyOperation;
use airlock_receipt::{
    Code, Count, Decision, Digest, Effect, FindingCount, Name, Operation, Outcome, OutcomeState, PathText,
    Printable, Record, RecordId, ScopeToken, SignedCount, Timestamp, Verdict, What, Who,
};

/// Digests of what came in and went out; absent where there were no bytes.
pub(crate) struct Digests {
    pub(crate) request: Option<Digest>,
    pub(crate) response: Option<Digest>,
}

/// The record of an exchange that is over. `digest` turns a text that must not be kept into one that may.
pub(crate) fn record(
    gateway: Name<128>,
    mode: Mode,
    facts: &Facts,
    digests: &Digests,
    now_micros: u64,
    digest: impl Fn(&str) -> String,
) -> Record {
    let mut record = Record {
        id: RecordId::try_from(facts.id.as_str()).unwrap_or(RecordId::ZERO),
        session: Name::clamped(&chain(gateway.as_str(), facts, digest)),
        gateway,
        started_at: Timestamp::from_unix_micros(facts.started_at),
        duration_us: Count::saturating(now_micros.saturating_sub(facts.started_at)),
        who: who(&facts.caller),
        what: what(facts),
        decision: decision(mode, facts),
        outcome: outcome(facts),
        request_digest: digests.request.clone(),
        response_digest: digests.response.clone(),
        findings: findings(facts),
    };
    record.clamp();
    record
}

/// The hash chain that a call belongs to: its MCP session; without one, its caller; without that, the gateway.
fn chain(gateway: &str, facts: &Facts, digest: impl Fn(&str) -> String) -> String {
    match (&facts.session, facts.caller.claims()) {
        (Some(session), _) => format!("session:{session}"),
        (None, Some(claims)) => {
            let caller = digest(&format!("{}\n{}", claims.issuer, claims.subject));
            format!("caller:{caller}")
        }
        (None, None) => format!("gateway:{gateway}"),
    }
}

fn who(caller: &Caller) -> Who {
    let Some(claims) = caller.claims() else { return Who::anonymous() };
    Who {
        issuer: Some(Name::clamped(&claims.issuer)),
        subject: Some(Name::clamped(&claims.subject)),
        client: claims.client.as_deref().map(Name::clamped),
        token_id: claims.token_id.as_deref().map(Name::clamped),
        token_scope: claims.scopes.iter().map(|scope| ScopeToken::clamped(scope)).collect(),
        dpop_jkt: claims.confirmation.key_thumbprint.as_deref().map(Name::clamped),
        anonymous: false,
    }
}

fn what(facts: &Facts) -> What {
    let message = facts.message.as_ref();
    What {
        server: facts.verdict.as_ref().and_then(|verdict| verdict.server.as_deref()).map(Name::clamped),
        method: message.and_then(|message| message.method.as_deref()).map(Name::clamped),
        name: message.and_then(|message| message.name.as_deref()).map(Name::clamped),
        operation: operation(facts),
        http_method: Name::clamped(&facts.http_method),
        path: PathText::clamped(&facts.path),
        mcp_session_id: facts.session.as_deref().and_then(|session| session.try_into().ok()),
        protocol_version: message.and_then(|message| message.protocol_version.as_deref()).map(Name::clamped),
        request_id: message.and_then(|message| message.id.as_ref()).map(|id| match id {
            Id::Number(id) | Id::Text(id) => Printable::clamped(id),
        }),
    }
}

/// What the call does, as policy says, or without a policy as its method says.
fn operation(facts: &Facts) -> Operation {
    match (&facts.verdict, facts.message.as_ref().map(Message::class)) {
        (Some(verdict), _) => match verdict.operation {
            PolicyOperation::Read => Operation::Read,
            PolicyOperation::Write => Operation::Write,
            PolicyOperation::Financial => Operation::Financial,
            PolicyOperation::Destructive => Operation::Destructive,
            PolicyOperation::Session => Operation::Session,
            PolicyOperation::List => Operation::List,
            PolicyOperation::Stream => Operation::Stream,
            PolicyOperation::ServerPull | PolicyOperation::Unknown => Operation::Unknown,
        },
        (None, Some(class)) => match class {
            Class::Session => Operation::Session,
            Class::ReadMeta => Operation::List,
            Class::ReadData => Operation::Read,
            Class::Stream => Operation::Stream,
            Class::Write => Operation::Write,
            Class::ServerPull | Class::Unknown => Operation::Unknown,
        },
        (None, None) => Operation::Unknown,
    }
}

fn decision(mode: Mode, facts: &Facts) -> Decision {
    let verdict = facts.verdict.as_ref();
    let (effect, reason, rule) = match (&facts.refusal, verdict) {
        (Some(Refusal { reason, rule, .. }), _) => (Effect::Deny, reason.as_str(), rule.as_deref()),
        (None, _) if facts.answered => (Effect::Allow, "answered_here", None),
        (None, _) if !facts.released => (Effect::Deny, "not_forwarded", None),
        (None, Some(verdict)) if verdict.allowed => {
            (Effect::Allow, verdict.reason.as_str(), verdict.rule.as_deref())
        }
        (None, Some(_)) => (Effect::Allow, "observed", None),
        (None, None) => (Effect::Allow, "no_policy", None),
    };
    Decision {
        effect,
        reason: Code::clamped(reason),
        rule: rule.map(Name::clamped),
        policy_digest: verdict.map(|verdict| Name::clamped(&verdict.policy_digest)),
        approval_principal: None,
        mode: if facts.refusal.is_none() && (mode == Mode::Observe || !facts.observed.is_empty()) {
            airlock_receipt::Mode::Observe
        } else {
            airlock_receipt::Mode::Enforce
        },
        would_deny: facts
            .observed
            .iter()
            .map(|refusal| Verdict {
                reason: Code::clamped(&refusal.reason),
                rule: refusal.rule.as_deref().map(Name::clamped),
            })
            .collect(),
    }
}

fn outcome(facts: &Facts) -> Outcome {
    let state = match (&facts.refusal, facts.status) {
        (Some(_), _) => OutcomeState::Denied,
        (None, None) => OutcomeState::Aborted,
        (None, Some(status)) if status >= 400 => OutcomeState::Failed,
        (None, Some(_)) if !facts.ended => OutcomeState::Aborted,
        (None, Some(_)) => OutcomeState::Completed,
    };
    Outcome {
        status: facts.status.filter(|status| (100..=999).contains(status)),
        state,
        rpc_error: facts.refusal.as_ref().map(|refusal| SignedCount::saturating(refusal.code)),
    }
}

fn findings(facts: &Facts) -> BTreeMap<Code, FindingCount> {
    let mut findings: BTreeMap<Code, FindingCount> = BTreeMap::new();
    for (class, count) in facts.found_in_request.iter() {
        findings.entry(Code::clamped(class.name())).or_default().request = Count::saturating(count.into());
    }
    for (class, count) in facts.found_in_response.iter() {
        findings.entry(Code::clamped(class.name())).or_default().response = Count::saturating(count.into());
    }
    findings
}
