use std::collections::HashMap;

use crate::pattern::Pattern;

/// The servers that an entry of the index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// Every server.
    All,
    /// The server with this number.
    One(u32),
}

impl Reach {
    /// The two places where an entry for a server can be.
    pub(crate) fn of(server: u32) -> [Self; 2] {
        [Self::All, Self::One(server)]
    }
}

/// Which rules select a name: exact names by hash, patterns by trying those of the server.
#[derive(Debug, Default)]
pub(crate) struct Index {
    names: HashMap<Box<str>, u32>,
    exact: HashMap<(Reach, u32), Vec<u32>>,
    patterns: HashMap<Reach, Vec<(Pattern, u32)>>,
}

impl Index {
    /// Adds a rule under a name, or under a pattern where `text` has a star.
    pub(crate) fn add(&mut self, reach: Reach, text: &str, rule: u32) {
        if let Some(pattern) = Pattern::parse(text) {
            return self.add_pattern(reach, pattern, rule);
        }
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name = *self.names.entry(text.into()).or_insert(next);
        self.exact.entry((reach, name)).or_default().push(rule);
    }

    /// Adds a rule under every name.
    pub(crate) fn add_any(&mut self, reach: Reach, rule: u32) {
        self.add_pattern(reach, Pattern::any(), rule);
    }

    fn add_pattern(&mut self, reach: Reach, pattern: Pattern, rule: u32) {
        self.patterns.entry(reach).or_default().push((pattern, rule));
    }

    /// The rules that spell the name out.
    pub(crate) fn exact<'a>(&'a self, server: u32, name: &str) -> impl Iterator<Item = u32> + use<'a> {
        let name = self.names.get(name).copied();
        let keys = Reach::of(server).into_iter().filter_map(move |reach| Some((reach, name?)));
        keys.filter_map(|key| self.exact.get(&key)).flatten().copied()
    }

    /// The rules that have a pattern for the name. A rule may come more than once.
    pub(crate) fn matching<'a>(&'a self, server: u32, name: &'a str) -> impl Iterator<Item = u32> + use<'a> {
        let lists = Reach::of(server).into_iter().filter_map(|reach| self.patterns.get(&reach));
        lists.flatten().filter(|(pattern, _)| pattern.matches(name)).map(|(_, rule)| *rule)
    }
}
