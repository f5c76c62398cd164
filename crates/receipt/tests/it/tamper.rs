//! Tampering: every changed byte and every changed order of a session is noticed.

use airlock_receipt::{ChainHead, Envelope, ProblemKind, Statement};
use proptest::prelude::*;

use crate::sample::{bundle, envelopes, key, record, verify};

type Change = fn(&mut Statement);

const SESSIONS: [&str; 6] = ["a", "b", "a", "b", "a", "a"];
const LINES_OF_A: [usize; 4] = [0, 2, 4, 5];

#[test]
fn every_flipped_bit_position_of_a_receipt_is_noticed() {
    let bundle = bundle(&envelopes(&["a"]));
    // The line feed at the end may be missing, so the line itself is what counts.
    for position in 0..bundle.len() - 1 {
        let mut changed = bundle.clone();
        changed[position] ^= 1 << (position % 8);
        assert!(!verify(&changed).is_valid(), "position {position}");
    }
}

#[test]
fn a_statement_changed_before_it_is_wrapped_again_has_no_signature() {
    let mut envelope = Envelope::parse(&envelopes(&["a"])[0]).unwrap();
    let text = String::from_utf8(envelope.payload).unwrap();
    envelope.payload = text.replace("\"allow\"", "\"deny\"").into_bytes();
    let report = verify(&envelope.to_bytes().unwrap());
    assert_eq!(report.problems[0].kind, ProblemKind::BadSignature);
    assert_eq!((report.problems[0].session.as_deref(), report.problems[0].seq), (Some("a"), Some(0)));
}

#[test]
fn the_signer_itself_cannot_say_two_things_at_once() {
    let good = Statement::new(record("a", 1), &ChainHead::START);
    let cases: [(ProblemKind, Change); 5] = [
        (ProblemKind::Contradiction, |statement| statement.subject.clear()),
        (ProblemKind::Contradiction, |statement| statement.predicate.mcp_extension.tool = None),
        (ProblemKind::Contradiction, |statement| statement.predicate.who.anonymous = true),
        (ProblemKind::MalformedStatement, |statement| statement.predicate_type.push('2')),
        (ProblemKind::MalformedStatement, |statement| statement.statement_type.push('2')),
    ];
    for (kind, change) in cases {
        let mut statement = good.clone();
        change(&mut statement);
        let report = verify(&signed(statement.to_canonical().unwrap()));
        assert_eq!(report.problems[0].kind, kind, "{report:?}");
    }
    let spaced = String::from_utf8(good.to_canonical().unwrap()).unwrap().replacen(':', ": ", 1);
    assert_eq!(verify(&signed(spaced.into_bytes())).problems[0].kind, ProblemKind::NotCanonical);
    assert_eq!(verify(&signed(b"{}".to_vec())).problems[0].kind, ProblemKind::MalformedStatement);
    assert!(verify(&signed(good.to_canonical().unwrap())).is_valid());
}

/// An envelope with a good signature over any payload.
fn signed(payload: Vec<u8>) -> Vec<u8> {
    let secret = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([7; 32])).sk;
    let mut encoding = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len()).into_bytes();
    encoding.extend_from_slice(&payload);
    let key_id = key().public().id().to_owned();
    Envelope { payload, key_id, signature: *secret.sign(encoding, None) }.to_bytes().unwrap()
}

proptest! {
    #[test]
    fn every_changed_byte_is_noticed(position: prop::sample::Index, change in 1..=255_u8) {
        let mut bundle = bundle(&envelopes(&SESSIONS));
        let position = position.index(bundle.len());
        bundle[position] ^= change;
        prop_assert!(!verify(&bundle).is_valid());
    }

    #[test]
    fn removing_any_but_the_last_of_a_session_is_noticed(index in 0..LINES_OF_A.len() - 1) {
        let mut lines = envelopes(&SESSIONS);
        lines.remove(LINES_OF_A[index]);
        prop_assert!(!verify(&bundle(&lines)).is_valid());
    }

    #[test]
    fn swapping_two_of_a_session_is_noticed(one in 0..LINES_OF_A.len(), other in 0..LINES_OF_A.len()) {
        prop_assume!(one != other);
        let mut lines = envelopes(&SESSIONS);
        lines.swap(LINES_OF_A[one], LINES_OF_A[other]);
        prop_assert!(!verify(&bundle(&lines)).is_valid());
    }

    #[test]
    fn a_line_repeated_anywhere_is_noticed(line in 0..SESSIONS.len(), place in 0..=SESSIONS.len()) {
        let mut lines = envelopes(&SESSIONS);
        let repeated = lines[line].clone();
        lines.insert(place, repeated);
        prop_assert!(!verify(&bundle(&lines)).is_valid());
    }
}
