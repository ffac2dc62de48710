//! One attempt to connect, step by step: which versions it tries, what it requests, how long it waits and how it ends.

use std::time::Duration;

use secretcache::host::{Action, Answer, ConnectAttempt, ConnectFailure, FetchPermit, Forced, Lookup};
use secretcache::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Error, ErrorKind, Fetched, Selector, Stage};

use crate::timeline::{Timeline, described, failure};

const TIMEOUT: Duration = Duration::from_secs(30);

fn attempt(time: &Timeline, stages: &[Stage]) -> ConnectAttempt {
    ConnectAttempt::new(&time.cache, "db", stages, TIMEOUT, time.now)
}

/// Returns the label and version of the next login.
#[track_caller]
fn tries(attempt: &mut ConnectAttempt, time: &Timeline) -> (Stage, String) {
    match attempt.next(time.now) {
        Action::Try(secret, stage) => (stage, secret.version_id().unwrap().to_owned()),
        other => panic!("expected a login, got {other:?}"),
    }
}

#[track_caller]
fn is_refused(attempt: &mut ConnectAttempt, time: &Timeline) {
    match attempt.next(time.now) {
        Action::Try(secret, stage) => attempt.rejected(&secret, stage, time.now),
        other => panic!("expected a login, got {other:?}"),
    }
}

#[track_caller]
fn waits(attempt: &mut ConnectAttempt, time: &Timeline) -> Duration {
    match attempt.next(time.now) {
        Action::Wait(span) => span,
        other => panic!("expected to wait, got {other:?}"),
    }
}

/// Returns the permit of the next request, a read or a refresh, which must be for this label.
#[track_caller]
fn question(attempt: &mut ConnectAttempt, time: &Timeline, label: Stage) -> FetchPermit {
    match attempt.next(time.now) {
        Action::Read(stage) if stage == label => time.lead_version("db", Selector::from(stage)),
        Action::Refresh(stage) if stage == label => {
            match time.cache.recheck("db", Selector::from(stage), time.cache.mark(), time.now) {
                Forced::Leader(permit, _) => permit,
                other => panic!("expected to lead, got {other:?}"),
            }
        }
        other => panic!("expected a request for {label}, got {other:?}"),
    }
}

/// Checks that the next request is for this label, and fails it.
#[track_caller]
fn fails(attempt: &mut ConnectAttempt, time: &Timeline, label: Stage, kind: ErrorKind) {
    question(attempt, time, label).complete(failure(kind), time.now);
    attempt.read(label, Some(Error::new(kind, "as scripted")), time.now);
}

/// Checks that the next request is for this label, and answers it.
#[track_caller]
fn answers(attempt: &mut ConnectAttempt, time: &Timeline, label: Stage, with: Answer) {
    question(attempt, time, label).complete(Ok(with), time.now);
    attempt.read(label, None, time.now);
}

fn version(version_id: &str) -> Answer {
    Answer::value(Fetched::string(version_id, "{}"))
}

/// A secret with the current version v1, read five seconds ago.
fn secret() -> Timeline {
    let mut time = Timeline::new();
    time.fill("db", "v1", "{}");
    time.pass(5);
    time
}

#[test]
fn the_remaining_time_shrinks_to_nothing() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "{}");
    let mut attempt = attempt(&time, &Stage::ALL);
    time.pass(10);
    assert_eq!(attempt.remaining(time.now), Duration::from_secs(20));
    time.pass(20);
    assert_eq!(attempt.remaining(time.now), Duration::ZERO);
    assert!(matches!(attempt.next(time.now), Action::Stop));
}

#[test]
fn a_failure_names_the_secret_and_every_version_that_was_refused_and_how_often() {
    let mut time = secret();
    let mut first = attempt(&time, &[Stage::Current]);
    is_refused(&mut first, &time);
    answers(&mut first, &time, Stage::Current, version("version of AWSCURRENT"));
    is_refused(&mut first, &time);
    time.pass(2);
    is_refused(&mut first, &time);
    let ConnectFailure::Rejected { text, tried } = first.failure() else { panic!("it was refused") };
    assert_eq!(
        text,
        r#"every version of secret "db" was refused (AWSCURRENT v1; AWSCURRENT version of AWSCURRENT, 2 times)"#
    );
    assert_eq!(tried.iter().map(|tried| tried.times).collect::<Vec<_>>(), [1, 2]);
    // An attempt that begins now does not try it, and says why.
    let ConnectFailure::Rejected { text, .. } = attempt(&time, &[Stage::Current]).failure() else {
        panic!("it was refused before")
    };
    assert_eq!(
        text,
        r#"every version of secret "db" was refused (AWSCURRENT version of AWSCURRENT, refused before)"#
    );
}

#[test]
fn while_another_caller_fetches_it_waits_for_that_but_not_longer_than_readers_do() {
    let mut time = Timeline::with(|config| config.max_wait = Duration::from_secs(2));
    let Lookup::Leader(_permit, _) = time.cache.lookup("db", Selector::CURRENT, time.now) else {
        panic!("another caller reads it")
    };
    let mut attempt = attempt(&time, &[Stage::Current]);
    assert_eq!(waits(&mut attempt, &time), Duration::from_millis(10));
    time.pass_for(Duration::from_millis(1_999));
    assert_eq!(waits(&mut attempt, &time), Duration::from_millis(10));
    time.pass_for(Duration::from_millis(1));
    assert!(matches!(attempt.next(time.now), Action::Read(Stage::Current)));
}

/// As when another thread of the program invalidates it, or the cache makes room.
#[test]
fn a_version_that_is_forgotten_before_it_is_tried_is_read_again() {
    let mut time = Timeline::new();
    let mut attempt = attempt(&time, &Stage::ALL);
    answers(&mut attempt, &time, Stage::Current, version("v1"));
    time.cache.invalidate("db");
    fails(&mut attempt, &time, Stage::Pending, ErrorKind::VersionNotFound);
    fails(&mut attempt, &time, Stage::Previous, ErrorKind::VersionNotFound);
    let wait = waits(&mut attempt, &time);
    time.pass_for(wait);
    answers(&mut attempt, &time, Stage::Current, version("v1"));
    assert_eq!(tries(&mut attempt, &time), (Stage::Current, "v1".to_owned()));
}

#[test]
fn waits_grow_from_round_to_round_up_to_the_rest_of_a_refused_version() {
    let time = secret();
    let mut attempt = attempt(&time, &[Stage::Current]);
    is_refused(&mut attempt, &time);
    fails(&mut attempt, &time, Stage::Current, ErrorKind::Throttled);
    // Each wait is drawn between half of this and all of it. The version rests for a second.
    for most in [0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0] {
        let span = waits(&mut attempt, &time).as_secs_f64();
        assert!((most / 2.0..=most).contains(&span), "{span}, and {most} at most");
    }
}

#[test]
fn the_first_three_waits_end_when_the_service_may_be_asked_again() {
    let mut time = secret();
    let mut attempt = attempt(&time, &[Stage::Current]);
    is_refused(&mut attempt, &time);
    fails(&mut attempt, &time, Stage::Current, ErrorKind::Throttled);
    waits(&mut attempt, &time);
    time.pass(1);
    fails(&mut attempt, &time, Stage::Current, ErrorKind::Throttled);
    is_refused(&mut attempt, &time); // it now rests for two seconds
    waits(&mut attempt, &time);
    time.pass_for(Duration::from_millis(950));
    assert_eq!(waits(&mut attempt, &time), Duration::from_millis(50));
    assert!(waits(&mut attempt, &time) > Duration::from_millis(500), "the fourth is not cut short");
}

#[test]
fn a_version_that_rests_is_waited_for_even_if_the_secret_cannot_be_read_again() {
    let mut time = secret();
    let mut first = attempt(&time, &[Stage::Current]);
    is_refused(&mut first, &time);
    fails(&mut first, &time, Stage::Current, ErrorKind::Throttled);
    time.pass(1);
    is_refused(&mut first, &time); // it now rests for two seconds
    time.pass(1);
    let mut second = attempt(&time, &[Stage::Current]);
    fails(&mut second, &time, Stage::Current, ErrorKind::AccessDenied);
    waits(&mut second, &time);
}

#[test]
fn an_attempt_without_anything_to_try_ends_at_once_if_waiting_cannot_help() {
    for (kind, waits) in [
        (ErrorKind::SecretNotFound, false),
        (ErrorKind::AccessDenied, false),
        (ErrorKind::Throttled, true),
        (ErrorKind::Connection, true),
    ] {
        let time = Timeline::new();
        let mut attempt = attempt(&time, &[Stage::Current]);
        fails(&mut attempt, &time, Stage::Current, kind);
        match attempt.next(time.now) {
            Action::Wait(_) => assert!(waits, "{kind:?}"),
            Action::Stop => assert!(!waits, "{kind:?}"),
            other => panic!("{kind:?}: {other:?}"),
        }
        let ConnectFailure::Secret(error) = attempt.failure() else { panic!("{kind:?}: nothing was tried") };
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn a_login_that_did_not_finish_in_time_is_named() {
    let time = Timeline::new();
    time.fill("db", "v1", "{}");
    let mut attempt = attempt(&time, &[Stage::Current]);
    assert_eq!(tries(&mut attempt, &time), (Stage::Current, "v1".to_owned()));
    let ConnectFailure::Secret(error) = attempt.failure() else { panic!("nothing was refused") };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error.to_string().contains(r#"the login with version v1 of secret "db" did not finish in time"#),
        "{error}"
    );
}

#[test]
fn what_the_resource_took_last_is_tried_before_other_labels_are_asked_for() {
    let mut time = Timeline::new();
    time.fill("db", "version of AWSCURRENT", "{}");
    time.pass(5);
    let mut first = attempt(&time, &Stage::ALL);
    is_refused(&mut first, &time);
    answers(&mut first, &time, Stage::Current, version("version of AWSCURRENT"));
    fails(&mut first, &time, Stage::Pending, ErrorKind::VersionNotFound);
    answers(&mut first, &time, Stage::Previous, version("version of AWSPREVIOUS"));
    let Action::Try(previous, Stage::Previous) = first.next(time.now) else { panic!("it is held") };
    first.accepted(&previous);
    time.pass(2);
    let mut second = attempt(&time, &Stage::ALL);
    answers(&mut second, &time, Stage::Current, version("version of AWSCURRENT"));
    assert_eq!(tries(&mut second, &time), (Stage::Previous, "version of AWSPREVIOUS".to_owned()));
}

#[test]
fn an_outage_ends_the_questions_of_a_round_and_another_failure_of_the_current_label_does_not() {
    let time = secret();
    let mut first = attempt(&time, &Stage::ALL);
    is_refused(&mut first, &time);
    fails(&mut first, &time, Stage::Current, ErrorKind::Throttled);
    waits(&mut first, &time);

    let time = secret();
    let mut second = attempt(&time, &Stage::ALL);
    is_refused(&mut second, &time);
    fails(&mut second, &time, Stage::Current, ErrorKind::AccessDenied);
    fails(&mut second, &time, Stage::Pending, ErrorKind::Throttled);
    fails(&mut second, &time, Stage::Previous, ErrorKind::VersionNotFound);
    waits(&mut second, &time);
}

#[test]
fn a_denied_label_is_left_alone_but_the_current_one_is_asked_for_again() {
    let mut time = secret();
    let mut first = attempt(&time, &Stage::ALL);
    is_refused(&mut first, &time);
    fails(&mut first, &time, Stage::Current, ErrorKind::AccessDenied);
    fails(&mut first, &time, Stage::Pending, ErrorKind::AccessDenied);
    fails(&mut first, &time, Stage::Previous, ErrorKind::VersionNotFound);
    time.pass(2);
    let mut second = attempt(&time, &Stage::ALL);
    fails(&mut second, &time, Stage::Current, ErrorKind::AccessDenied);
    fails(&mut second, &time, Stage::Previous, ErrorKind::VersionNotFound);
}

#[test]
fn the_failure_is_that_of_the_current_label_or_else_the_first() {
    let kind = |attempt: &ConnectAttempt| match attempt.failure() {
        ConnectFailure::Secret(error) => error.kind(),
        rejected @ ConnectFailure::Rejected { .. } => panic!("{rejected:?}"),
    };
    let time = Timeline::new();
    let mut first = attempt(&time, &Stage::ALL);
    fails(&mut first, &time, Stage::Current, ErrorKind::AccessDenied);
    fails(&mut first, &time, Stage::Pending, ErrorKind::VersionNotFound);
    assert_eq!(kind(&first), ErrorKind::AccessDenied);

    let time = Timeline::new();
    let mut second = attempt(&time, &[Stage::Pending, Stage::Previous, Stage::Current]);
    fails(&mut second, &time, Stage::Pending, ErrorKind::VersionNotFound);
    fails(&mut second, &time, Stage::Previous, ErrorKind::AccessDenied);
    assert_eq!(kind(&second), ErrorKind::VersionNotFound);
    fails(&mut second, &time, Stage::Current, ErrorKind::Throttled);
    assert_eq!(kind(&second), ErrorKind::Throttled);
}

#[test]
fn logins_are_counted_and_those_with_another_version_reported_once() {
    let time = secret();
    for round in 1..=2 {
        let mut attempt = attempt(&time, &Stage::ALL);
        let Action::Try(current, Stage::Current) = attempt.next(time.now) else { panic!("it is held") };
        attempt.accepted(&current);
        let logins = time.cache.stats(time.now).logins;
        assert_eq!((logins.accepted, logins.fallback_logins, logins.rejected), (round, 0, 0));
    }
    assert!(time.take_events().is_empty(), "the current version needs no event");

    let mut refused = attempt(&time, &Stage::ALL);
    is_refused(&mut refused, &time);
    answers(&mut refused, &time, Stage::Current, Answer::unchanged());
    answers(&mut refused, &time, Stage::Pending, version("v2"));
    let Action::Try(pending, Stage::Pending) = refused.next(time.now) else { panic!("it is held") };
    refused.accepted(&pending);
    let mut another = attempt(&time, &Stage::ALL);
    let Action::Try(pending, Stage::Pending) = another.next(time.now) else { panic!("it was taken") };
    another.accepted(&pending);
    let logins = time.cache.stats(time.now).logins;
    assert_eq!((logins.accepted, logins.fallback_logins, logins.rejected), (4, 2, 1));
    assert_eq!(time.take_events().iter().filter(|event| event.contains("FallbackLogin")).count(), 1);
    another.rejected(&pending, Stage::Pending, time.now);
    assert_eq!(time.cache.stats(time.now).logins.rejected, 2);
}

#[test]
fn where_labels_cannot_be_described_the_pending_one_is_asked_for_before_the_refused_current_one() {
    let mut time = secret();
    time.force("db").complete(Ok(version("v1").describe_denied()), time.now);
    time.pass(5);
    let mut attempt = attempt(&time, &Stage::ALL);
    is_refused(&mut attempt, &time);
    answers(&mut attempt, &time, Stage::Pending, version("v2"));
    assert_eq!(tries(&mut attempt, &time), (Stage::Pending, "v2".to_owned()));
}

#[test]
fn a_label_that_was_described_a_moment_ago_as_absent_is_not_asked_for() {
    let mut time = secret();
    let labels = || described(&[("v1", AWSCURRENT), ("v0", AWSPREVIOUS)]);
    let mut first = attempt(&time, &Stage::ALL);
    is_refused(&mut first, &time);
    answers(&mut first, &time, Stage::Current, Answer::unchanged().with_description(labels()));
    answers(&mut first, &time, Stage::Previous, version("v0"));
    is_refused(&mut first, &time);
    // Two seconds later, that information is no longer recent.
    time.pass(2);
    let mut second = attempt(&time, &[Stage::Pending]);
    fails(&mut second, &time, Stage::Pending, ErrorKind::VersionNotFound);
}

#[test]
fn a_version_that_is_held_is_not_asked_for_again_while_its_label_is_known() {
    let mut time = secret();
    let labels = || described(&[("v1", AWSCURRENT), ("v2", AWSPENDING)]);
    let mut first = attempt(&time, &Stage::ALL);
    is_refused(&mut first, &time);
    answers(&mut first, &time, Stage::Current, Answer::unchanged().with_description(labels()));
    answers(&mut first, &time, Stage::Pending, version("v2"));
    is_refused(&mut first, &time);
    waits(&mut first, &time);
    time.pass(2);
    let mut second = attempt(&time, &Stage::ALL);
    answers(&mut second, &time, Stage::Current, Answer::unchanged().with_description(labels()));
    assert_eq!(tries(&mut second, &time), (Stage::Current, "v1".to_owned()));
}

#[test]
fn n6_an_attempt_that_tries_each_version_once_does_not_wait_for_one_that_works() {
    let mut time = secret();
    let mut first = attempt(&time, &Stage::ALL).each_version_once();
    is_refused(&mut first, &time);
    // Long enough for the refused version to have rested.
    time.pass(2);
    answers(&mut first, &time, Stage::Current, Answer::unchanged());
    fails(&mut first, &time, Stage::Pending, ErrorKind::VersionNotFound);
    answers(&mut first, &time, Stage::Previous, version("v0"));
    assert_eq!(tries(&mut first, &time), (Stage::Previous, "v0".to_owned()));
    is_refused(&mut first, &time);
    assert!(matches!(first.next(time.now), Action::Stop));
    let ConnectFailure::Rejected { tried, .. } = first.failure() else { panic!("it was refused") };
    assert_eq!(tried.iter().map(|tried| tried.times).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn n6_if_all_were_refused_before_the_first_is_tried_all_the_same() {
    let time = secret();
    let mut first = attempt(&time, &[Stage::Current]).each_version_once();
    is_refused(&mut first, &time);
    answers(&mut first, &time, Stage::Current, Answer::unchanged());
    assert!(matches!(first.next(time.now), Action::Stop));

    let mut second = attempt(&time, &[Stage::Current]).each_version_once();
    assert_eq!(tries(&mut second, &time), (Stage::Current, "v1".to_owned()));
    is_refused(&mut second, &time);
    assert!(matches!(second.next(time.now), Action::Stop));
    waits(&mut attempt(&time, &[Stage::Current]), &time);
}

#[test]
fn n6_with_one_login_for_each_version_an_attempt_still_waits_until_something_can_be_read() {
    let mut time = Timeline::new();
    let mut attempt = attempt(&time, &[Stage::Current]).each_version_once();
    fails(&mut attempt, &time, Stage::Current, ErrorKind::Throttled);
    let wait = waits(&mut attempt, &time);
    time.pass_for(wait.max(Duration::from_secs(1)));
    answers(&mut attempt, &time, Stage::Current, version("v1"));
    assert_eq!(tries(&mut attempt, &time), (Stage::Current, "v1".to_owned()));
}

#[test]
fn with_one_login_for_each_version_a_slow_refusal_does_not_use_up_the_time() {
    let mut time = secret();
    let mut attempt = attempt(&time, &[Stage::Current]).each_version_once();
    let Action::Try(secret, stage) = attempt.next(time.now) else { panic!("expected a login") };
    time.pass(2 * TIMEOUT.as_secs());
    attempt.rejected(&secret, stage, time.now);
    answers(&mut attempt, &time, Stage::Current, version("v2"));
    assert_eq!(tries(&mut attempt, &time), (Stage::Current, "v2".to_owned()));
}

#[test]
fn n6_each_version_that_has_rested_is_tried_once_more() {
    let mut time = secret();
    let stages = [Stage::Current, Stage::Previous];
    let mut first = attempt(&time, &stages).each_version_once();
    is_refused(&mut first, &time);
    answers(&mut first, &time, Stage::Current, Answer::unchanged());
    answers(&mut first, &time, Stage::Previous, version("v0"));
    is_refused(&mut first, &time);
    assert!(matches!(first.next(time.now), Action::Stop));
    time.pass(2);
    let mut second = attempt(&time, &stages).each_version_once();
    answers(&mut second, &time, Stage::Current, Answer::unchanged());
    answers(&mut second, &time, Stage::Previous, Answer::unchanged());
    for version_id in ["v1", "v0"] {
        assert_eq!(tries(&mut second, &time).1, version_id);
        is_refused(&mut second, &time);
    }
    assert!(matches!(second.next(time.now), Action::Stop));
}

#[test]
fn where_describing_is_denied_a_current_version_that_is_not_cached_is_read_first() {
    let time = Timeline::new();
    let permit = time.lead_version("db", Selector::from(Stage::Previous));
    permit.complete(Ok(version("v0").describe_denied()), time.now);
    let mut attempt = attempt(&time, &Stage::ALL);
    answers(&mut attempt, &time, Stage::Current, version("v1").describe_denied());
    assert_eq!(tries(&mut attempt, &time), (Stage::Current, "v1".to_owned()));
}
