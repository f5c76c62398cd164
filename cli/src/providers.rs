//! The identity providers that a gateway fetches keys from: each needs a cluster of Envoy that leads to it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    bootstrap::Upstream,
    failure::{Exit, Failure},
};

/// Clusters that the bootstrap has already.
const TAKEN: [&str; 2] = ["upstream", "airlock-signer"];

/// Where the cluster of each provider leads, by the cluster's name: to the host of `jwks_uri`, of `discovery_uri`, or of
/// the issuer itself.
///
/// # Errors
/// A [`Failure`] for a name that is taken, or that two issuers at different hosts have.
pub fn clusters(identity: &Value) -> Result<BTreeMap<String, Upstream>, Failure> {
    let mut clusters: BTreeMap<String, Upstream> = BTreeMap::new();
    let issuers = identity["issuers"].as_array().map(Vec::as_slice).unwrap_or_default();
    for issuer in issuers {
        let Some(name) = issuer["cluster"].as_str() else { continue };
        let url = ["jwks_uri", "discovery_uri", "issuer"].iter().find_map(|member| issuer[member].as_str());
        let url = url.and_then(|url| url.split(['?', '#']).next()).unwrap_or_default();
        let provider = Upstream { path: String::new(), ..Upstream::parse(url)? };
        if TAKEN.contains(&name) {
            let what = format!("the cluster `{name}` of an issuer has the name of one of the gateway's own");
            return Err(Failure::new(Exit::BadInput, what).remedy("give it another name"));
        }
        if clusters.get(name).is_some_and(|other| *other != provider) {
            let what = format!("two issuers at different hosts have the cluster `{name}`");
            return Err(Failure::new(Exit::BadInput, what).remedy("give each host a cluster of its own"));
        }
        clusters.insert(name.to_owned(), provider);
    }
    Ok(clusters)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_provider_has_a_cluster_that_leads_to_its_keys() {
        let identity = json!({ "issuers": [
            { "issuer": "https://idp.example.com/tenant", "cluster": "idp" },
            { "issuer": "https://idp.example.com/other", "cluster": "idp" },
            { "issuer": "https://a.example.com", "cluster": "keys", "jwks_uri": "https://keys.example.com:8443/jwks?a" },
            { "issuer": "https://b.example.com", "jwks": {} },
        ]});
        let clusters = clusters(&identity).unwrap();
        let places: Vec<_> =
            clusters.iter().map(|(name, to)| (name.as_str(), to.host.as_str(), to.port)).collect();
        assert_eq!(places, [("idp", "idp.example.com", 443), ("keys", "keys.example.com", 8443)]);
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        for (identity, problem) in [
            (
                json!({ "issuers": [{ "issuer": "https://a.example.com", "cluster": "upstream" }] }),
                "has the name of",
            ),
            (
                json!({ "issuers": [
                    { "issuer": "https://a.example.com", "cluster": "idp" },
                    { "issuer": "https://b.example.com", "cluster": "idp" },
                ]}),
                "two issuers at different hosts",
            ),
        ] {
            let failure = clusters(&identity).unwrap_err();
            assert!(failure.render().contains(problem), "{}", failure.render());
        }
        assert!(clusters(&json!({})).unwrap().is_empty());
    }
}
