use serde::{Deserialize, Serialize};

use crate::algorithm::Algorithm;

/// What kind of access tokens an issuer writes. Everything that a profile sets can be configured otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Tokens as RFC 9068 has them, which say by their `typ` that they are access tokens.
    #[default]
    Rfc9068,
    /// Microsoft Entra ID, both versions of its tokens.
    Entra,
    /// A custom authorization server of Okta.
    Okta,
}

/// The claims that say who calls. Of each list the first claim that is present counts; a list that is empty is
/// not looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimNames {
    /// Whom the token speaks of. Never empty in a verifier.
    pub subject: Vec<String>,
    /// The client that the token was issued to.
    pub client: Vec<String>,
    /// Scopes, as a string or an array. If several are present they must agree.
    pub scope: Vec<String>,
    /// An array of the subject's groups.
    pub groups: Vec<String>,
    /// An array of roles.
    pub roles: Vec<String>,
    /// The tenant of a provider that serves many.
    pub tenant: Vec<String>,
    /// The token's own id.
    pub token_id: Vec<String>,
}

impl Profile {
    /// The algorithms that such an issuer signs with.
    #[must_use]
    pub fn algorithms(self) -> Vec<Algorithm> {
        match self {
            Self::Rfc9068 => vec![Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA],
            Self::Entra | Self::Okta => vec![Algorithm::RS256],
        }
    }

    /// The `typ` of its access tokens.
    #[must_use]
    pub fn types(self) -> Vec<String> {
        match self {
            Self::Rfc9068 => owned(&["at+jwt", "application/at+jwt"]),
            Self::Entra => owned(&["JWT"]),
            Self::Okta => owned(&["JWT", "at+jwt", "application/at+jwt"]),
        }
    }

    /// Whether its access tokens may have no `typ`.
    #[must_use]
    pub fn accepts_absent_type(self) -> bool {
        self == Self::Okta
    }

    /// Where its tokens say what.
    ///
    /// Users of Entra are known by `oid`, because `sub` is another for each application; those of Okta by
    /// `uid`, because `sub` is a login that can change. An Okta token without a user has only `sub`, the client.
    #[must_use]
    pub fn claim_names(self) -> ClaimNames {
        match self {
            Self::Rfc9068 => ClaimNames {
                subject: owned(&["sub"]),
                client: owned(&["client_id", "azp", "cid", "appid"]),
                scope: owned(&["scope", "scp"]),
                groups: owned(&["groups"]),
                roles: owned(&["roles"]),
                tenant: owned(&["tid"]),
                token_id: owned(&["jti"]),
            },
            Self::Entra => ClaimNames {
                subject: owned(&["oid"]),
                client: owned(&["azp", "appid"]),
                scope: owned(&["scp"]),
                groups: owned(&["groups"]),
                roles: owned(&["roles"]),
                tenant: owned(&["tid"]),
                token_id: owned(&["uti"]),
            },
            Self::Okta => ClaimNames {
                subject: owned(&["uid", "sub"]),
                client: owned(&["cid"]),
                scope: owned(&["scp"]),
                groups: owned(&["groups"]),
                roles: owned(&["roles"]),
                tenant: Vec::new(),
                token_id: owned(&["jti"]),
            },
        }
    }
}

impl ClaimNames {
    /// These names, and those of the defaults where there are none.
    #[must_use]
    pub fn or(self, defaults: Self) -> Self {
        let first = |one: Vec<String>, other: Vec<String>| if one.is_empty() { other } else { one };
        Self {
            subject: first(self.subject, defaults.subject),
            client: first(self.client, defaults.client),
            scope: first(self.scope, defaults.scope),
            groups: first(self.groups, defaults.groups),
            roles: first(self.roles, defaults.roles),
            tenant: first(self.tenant, defaults.tenant),
            token_id: first(self.token_id, defaults.token_id),
        }
    }

    pub(crate) fn lists(&self) -> [&Vec<String>; 7] {
        [&self.subject, &self.client, &self.scope, &self.groups, &self.roles, &self.tenant, &self.token_id]
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
