use std::{collections::BTreeMap, num::NonZeroU32};

use serde::{Deserialize, Serialize};

/// What kind of personal data was found.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// An e-mail address.
    Email,
    /// A payment card number (PAN).
    Card,
}

impl Class {
    /// What stands in the output where something of this class was found. It needs no escaping in JSON.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Email => "[EMAIL]",
            Self::Card => "[CARD]",
        }
    }

    /// The name in configuration, metrics and receipts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
        }
    }
}

/// How many labels were put in, per class: counts only, never what was found. Ordered by class.
///
/// Findings that overlap are replaced, and counted, as one. Serialized as a map from name to a count above zero.
#[derive(Serialize, Deserialize, Default, Clone, PartialEq, Eq, Debug)]
#[serde(transparent)]
pub struct Findings(BTreeMap<Class, NonZeroU32>);

impl Findings {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How often `class` was found; zero if never.
    #[must_use]
    pub fn count(&self, class: Class) -> u32 {
        self.0.get(&class).map_or(0, |count| count.get())
    }

    /// The classes that were found, in order, each with a count above zero.
    pub fn iter(&self) -> impl Iterator<Item = (Class, u32)> {
        self.0.iter().map(|(class, count)| (*class, count.get()))
    }

    /// Adds the counts of `other`; a count stops at `u32::MAX`.
    pub fn merge(&mut self, other: &Self) {
        for (class, count) in &other.0 {
            self.0.entry(*class).and_modify(|sum| *sum = sum.saturating_add(count.get())).or_insert(*count);
        }
    }

    pub(crate) fn add(&mut self, class: Class) {
        self.0.entry(class).and_modify(|count| *count = count.saturating_add(1)).or_insert(NonZeroU32::MIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_travel_as_a_map_of_counts() {
        let mut findings = Findings::default();
        findings.add(Class::Card);
        findings.add(Class::Email);
        findings.merge(&findings.clone());
        let json = serde_json::to_string(&findings).unwrap();
        assert_eq!(json, r#"{"email":2,"card":2}"#);
        assert_eq!(serde_json::from_str::<Findings>(&json).unwrap(), findings);
        assert!(serde_json::from_str::<Findings>(r#"{"card":0}"#).is_err());
        assert!(serde_json::from_str::<Findings>(r#"{"phone":1}"#).is_err());
    }

    #[test]
    fn a_class_has_the_same_name_everywhere() {
        for class in [Class::Email, Class::Card] {
            assert_eq!(serde_json::to_value(class).unwrap(), class.name());
        }
    }

    #[test]
    fn a_count_saturates() {
        let mut most: Findings = serde_json::from_str(r#"{"card":4294967295}"#).unwrap();
        most.add(Class::Card);
        assert_eq!(most.count(Class::Card), u32::MAX);
        assert_eq!(most.count(Class::Email), 0);
    }
}
