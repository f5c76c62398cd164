//! Who of those that an issuer vouches for may call at all.

use std::collections::BTreeSet;

use airlock_jose::Claims;

use crate::configuration::{Denied, IssuerConfiguration};

/// The lists of one issuer.
#[derive(Debug)]
pub(crate) struct Admission {
    clients: BTreeSet<String>,
    required_groups: Vec<String>,
    allowed_groups: BTreeSet<String>,
    denied_token_ids: BTreeSet<String>,
    denied_subjects: BTreeSet<String>,
    denied_clients: BTreeSet<String>,
}

/// Why a caller with a valid token may not call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The token is on the deny list, or cannot be told from those that are.
    #[error("this access token has been revoked")]
    Token,
    /// The subject is on the deny list.
    #[error("this caller is not allowed here")]
    Subject,
    /// The client is on the deny list, or not on the list of those that may call.
    #[error("this client is not allowed here")]
    Client,
    /// The caller is not in the groups that may call.
    #[error("this caller is not in a group that is allowed here")]
    Group,
}

impl Refused {
    /// The stable reason code.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Token => "token_revoked",
            Self::Subject => "subject_denied",
            Self::Client => "client_not_allowed",
            Self::Group => "group_required",
        }
    }
}

impl Admission {
    /// The lists of a configured issuer.
    pub(crate) fn new(issuer: &IssuerConfiguration) -> Self {
        let set = |list: &[String]| list.iter().cloned().collect();
        let Denied { token_ids, subjects, clients } = &issuer.denied;
        Self {
            clients: set(&issuer.clients),
            required_groups: issuer.required_groups.clone(),
            allowed_groups: set(&issuer.allowed_groups),
            denied_token_ids: set(token_ids),
            denied_subjects: set(subjects),
            denied_clients: set(clients),
        }
    }

    /// Whether the caller may call.
    pub(crate) fn judge(&self, claims: &Claims) -> Result<(), Refused> {
        let listed = |list: &BTreeSet<String>, name: &Option<String>| match name {
            Some(name) => list.contains(name),
            // Without a name it could be any on the list.
            None => !list.is_empty(),
        };
        if listed(&self.denied_token_ids, &claims.token_id) {
            return Err(Refused::Token);
        }
        if self.denied_subjects.contains(&claims.subject) {
            return Err(Refused::Subject);
        }
        let is_allowed_client = self.clients.is_empty()
            || claims.client.as_ref().is_some_and(|client| self.clients.contains(client));
        if !is_allowed_client || listed(&self.denied_clients, &claims.client) {
            return Err(Refused::Client);
        }
        let is_in_one = self.allowed_groups.is_empty()
            || claims.groups.iter().any(|group| self.allowed_groups.contains(group));
        if !is_in_one || !self.required_groups.iter().all(|group| claims.groups.contains(group)) {
            return Err(Refused::Group);
        }
        Ok(())
    }
}
