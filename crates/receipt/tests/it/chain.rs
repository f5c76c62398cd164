//! What the verifier says about whole, shortened and reordered bundles.

use airlock_receipt::{BundleVerifier, ChainHead, Hash, ProblemKind, Report, SigningKey, Verifier};
use proptest::prelude::*;

use crate::sample::{bundle, envelopes, key, keys, record, verify};

const SESSIONS: [&str; 7] = ["a", "b", "a", "a", "b", "c", "a"];

/// What was done, the lines that are left, and the problems to be found.
type Case<'a> = (&'a str, &'a [usize], &'a [(u64, ProblemKind)]);

fn kinds(report: &Report) -> Vec<(u64, ProblemKind)> {
    report.problems.iter().map(|problem| (problem.line, problem.kind)).collect()
}

#[test]
fn a_whole_bundle_is_valid() {
    let report = verify(&bundle(&envelopes(&SESSIONS)));
    assert!(report.is_valid(), "{report:?}");
    assert_eq!((report.envelopes, report.receipts, report.sessions), (7, 7, 3));
}

#[test]
fn an_empty_input_is_not_valid() {
    let report = verify(b"");
    assert!(!report.is_valid());
    assert_eq!(kinds(&report), [(0, ProblemKind::Empty)]);
    assert!(!Report::default().is_valid());
}

#[test]
fn what_is_missing_repeated_or_moved_is_named_with_its_place() {
    let whole = envelopes(&SESSIONS);
    let pick = |lines: &[usize]| lines.iter().map(|line| whole[*line].clone()).collect::<Vec<_>>();
    let cases: [Case; 6] = [
        ("first of a session removed", &[1, 2, 3, 4, 5, 6], &[(2, ProblemKind::Gap)]),
        ("middle of a session removed", &[0, 1, 2, 4, 5, 6], &[(6, ProblemKind::Gap)]),
        ("duplicate", &[0, 0, 1, 2, 3, 4, 5, 6], &[(2, ProblemKind::Duplicate)]),
        ("old receipt again", &[0, 1, 2, 3, 4, 0, 5, 6], &[(6, ProblemKind::OutOfOrder)]),
        ("swapped", &[0, 1, 3, 2, 4, 5, 6], &[(3, ProblemKind::Gap), (4, ProblemKind::OutOfOrder)]),
        ("only the last of each", &[4, 5, 6], &[(1, ProblemKind::Gap), (3, ProblemKind::Gap)]),
    ];
    for (name, lines, expected) in cases {
        let report = verify(&bundle(&pick(lines)));
        assert_eq!(kinds(&report), expected, "{name}");
        assert!(!report.is_valid(), "{name}");
    }
    let report = verify(&bundle(&pick(&[0, 1, 2, 4, 5, 6])));
    assert_eq!(
        report.problems[0].to_string(),
        "receipt 6 (session `a`, seq 3): gap: expected seq 2, found 3: 1 receipt(s) before it are missing or not valid"
    );
}

#[test]
fn the_end_of_a_session_can_be_removed_without_a_trace() {
    let mut shortened = envelopes(&SESSIONS);
    shortened.pop();
    assert!(verify(&bundle(&shortened)).is_valid());
}

#[test]
fn a_fork_signed_by_the_right_key_breaks_the_chain() {
    let head = ChainHead { prev: Hash::new([1; 32]), ..ChainHead::START };
    let forged = key().seal(&record("a", 9), &head).unwrap();
    let report = verify(&bundle(&[forged.envelope]));
    assert_eq!(kinds(&report), [(1, ProblemKind::BrokenChain)]);
    assert_eq!(report.receipts, 1);
}

#[test]
fn a_key_outside_of_the_set_is_not_trusted() {
    let other = SigningKey::from_seed([8; 32]).unwrap();
    let sealed = other.seal(&record("a", 1), &ChainHead::START).unwrap();
    let report = verify(&bundle(std::slice::from_ref(&sealed.envelope)));
    assert_eq!(kinds(&report), [(1, ProblemKind::UnknownKey)]);
    assert_eq!((report.receipts, report.sessions), (0, 0));
    assert_eq!(report.problems[0].session.as_deref(), Some("a"));

    let renamed =
        String::from_utf8(sealed.envelope).unwrap().replace(other.public().id(), key().public().id());
    assert_eq!(kinds(&verify(renamed.as_bytes())), [(1, ProblemKind::BadSignature)]);
}

#[test]
fn problems_are_counted_beyond_those_that_are_kept() {
    let report = verify(&b"{}\n".repeat(1500));
    assert_eq!((report.problems.len(), report.problem_count, report.receipts), (1000, 1500, 0));
}

#[test]
fn a_line_without_end_is_one_problem_and_the_next_line_is_read() {
    let mut verifier = BundleVerifier::new(keys());
    for _ in 0..100 {
        verifier.update(&[b'x'; 10_000]);
    }
    verifier.update(b"\n");
    verifier.update(&bundle(&envelopes(&["a"])));
    let report = verifier.finish();
    assert_eq!(kinds(&report), [(1, ProblemKind::MalformedEnvelope)]);
    assert_eq!((report.envelopes, report.receipts), (2, 1));
}

#[test]
fn the_verifier_hands_out_statements_of_signed_receipts_only() {
    let mut verifier = Verifier::new(keys());
    let envelopes = envelopes(&["a"]);
    let statement = verifier.envelope(&envelopes[0]).unwrap();
    assert_eq!(statement.record(), record("a", 1));
    assert!(verifier.envelope(b"{}").is_none());
}

proptest! {
    #[test]
    fn the_way_a_bundle_is_cut_into_pieces_does_not_matter(size in 1..4000_usize) {
        let bundle = bundle(&envelopes(&SESSIONS));
        let mut verifier = BundleVerifier::new(keys());
        bundle.chunks(size).for_each(|piece| verifier.update(piece));
        prop_assert_eq!(verifier.finish(), verify(&bundle));
    }

    #[test]
    fn no_input_is_taken_for_a_receipt_or_stops_the_verifier(input: Vec<u8>) {
        prop_assert!(!verify(&input).is_valid());
    }
}
