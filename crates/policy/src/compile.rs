use std::collections::{HashMap, HashSet};

use crate::document::{Document, Effect, MethodClass, Rule, ToolOperation};
use crate::error::PolicyError;
use crate::index::{Index, Reach};
use crate::limits;
use crate::principals::Principals;
use crate::server::Servers;
use crate::validate::validate;

/// A policy in the form that is evaluated. Rules are numbered in the order of their names, so that nothing
/// depends on the order of the document.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    pub(crate) servers: Servers,
    pub(crate) rules: Vec<CompiledRule>,
    pub(crate) principals: Vec<Principals>,
    pub(crate) tools: Index,
    pub(crate) methods: Index,
    pub(crate) admissions: HashMap<Reach, Vec<Admission>>,
}

/// A rule without what the index says of it.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) name: String,
    pub(crate) effect: Effect,
    pub(crate) operations: Option<Vec<ToolOperation>>,
    pub(crate) method_classes: Option<Vec<MethodClass>>,
    pub(crate) principals: u32,
    pub(crate) reason: Option<String>,
}

/// Callers whom some allow rule of a server is for, and the first such rule: they may keep a session there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission {
    pub(crate) principals: u32,
    pub(crate) rule: u32,
}

impl Compiled {
    /// Checks and compiles a document.
    ///
    /// # Errors
    /// The first mistake in the document, with its path.
    pub(crate) fn new(document: &Document) -> Result<Self, PolicyError> {
        validate(document)?;
        let mut builder = Builder::default();
        let mut server_numbers = HashMap::new();
        for (position, server) in document.servers.iter().enumerate() {
            let number = builder.compiled.servers.add(server).ok_or_else(|| {
                PolicyError::new(format!("servers[{position}]"), "another server has the same path and host")
            })?;
            server_numbers.insert(server.name.as_str(), number);
        }
        let mut rules: Vec<_> = document.rules.iter().enumerate().collect();
        rules.sort_unstable_by_key(|(_, rule)| rule.name.as_str());
        for (position, rule) in rules {
            let reaches = reaches(position, rule, &server_numbers)?;
            builder.add(rule, &reaches)?;
        }
        Ok(builder.finish())
    }
}

/// What is needed besides the result while rules are added.
#[derive(Default)]
struct Builder {
    compiled: Compiled,
    principals: HashMap<Principals, u32>,
    admitted: HashSet<(Reach, u32)>,
    entries: usize,
}

impl Builder {
    fn add(&mut self, rule: &Rule, reaches: &[Reach]) -> Result<(), PolicyError> {
        let names = [&rule.tools, &rule.methods].into_iter().flatten().map(Vec::len).sum::<usize>();
        self.entries = self.entries.saturating_add(reaches.len().saturating_mul(names.saturating_add(1)));
        if self.entries > limits::INDEX_ENTRIES {
            let message =
                "the rules expand to too many pairs of server and name: use patterns or fewer servers";
            return Err(PolicyError::new("rules", message));
        }
        let next = number(self.principals.len());
        let principals = *self.principals.entry(Principals::of(rule)).or_insert(next);
        let number = number(self.compiled.rules.len());
        for reach in reaches.iter().copied() {
            self.index(rule, reach, number);
            if rule.effect == Effect::Allow && self.admitted.insert((reach, principals)) {
                let admissions = self.compiled.admissions.entry(reach).or_default();
                admissions.push(Admission { principals, rule: number });
            }
        }
        self.compiled.rules.push(CompiledRule {
            name: rule.name.clone(),
            effect: rule.effect,
            operations: rule.operations.clone(),
            method_classes: rule.method_classes.clone(),
            principals,
            reason: rule.reason.clone(),
        });
        Ok(())
    }

    fn index(&mut self, rule: &Rule, reach: Reach, number: u32) {
        let Compiled { tools, methods, .. } = &mut self.compiled;
        match &rule.tools {
            Some(names) => names.iter().for_each(|name| tools.add(reach, name, number)),
            None if rule.operations.is_some() => tools.add_any(reach, number),
            None => {}
        }
        match &rule.methods {
            Some(names) => names.iter().for_each(|name| methods.add(reach, name, number)),
            None if rule.method_classes.is_some() => methods.add_any(reach, number),
            None => {}
        }
    }

    fn finish(mut self) -> Compiled {
        let mut numbered: Vec<_> = self.principals.into_iter().map(|(who, number)| (number, who)).collect();
        numbered.sort_unstable_by_key(|(number, _)| *number);
        self.compiled.principals = numbered.into_iter().map(|(_, who)| who).collect();
        self.compiled
    }
}

/// Where a rule applies, each place once.
fn reaches(position: usize, rule: &Rule, servers: &HashMap<&str, u32>) -> Result<Vec<Reach>, PolicyError> {
    let Some(names) = &rule.servers else { return Ok(vec![Reach::All]) };
    let mut numbers = Vec::with_capacity(names.len());
    for (entry, name) in names.iter().enumerate() {
        let number = servers.get(name.as_str()).copied().ok_or_else(|| {
            PolicyError::new(
                format!("rules[{position}].servers[{entry}]"),
                format_args!("there is no server `{name}`"),
            )
        })?;
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers.into_iter().map(Reach::One).collect())
}

/// Rules are limited to far fewer than `u32` can count.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
