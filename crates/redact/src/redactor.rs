use std::fmt;

use crate::{
    Class, Findings,
    detectors::{Detectors, Match},
    escape::{escape, unescape},
    leaves::{Leaf, Leaves, NotJson},
    splice::Splice,
};

/// Searches for the classes it was made for and puts their labels in place of what it finds.
#[derive(Clone, Debug)]
pub struct Redactor {
    detectors: Detectors,
}

impl Redactor {
    /// A redactor for `classes`; with none it finds nothing.
    #[must_use]
    pub fn new(classes: &[Class]) -> Self {
        Self { detectors: Detectors::new(classes) }
    }

    /// Cleans the values of one JSON document, which the caller has validated; object keys are left alone.
    ///
    /// A string with a finding keeps its other content; if it had escapes, it is escaped anew and only where it
    /// must be. An integer that is a card number becomes the string `"[CARD]"`. Every other byte stays.
    /// Nothing is allocated for strings without escapes and findings.
    ///
    /// # Errors
    ///
    /// [`NotJson`] if the structure is not that of one JSON value, with whitespace around it at most.
    pub fn json(&self, json: &[u8]) -> Result<Redacted, NotJson> {
        let mut leaves = Leaves::new(json);
        let mut splice = Splice::new(json);
        let mut findings = Findings::default();
        let mut matches = Vec::new();
        let mut text = Vec::new();
        while let Some(leaf) = leaves.next()? {
            match leaf {
                Leaf::String { inside, is_escaped: false } => {
                    self.detectors.find(json.get(inside.clone()).unwrap_or_default(), &mut matches);
                    for Match { start, end, class } in matches.iter().copied() {
                        let label = class.label().as_bytes();
                        splice.replace(inside.start + start..inside.start + end).extend_from_slice(label);
                        findings.add(class);
                    }
                }
                Leaf::String { inside, is_escaped: true } => {
                    unescape(json.get(inside.clone()).unwrap_or_default(), &mut text)?;
                    self.detectors.find(&text, &mut matches);
                    if let Some(cleaned) = replace_all(&text, &matches, &mut findings) {
                        escape(&cleaned, splice.replace(inside));
                    }
                }
                Leaf::Integer(place) => {
                    if self.detectors.integer(json.get(place.clone()).unwrap_or_default()) {
                        let output = splice.replace(place);
                        output.push(b'"');
                        output.extend_from_slice(Class::Card.label().as_bytes());
                        output.push(b'"');
                        findings.add(Class::Card);
                    }
                }
            }
        }
        Ok(Redacted { output: splice.finish(), findings })
    }

    /// Cleans text, which should be UTF-8; bytes that are not stay as they are.
    #[must_use]
    pub fn text(&self, text: &[u8]) -> Redacted {
        let mut matches = Vec::new();
        let mut findings = Findings::default();
        self.detectors.find(text, &mut matches);
        Redacted { output: replace_all(text, &matches, &mut findings), findings }
    }
}

/// What a search came to.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted {
    /// The cleaned copy; `None` if nothing was found and the input stands as it is.
    pub output: Option<Vec<u8>>,
    /// What was found, and how often.
    pub findings: Findings,
}

/// Shows the findings and no payload: what is left after cleaning is still somebody's data.
impl fmt::Debug for Redacted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Redacted")
            .field("output_bytes", &self.output.as_ref().map(Vec::len))
            .field("findings", &self.findings)
            .finish()
    }
}

fn replace_all(text: &[u8], matches: &[Match], findings: &mut Findings) -> Option<Vec<u8>> {
    let mut splice = Splice::new(text);
    for Match { start, end, class } in matches.iter().copied() {
        splice.replace(start..end).extend_from_slice(class.label().as_bytes());
        findings.add(class);
    }
    splice.finish()
}
