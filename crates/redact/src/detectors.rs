use crate::{Class, card, email};

/// A range of bytes that holds personal data. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) class: Class,
}

/// The detectors that are switched on.
///
/// Each looks for candidates with a cheap scan of its own (an `@`, four digits in a row) and verifies them by
/// hand. With more classes, one multi-pattern automaton can find the candidates of all; verification stays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detectors {
    email: bool,
    card: bool,
}

impl Detectors {
    pub(crate) fn new(classes: &[Class]) -> Self {
        Self { email: classes.contains(&Class::Email), card: classes.contains(&Class::Card) }
    }

    /// Replaces the content of `matches` by all matches in `text`, in order and disjoint.
    ///
    /// Cards go first and addresses are looked for between them: of `4111 1111 1111 1111@example.com` an
    /// address would take the last group only, and the other twelve digits would no longer be a card.
    pub(crate) fn find(&self, text: &[u8], matches: &mut Vec<Match>) {
        matches.clear();
        if self.card {
            card::find(text, matches);
        }
        if !self.email {
            return;
        }
        let cards = matches.len();
        let mut from = 0;
        for index in 0..=cards {
            let card = matches.get(index).filter(|_| index < cards).copied();
            let between = text.get(from..card.map_or(text.len(), |card| card.start)).unwrap_or_default();
            email::find(between, from, matches);
            from = card.map_or(text.len(), |card| card.end);
        }
        if cards > 0 {
            matches.sort_unstable_by_key(|found| found.start);
        }
    }

    /// Whether an integer, written in ASCII digits, is a card number.
    pub(crate) fn integer(&self, digits: &[u8]) -> bool {
        self.card && card::is_card_number(digits)
    }
}
