/// How soon the clock ticks when something has to happen now, milliseconds. It must be a later callback: nothing but a
/// root's own may send calls.
pub(crate) const SOON_MS: u32 = 2;

/// How often requests that wait are asked again without a reason, milliseconds.
pub(crate) const PATIENCE_MS: u32 = 20;

/// A tick may come so much early, milliseconds: the proxy's timer and its clock are two.
const SLACK_MS: u64 = 5;

/// When a root's clock has to tick: for deliveries at their interval, for the upkeep of stages when they want it, and
/// often while a request waits. Times are milliseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(crate) struct Rhythm {
    period: u32,
    delivery: Option<(u32, u64)>,
    upkeep: Vec<Option<u64>>,
}

impl Rhythm {
    /// A rhythm for so many stages, all of which want their upkeep soon, and for deliveries at that interval.
    pub(crate) fn new(stages: usize, delivery_ms: Option<u32>, now: u64) -> Self {
        let upkeep = vec![Some(now.saturating_add(u64::from(SOON_MS))); stages];
        Self { period: 0, delivery: delivery_ms.map(|interval| (interval, now)), upkeep }
    }

    /// Whether a delivery is due; if so, the next one is an interval away.
    pub(crate) fn delivers(&mut self, now: u64) -> bool {
        let Some((interval, at)) = &mut self.delivery else { return false };
        let next = now.saturating_add(u64::from(*interval));
        // A clock that was set back must not put deliveries off.
        let due = now.saturating_add(SLACK_MS) >= *at || *at > next;
        if due {
            *at = next;
        }
        due
    }

    /// The stage of that index wants its upkeep again after so long.
    pub(crate) fn again(&mut self, stage: usize, milliseconds: Option<u32>, now: u64) {
        if let Some(at) = self.upkeep.get_mut(stage) {
            *at = milliseconds.map(|wait| now.saturating_add(u64::from(wait)));
        }
    }

    /// The period to set because it has to be another one, if it has to; 0 stands for no ticks.
    pub(crate) fn adjusted(&mut self, waiting: bool, now: u64) -> Option<u32> {
        let upkeep = self.upkeep.iter().flatten();
        let next = upkeep.chain(self.delivery.as_ref().map(|(_, at)| at)).min();
        let until = next.map(|at| u32::try_from(at.saturating_sub(now)).unwrap_or(u32::MAX));
        let patience = waiting.then_some(PATIENCE_MS);
        self.change(until.into_iter().chain(patience).min().map_or(0, |period| period.max(SOON_MS)))
    }

    /// The period to set because something has to happen soon, if it has to be another one.
    pub(crate) fn hurried(&mut self) -> Option<u32> {
        self.change(SOON_MS)
    }

    fn change(&mut self, period: u32) -> Option<u32> {
        (std::mem::replace(&mut self.period, period) != period).then_some(period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn deliveries_keep_their_interval_whatever_else_ticks() {
        let mut rhythm = Rhythm::new(1, Some(100), NOW);
        assert_eq!(rhythm.adjusted(false, NOW), Some(SOON_MS));
        let mut delivered = Vec::new();
        let mut now = NOW;
        while now < NOW + 1_000 {
            if rhythm.delivers(now) {
                delivered.push(now - NOW);
            }
            rhythm.again(0, None, now);
            let waiting = (NOW + 310..NOW + 550).contains(&now);
            rhythm.adjusted(waiting, now);
            assert!(!waiting || rhythm.period <= PATIENCE_MS);
            now += u64::from(rhythm.period);
        }
        assert_eq!(delivered.len(), 10, "{delivered:?}");
        assert!(delivered.windows(2).all(|pair| (95..=105).contains(&(pair[1] - pair[0]))), "{delivered:?}");
    }

    #[test]
    fn a_steady_clock_is_not_set_again() {
        let mut rhythm = Rhythm::new(1, Some(100), NOW);
        rhythm.again(0, None, NOW);
        assert!(rhythm.delivers(NOW));
        assert_eq!(rhythm.adjusted(false, NOW), Some(100));
        for tick in [NOW + 100, NOW + 199, NOW + 301] {
            assert!(rhythm.delivers(tick));
            assert_eq!(rhythm.adjusted(false, tick), None);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_deliveries() {
        let mut rhythm = Rhythm::new(0, Some(100), NOW);
        assert!(rhythm.delivers(NOW) && rhythm.delivers(NOW - 3_600_000) && rhythm.delivers(NOW - 3_599_900));
    }

    #[test]
    fn nobody_ticks_for_nothing() {
        let mut rhythm = Rhythm::new(2, None, NOW);
        assert_eq!(rhythm.adjusted(false, NOW), Some(SOON_MS));
        rhythm.again(0, None, NOW);
        rhythm.again(1, Some(30_000), NOW);
        assert_eq!(rhythm.adjusted(false, NOW), Some(30_000));
        rhythm.again(1, None, NOW);
        assert_eq!(rhythm.adjusted(false, NOW), Some(0));
        assert_eq!((rhythm.hurried(), rhythm.hurried()), (Some(SOON_MS), None));
        assert_eq!(rhythm.adjusted(true, NOW), Some(PATIENCE_MS));
        assert_eq!(rhythm.adjusted(false, NOW), Some(0));
        rhythm.again(7, Some(1), NOW);
        assert_eq!(rhythm.adjusted(false, NOW), None, "there is no such stage");
    }

    #[test]
    fn what_is_overdue_is_soon_and_not_at_once() {
        let mut rhythm = Rhythm::new(1, None, NOW);
        rhythm.again(0, Some(0), NOW);
        assert_eq!(rhythm.adjusted(false, NOW + 50), Some(SOON_MS));
        rhythm.again(0, Some(u32::MAX), u64::MAX);
        assert_eq!(rhythm.adjusted(false, 0), Some(u32::MAX));
    }
}
