use std::time::Instant;

use airlock_pipeline::memory::MemoryHost;
use proptest::prelude::*;

use super::*;
use crate::workers::Worker;

const NOW: u64 = 1_700_000_000;
const WINDOW: u64 = 300;
const URI: &str = "https://mcp.example.com/mcp";

fn replays(entries: u32) -> Replays {
    Replays::new(entries, WINDOW).unwrap()
}

/// One proof, by what makes it one.
#[derive(Clone, Copy)]
struct Spent<'a> {
    thumbprint: &'a str,
    uri: &'a str,
    token_id: &'a str,
    issued_at: u64,
}

impl Replays {
    fn at(&self, host: &mut dyn Host, proof: &Spent<'_>, now: u64) -> Result<(), ReplayError> {
        self.spend(host, proof.thumbprint, proof.uri, proof.token_id, proof.issued_at, now)
    }

    fn shard_of(&self, host: &mut dyn Host, proof: &Spent<'_>) -> String {
        self.place(host, proof.thumbprint, proof.uri, proof.token_id, 0).unwrap().0
    }
}

fn proof<'a>(thumbprint: &'a str, token_id: &'a str, issued_at: u64) -> Spent<'a> {
    Spent { thumbprint, uri: URI, token_id, issued_at }
}

fn bytes_of(host: &MemoryHost) -> usize {
    host.shared.values().map(|(value, _)| value.len()).sum()
}

/// A host whose store has this much room in every shard taken by other keys.
fn filled(replays: &Replays, entries: u32, now: u64) -> MemoryHost {
    let mut host = MemoryHost::default();
    replays.shard_of(&mut host, &proof("", "", 0));
    for shard in 0..SHARDS {
        let entries = (0..entries)
            .map(|number: u32| {
                let now = u32::try_from(now).unwrap();
                entry(&[u8::MAX; FINGERPRINT], &number.to_be_bytes(), now).unwrap()
            })
            .collect();
        let shard_bytes = Shard { forgotten: 0, entries }.bytes();
        host.share(&format!("airlock.proofs.1.{shard:03x}"), &shard_bytes, NEW).unwrap();
    }
    host
}

#[test]
fn a_proof_is_accepted_once_and_others_do_not_matter() {
    let (replays, mut host) = (replays(1 << 20), MemoryHost::default());
    let first = proof("key", "1", NOW);
    assert_eq!(replays.at(&mut host, &first, NOW), Ok(()));
    for other in [
        proof("key", "2", NOW),
        proof("other", "1", NOW),
        Spent { uri: "https://mcp.example.com/other", ..first },
        Spent { thumbprint: "k", token_id: "ey1", ..first },
    ] {
        assert_eq!(replays.at(&mut host, &other, NOW), Ok(()));
        assert_eq!(replays.at(&mut host, &other, NOW), Err(ReplayError::Replayed));
    }
    for now in [NOW, NOW + 1, NOW + WINDOW, NOW + WINDOW + 1, NOW - WINDOW] {
        assert!(replays.at(&mut host, &first, now).is_err(), "{now}");
    }
    let another_time_of_issue = Spent { issued_at: NOW + 7, ..first };
    assert_eq!(replays.at(&mut host, &another_time_of_issue, NOW), Err(ReplayError::Replayed));
}

#[test]
fn a_new_configuration_forgets_nothing() {
    let mut host = MemoryHost::default();
    let first = proof("key", "1", NOW);
    assert_eq!(replays(1 << 20).at(&mut host, &first, NOW), Ok(()));
    for (entries, window) in [(1 << 18, 300), (1 << 22, 300), (1 << 20, 10), (1 << 20, 3_600)] {
        let renewed = Replays::new(entries, window).unwrap();
        for now in [NOW, NOW + 11, NOW + 3_600] {
            assert!(renewed.at(&mut host, &first, now).is_err(), "{entries} {window} {now}");
        }
    }
}

/// An entry that has expired is dropped when its shard is next written to.
#[test]
fn what_was_dropped_cannot_come_again_by_a_clock_or_a_window_that_changes() {
    let (replays, mut host) = (replays(1 << 18), MemoryHost::default());
    let old = proof("key", "1", NOW);
    assert_eq!(replays.at(&mut host, &old, NOW), Ok(()));
    let name = replays.shard_of(&mut host, &old);
    let later = NOW + WINDOW + 1;
    let ids: Vec<String> = (0..100_000).map(|number| format!("later {number}")).collect();
    let mut later_ones = ids.iter().map(|id| proof("key", id, later));
    let same_shard = later_ones.find(|other| replays.shard_of(&mut host, other) == name);
    assert_eq!(replays.at(&mut host, &same_shard.unwrap(), later), Ok(()));
    assert_eq!(host.shared[&name].0.len(), TIME + ENTRY, "the old one is gone");
    assert_eq!(replays.at(&mut host, &old, NOW), Err(ReplayError::Replayed), "the clock went back");
    let wider = Replays::new(1 << 18, 3_600).unwrap();
    assert_eq!(wider.at(&mut host, &old, later), Err(ReplayError::Replayed), "the window grew");
    let fresh = Spent { token_id: same_shard.unwrap().token_id, uri: "https://other.example.com", ..old };
    assert_eq!(wider.at(&mut host, &Spent { issued_at: later, ..fresh }, later), Ok(()));
}

#[test]
fn one_key_gets_a_quarter_and_leaves_room_for_others() {
    let (replays, mut host) = (replays(1 << 18), MemoryHost::default());
    let mut accepted = 0;
    for number in 0..200_000 {
        match replays.at(&mut host, &proof("greedy", &number.to_string(), NOW), NOW) {
            Ok(()) => accepted += 1,
            Err(error) => assert_eq!(error, ReplayError::KeyFull),
        }
    }
    assert_eq!(accepted, (1 << 18) / SHARE);
    for number in 0..10_000 {
        assert_eq!(replays.at(&mut host, &proof("modest", &number.to_string(), NOW), NOW), Ok(()));
    }
    let later = NOW + WINDOW + 1;
    assert_eq!(replays.at(&mut host, &proof("greedy", "later", later), later), Ok(()));
}

#[test]
fn a_million_proofs_stay_within_the_bound_and_the_rest_is_refused_with_a_clear_error() {
    let (replays, mut host) = (replays(1 << 18), MemoryHost::default());
    let bound = usize::from(SHARDS) * TIME + (1 << 18) * ENTRY;
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..1_000_000 {
        let key = format!("key {}", number % 1_000);
        match replays.at(&mut host, &proof(&key, &number.to_string(), NOW), NOW) {
            Ok(()) => accepted += 1,
            Err(error) => {
                assert_eq!(error, ReplayError::Full);
                refused += 1;
            }
        }
    }
    assert_eq!((accepted, refused), (1 << 18, 1_000_000 - (1 << 18)));
    assert_eq!(bytes_of(&host), bound + 32, "the bound, and the key");
    assert_eq!(ReplayError::Full.reason(), "proof_store_full");
    assert_eq!(replays.at(&mut host, &proof("key 0", "0", NOW), NOW), Err(ReplayError::Replayed));
    let later = NOW + WINDOW + 1;
    for number in 0..1_000 {
        assert_eq!(replays.at(&mut host, &proof("new", &number.to_string(), later), later), Ok(()));
    }
    assert!(bytes_of(&host) < bound, "what is too old makes room");
}

#[test]
fn a_full_store_has_room_again_when_its_proofs_are_too_old() {
    let replays = replays(1 << 18);
    let mut host = filled(&replays, 64, NOW);
    for now in [NOW, NOW + WINDOW] {
        assert_eq!(replays.at(&mut host, &proof("key", "1", now), now), Err(ReplayError::Full), "{now}");
    }
    assert_eq!(replays.at(&mut host, &proof("key", "1", NOW + 301), NOW + 301), Ok(()));
}

#[test]
fn a_shard_that_cannot_be_read_accepts_nothing_until_what_it_may_have_held_is_too_old() {
    for damaged in [&b""[..], b"\0\0\0", b"\0\0\0\0\x01", &[0; TIME + ENTRY + 1]] {
        let (replays, mut host) = (replays(1 << 18), MemoryHost::default());
        let spent = proof("key", "1", NOW);
        let name = replays.shard_of(&mut host, &spent);
        host.shared.insert(name.clone(), (damaged.to_vec(), 7));
        assert_eq!(replays.at(&mut host, &spent, NOW), Err(ReplayError::Replayed));
        let soon = Spent { issued_at: NOW + WINDOW, ..spent };
        assert_eq!(replays.at(&mut host, &soon, NOW + WINDOW), Err(ReplayError::Replayed));
        let later = Spent { issued_at: NOW + WINDOW + 1, ..spent };
        assert_eq!(replays.at(&mut host, &later, NOW + WINDOW + 1), Ok(()), "it heals");
        assert_eq!(replays.at(&mut host, &later, NOW + WINDOW + 1), Err(ReplayError::Replayed));
    }
}

#[test]
fn without_the_store_nothing_is_accepted() {
    let (replays, mut host) = (replays(1 << 18), MemoryHost::default());
    host.faults.shared = true;
    let refused = replays.at(&mut host, &proof("key", "1", NOW), NOW);
    assert_eq!(refused, Err(ReplayError::Host));
}

#[test]
fn the_size_is_bounded_on_both_ends() {
    for entries in [0, 1, (1 << 18) - 1, (1 << 22) + 1, u32::MAX] {
        assert!(Replays::new(entries, WINDOW).is_err(), "{entries}");
    }
    assert_eq!(Replays::new(1 << 22, WINDOW).unwrap().capacity, 1_024);
}

/// Proofs that belong into the same shard.
fn neighbours(replays: &Replays, host: &mut Worker, count: usize) -> Vec<String> {
    let first = replays.shard_of(host, &proof("key", "0", NOW));
    let ids = (0..).map(|number: u32| number.to_string());
    ids.filter(|id| replays.shard_of(host, &proof("key", id, NOW)) == first).take(count).collect()
}

#[test]
fn a_worker_that_was_slower_looks_again() {
    let (replays, mut worker) = (replays(1 << 18), Worker::default());
    let ids = neighbours(&replays, &mut worker, ATTEMPTS + 2);
    let (mine, others) = ids.split_first().unwrap();
    let rival = |id: &str| -> Box<dyn FnOnce() + Send> {
        let (mut rival, id, replays) = (worker.beside(), id.to_owned(), self::replays(1 << 18));
        Box::new(move || assert_eq!(replays.at(&mut rival, &proof("key", &id, NOW), NOW), Ok(())))
    };
    let always_late = others[..ATTEMPTS].iter().map(|id| rival(id)).collect();
    let same = rival(mine);
    worker.meanwhile.replace(always_late);
    let spent = replays.at(&mut worker, &proof("key", mine, NOW), NOW);
    assert_eq!(spent, Err(ReplayError::Busy));
    worker.meanwhile.replace([same].into());
    let spent = replays.at(&mut worker, &proof("key", mine, NOW), NOW);
    assert_eq!(spent, Err(ReplayError::Replayed), "another worker has accepted it");
    let last = &others[ATTEMPTS];
    assert_eq!(replays.at(&mut worker, &proof("key", last, NOW), NOW), Ok(()));
}

#[test]
fn a_proof_at_two_workers_at_once_is_accepted_once() {
    let worker = Worker::default();
    let ids: Vec<String> = (0..2_000).map(|number| number.to_string()).collect();
    let spend_all = |mut worker: Worker| {
        let (replays, ids) = (replays(1 << 18), &ids);
        move || -> Vec<bool> {
            let accepts = |id| replays.at(&mut worker, &proof("key", id, NOW), NOW).is_ok();
            ids.iter().map(String::as_str).map(accepts).collect()
        }
    };
    let accepted: Vec<Vec<bool>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(spend_all(worker.beside()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(accepted.iter().filter(|accepted| accepted[index]).count(), 1, "{id}");
    }
    assert_eq!(worker.data().values().map(|(value, _)| value.len() / ENTRY).sum::<usize>(), 2_000 + 2);
}

proptest! {
    /// Whatever the clock does, and whatever is configured, no proof is accepted twice.
    #[test]
    fn no_proof_is_ever_accepted_twice(
        attempts in prop::collection::vec((0_u8..8, 0_u64..40, 0_u64..40, 1_u64..20), 1..200),
    ) {
        let mut host = MemoryHost::default();
        let mut accepted = std::collections::BTreeSet::new();
        for (id, issued_at, now, window) in attempts {
            let replays = Replays::new(1 << 18, window).unwrap();
            let name = "airlock.proofs.1.000";
            let entry = entry(&[id; FINGERPRINT], &[0; TAG], u32::try_from(issued_at).unwrap()).unwrap();
            let bytes = host.shared.get(name).map_or(Shard::default().bytes(), |(bytes, _)| bytes.clone());
            let mut shard = Shard::read(&bytes).unwrap();
            shard.forget(now, window);
            if replays.admit(&mut shard, entry).is_ok() {
                prop_assert!(accepted.insert((id, issued_at)), "{id} {issued_at} at {now}");
                let revision = host.shared.get(name).map_or(NEW, |(_, revision)| *revision);
                host.share(name, &shard.bytes(), revision).unwrap();
            }
        }
    }
}

/// Prints what a proof costs; run with `--nocapture`.
#[test]
fn proofs_are_accepted_until_the_store_is_full() {
    let (replays, rounds) = (replays(1 << 20), 10_000);
    for (percent, expected) in [(0, Ok(())), (10, Ok(())), (90, Ok(())), (100, Err(ReplayError::Full))] {
        let mut host = filled(&replays, 256 * percent / 100, NOW);
        let begun = Instant::now();
        for number in 0..rounds {
            let id = number.to_string();
            assert_eq!(replays.at(&mut host, &proof("key", &id, NOW), NOW), expected, "{percent} %");
        }
        println!("{percent} % full: {:?} for each proof", begun.elapsed() / rounds);
    }
}
