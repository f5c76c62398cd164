use crate::decision::Caller;
use crate::document::Rule;

/// Whom a rule is for. Many rules are for the same people, so that these are kept once and numbered.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Principals {
    scopes: Names,
    subjects: Option<Names>,
    clients: Option<Names>,
    groups: Option<Names>,
}

/// How a caller stands to [`Principals`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The rule is for this caller.
    Included,
    /// The rule would be for this caller if the token had this many more scopes.
    LacksScopes(usize),
    /// The rule is for others.
    Excluded,
}

impl Principals {
    pub(crate) fn of(rule: &Rule) -> Self {
        Self {
            scopes: rule.scopes.as_deref().map(Names::new).unwrap_or_default(),
            subjects: rule.subjects.as_deref().map(Names::new),
            clients: rule.clients.as_deref().map(Names::new),
            groups: rule.groups.as_deref().map(Names::new),
        }
    }

    /// All scopes that are asked for, sorted.
    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes.0
    }

    pub(crate) fn standing(&self, caller: &Caller<'_>) -> Standing {
        let is_listed = |names: &Option<Names>, name: Option<&str>| match names {
            None => true,
            Some(names) => name.is_some_and(|name| names.contains(name)),
        };
        let in_group = match &self.groups {
            None => true,
            Some(groups) => caller.groups.iter().any(|group| groups.contains(group)),
        };
        if !in_group || !is_listed(&self.subjects, caller.subject) || !is_listed(&self.clients, caller.client)
        {
            return Standing::Excluded;
        }
        match self.scopes().iter().filter(|scope| !caller.scopes.contains(scope)).count() {
            0 => Standing::Included,
            missing => Standing::LacksScopes(missing),
        }
    }
}

/// A set of names, sorted and without duplicates.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Names(Box<[String]>);

impl Names {
    fn new(names: &[String]) -> Self {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }

    fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
    }
}
