//! The parts of a conversation by themselves; the whole of it is tested under `tests/runtime/link`.

use coffer_domain::time::{Millis, Timestamp};

use super::session::{Challenges, Refusal, SeenEnrols, Session};

const NOW: Timestamp = Timestamp(1_000_000);

/// Asks for a challenge every 100 ms and answers when they came, in ms since [`NOW`].
fn challenges_within(challenges: &mut Challenges, span: Millis) -> Vec<Millis> {
    let mut sent = Vec::new();
    for after in (0..=span).step_by(100) {
        if challenges.due(NOW + after) {
            challenges.sent(NOW + after);
            sent.push(after);
        }
    }
    sent
}

#[test]
fn a_session_takes_its_own_reports_in_growing_sequence() {
    let mut session = Session::new("s1".into());
    assert_eq!(session.accept(None, 5), Err(Refusal::Session));
    assert_eq!(session.accept(Some("s0"), 5), Err(Refusal::Session));
    assert!(!session.established);
    assert_eq!(session.accept(Some("s1"), 5), Ok(true), "the first word establishes it");
    assert!(session.established);
    assert_eq!(session.accept(Some("s1"), 5), Err(Refusal::Replayed));
    assert_eq!(session.accept(Some("s1"), 4), Err(Refusal::Replayed));
    assert_eq!(session.accept(Some("s1"), 9), Ok(false), "gaps are no concern");
    assert_eq!(session.accept(Some("s0"), 10), Err(Refusal::Session));
    assert_eq!(session.accept(Some("s1"), 10), Ok(false), "what was refused has not counted");
}

#[test]
fn a_sequence_may_start_at_zero() {
    let mut session = Session::new("s1".into());
    assert_eq!(session.accept(Some("s1"), 0), Ok(true));
    assert_eq!(session.accept(Some("s1"), 0), Err(Refusal::Replayed));
}

#[test]
fn challenges_come_ever_more_slowly() {
    let mut challenges = Challenges::new(NOW);
    assert_eq!(challenges_within(&mut challenges, 100_000), [0, 2_000, 6_000, 14_000, 30_000, 60_000, 90_000]);
}

#[test]
fn an_enrolment_is_answered_unless_a_challenge_has_just_gone_out() {
    let mut challenges = Challenges::new(NOW);
    assert!(challenges.may_answer_enrol(NOW));
    challenges.sent(NOW);
    assert!(!challenges.may_answer_enrol(NOW + 299));
    assert!(challenges.may_answer_enrol(NOW + 300));
}

#[test]
fn an_agent_that_enrols_is_challenged_as_often_as_a_new_one() {
    let mut challenges = Challenges::new(NOW);
    challenges_within(&mut challenges, 60_000);
    assert!(challenges.may_answer_enrol(NOW + 60_500));
    challenges.sent(NOW + 60_500);
    assert!(!challenges.due(NOW + 62_400));
    assert!(challenges.due(NOW + 62_500));
}

#[test]
fn enrolments_are_remembered_up_to_a_bound() {
    let mut seen = SeenEnrols::default();
    for sequence in 0..64 {
        assert!(seen.is_new(sequence));
    }
    assert!((0..64).all(|sequence| !seen.is_new(sequence)), "each is known");
    assert!(seen.is_new(64));
    assert!(seen.is_new(0), "the oldest gave way to it");
    assert!(!seen.is_new(2));
}
