//! Time, on a machine that does other things as well.

use std::time::{Duration, Instant};

/// Reads one body; `false` if it was refused, which no body here may be.
pub(crate) type Reader<'a> = &'a dyn Fn() -> bool;

/// How long one measurement of one reader lasts, so that the clock's resolution does not show.
const ROUND: Duration = Duration::from_millis(3);
const ROUNDS: usize = 60;

/// Seconds that each reader needs, as the fastest of many short rounds in turn: what disturbs one disturbs all.
///
/// # Panics
///
/// When a body is refused: a number for that would mean nothing.
pub(crate) fn seconds_each<const N: usize>(readers: [Reader<'_>; N]) -> [f64; N] {
    let repetitions = readers.map(repetitions);
    let mut fastest = [f64::MAX; N];
    for _ in 0..ROUNDS {
        for ((reader, &repetitions), fastest) in readers.iter().zip(&repetitions).zip(&mut fastest) {
            *fastest = fastest.min(seconds(reader, repetitions) / f64::from(repetitions));
        }
    }
    fastest
}

fn repetitions(reader: Reader<'_>) -> u32 {
    let mut repetitions = 1_u32;
    while seconds(reader, repetitions) < ROUND.as_secs_f64() {
        repetitions = repetitions.saturating_mul(2);
    }
    repetitions
}

fn seconds(reader: Reader<'_>, repetitions: u32) -> f64 {
    let started = Instant::now();
    let mut accepted = true;
    for _ in 0..repetitions {
        accepted &= reader();
    }
    assert!(accepted, "a body that is measured has been refused");
    started.elapsed().as_secs_f64()
}
