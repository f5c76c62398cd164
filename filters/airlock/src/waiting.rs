use std::{
    collections::BTreeMap,
    rc::{Rc, Weak},
};

use crate::rhythm::PATIENCE_MS;

/// Requests that may wait at a time. Their bodies are in the proxy's buffers.
const WAITING: usize = 1_024;

/// Requests that are asked again without a reason at a time: many must not keep the proxy from its work.
const TURN: usize = 64;

/// Requests that stand still because a stage waits, by the id of their context.
///
/// They belong to the VM and not to a root: the tick of any root wakes them, so that they go on after an update of the
/// configuration as well.
pub(crate) struct Waiting<T> {
    requests: BTreeMap<u32, Weak<T>>,
    /// The last one that was asked again without a reason, and when.
    last: u32,
    asked_at: u64,
}

impl<T> Waiting<T> {
    /// Nobody waits.
    pub(crate) const fn new() -> Self {
        Self { requests: BTreeMap::new(), last: 0, asked_at: 0 }
    }

    /// Lets a request wait; `false` if too many do.
    pub(crate) fn enter(&mut self, context: u32, request: &Rc<T>) -> bool {
        // A request that the proxy drops without a last word leaves its place behind.
        if self.requests.len() >= WAITING {
            self.requests.retain(|_, request| request.strong_count() > 0);
        }
        let free = self.requests.len() < WAITING || self.requests.contains_key(&context);
        if free {
            self.requests.insert(context, Rc::downgrade(request));
        }
        free
    }

    /// A request waits no more.
    pub(crate) fn leave(&mut self, context: u32) {
        self.requests.remove(&context);
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Those that are to be asked again at `now`, in milliseconds: all of them, or, if it is time, some in turn.
    pub(crate) fn turn(&mut self, all: bool, now: u64) -> Vec<(u32, Weak<T>)> {
        let entry = |(context, request): (&u32, &Weak<T>)| (*context, Weak::clone(request));
        if all {
            return self.requests.iter().map(entry).collect();
        }
        if now.abs_diff(self.asked_at) < u64::from(PATIENCE_MS) {
            return Vec::new();
        }
        self.asked_at = now;
        let before = self.requests.range(..=self.last);
        let after = self.requests.iter().skip_while(|(context, _)| **context <= self.last);
        let turn: Vec<_> = after.chain(before).take(TURN).map(entry).collect();
        self.last = turn.last().map_or(0, |(context, _)| *context);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(turn: &[(u32, Weak<()>)]) -> Vec<u32> {
        turn.iter().map(|(context, _)| *context).collect()
    }

    #[test]
    fn everybody_is_asked_for_a_reason_and_some_in_turn_without() {
        let mut waiting = Waiting::new();
        let request = Rc::new(());
        for context in 1..=100 {
            assert!(waiting.enter(context, &request));
        }
        assert_eq!(contexts(&waiting.turn(true, 0)), (1..=100).collect::<Vec<_>>());
        assert_eq!(contexts(&waiting.turn(false, 1_000)), (1..=64).collect::<Vec<_>>());
        assert_eq!(contexts(&waiting.turn(false, 1_000)), [0; 0], "not yet");
        assert_eq!(contexts(&waiting.turn(false, 1_019)), [0; 0], "not yet");
        let second = waiting.turn(false, 1_020);
        assert_eq!(contexts(&second), (65..=100).chain(1..=28).collect::<Vec<_>>());
        assert_eq!(contexts(&waiting.turn(false, 0)).len(), 64, "the clock was set back");
        assert_eq!(contexts(&waiting.turn(true, 0)).len(), 100, "for a reason it is always time");
    }

    #[test]
    fn who_is_alone_is_asked_once_in_a_turn() {
        let mut waiting = Waiting::new();
        waiting.enter(7, &Rc::new(()));
        for now in [20, 40, 60] {
            assert_eq!(contexts(&waiting.turn(false, now)), [7]);
        }
        waiting.leave(7);
        assert!(waiting.is_empty() && waiting.turn(true, 0).is_empty());
    }

    #[test]
    fn not_more_wait_than_may_and_those_that_are_gone_do_not_count() {
        let mut waiting = Waiting::new();
        let kept: Vec<_> = (0..1_024).map(Rc::new).collect();
        for (context, request) in (0..).zip(&kept) {
            assert!(waiting.enter(context, request));
        }
        assert!(!waiting.enter(5_000, &Rc::new(0)));
        assert!(waiting.enter(1_023, &kept[1_023]), "it waits already");
        drop(kept);
        assert!(waiting.enter(5_000, &Rc::new(0)));
        assert_eq!(waiting.turn(true, 0).len(), 1);
    }
}
