//! Failures: which readers see them, and when the source is asked again.

use std::time::Duration;

use secretcache::host::{Answer, Outcome};
use secretcache::{AWSPENDING, Backoff, ErrorKind, Fetched, Selector};

use crate::timeline::{OLD, Read, TTL, Timeline, answer, answer_of, failure, outcome};

/// Past the first wait, which is 0.5 s to 1 s.
const AFTER_BACKOFF: u64 = 1;

#[test]
fn a_failed_first_read_is_not_repeated_until_its_backoff_ends() {
    let mut time = Timeline::new();
    time.lead("db").complete(failure(ErrorKind::AccessDenied), time.now);
    for _ in 0..1_000 {
        assert!(matches!(time.read("db"), Read::Failed(ErrorKind::AccessDenied)));
    }
    time.pass(AFTER_BACKOFF);
    time.fill("db", "v1", "one");
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
}

#[test]
fn waits_grow_to_the_maximum_and_never_beyond_the_interval() {
    let mut time = Timeline::with(|config| config.ttl = Duration::from_secs(20));
    let mut waits = Vec::new();
    for _ in 0..2_000 {
        time.lead("db").complete(failure(ErrorKind::Connection), time.now);
        let start = time.now;
        while matches!(time.read("db"), Read::Failed(_)) {
            time.pass_for(Duration::from_millis(100));
        }
        waits.push(time.now.since(&start));
    }
    assert!(waits[0] <= Duration::from_secs(1) && waits[2] >= Duration::from_secs(2), "{:?}", &waits[..3]);
    assert!(waits[1_000..].iter().all(|wait| (10..=20).contains(&wait.as_secs())));
}

#[test]
fn a_hundred_thousand_failures_in_a_row_overflow_nothing() {
    let mut time = Timeline::with(|config| config.backoff.growth = 2.5);
    for _ in 0..100_000 {
        time.lead("db").complete(failure(ErrorKind::Throttled), time.now);
        time.pass(TTL);
    }
    assert!(time.cache.stats(time.now).secrets[0].failures == 100_000);
    time.fill("db", "v1", "one");
    assert_eq!(time.cache.stats(time.now).secrets[0].failures, 0);
}

#[test]
fn readers_of_a_value_in_use_never_see_an_outage() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(TTL / 2);
    let mut requests = 0;
    for _ in 0..7_200 {
        match time.read("db") {
            Read::Hit(value) => assert_eq!(value, "one"),
            Read::Due(value, permit) => {
                assert_eq!(value, "one");
                requests += 1;
                permit.complete(failure(ErrorKind::ServiceUnavailable), time.now);
            }
            other => panic!("a reader was made to wait: {other:?}"),
        }
        time.pass_for(Duration::from_millis(500));
    }
    // An hour with 30 s to 60 s between requests, except for the first few.
    assert!((60..=140).contains(&requests), "{requests} requests in an hour");
    let stales = time.take_events().iter().filter(|event| *event == "stale").count();
    assert_eq!(stales, 1, "one spell of staleness is reported once");
}

#[test]
fn who_comes_back_during_an_outage_waits_for_the_next_try_and_gets_the_last_known_value() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    for _ in 0..3 {
        time.pass(3_600);
        let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
        permit.complete(failure(ErrorKind::ServiceUnavailable), time.now);
        assert_eq!(outcome(&waiter), Some(Ok("one".to_owned())));
    }
}

#[test]
fn throttling_is_transient_the_value_in_use_goes_on_being_served() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(TTL);
    let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
    permit.complete(failure(ErrorKind::Throttled), time.now);
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
    assert_eq!(time.take_events(), ["error throttled"], "within the grace the value is not stale yet");
}

#[test]
fn a_rotation_whose_new_value_cannot_be_had_leaves_the_old_one_in_service() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(OLD);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
    // The driver learned of v2 from DescribeSecret, and could not decrypt it.
    permit.complete(failure(ErrorKind::KeyUnavailable), time.now);
    assert_eq!(outcome(&waiter), Some(Ok("one".to_owned())));
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
    assert_eq!(time.take_events(), ["error key_unavailable", "stale"]);
}

#[test]
fn a_denied_secret_is_still_served_with_an_error_event_at_once() {
    for kind in [ErrorKind::AccessDenied, ErrorKind::SecretNotFound, ErrorKind::SecretDeleted] {
        let mut time = Timeline::new();
        time.fill("db", "v1", "one");
        time.pass(TTL);
        let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
        permit.complete(failure(kind), time.now);
        assert_eq!(time.take_events(), [format!("error {}", kind.name())]);
        time.pass(OLD);
        let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
        permit.complete(failure(kind), time.now);
        assert_eq!(outcome(&waiter), Some(Ok("one".to_owned())));
    }
}

#[test]
fn without_stale_on_denied_a_denial_ends_the_service_at_once_and_other_failures_do_not() {
    let mut time = Timeline::with(|config| config.stale_on_denied = false);
    time.fill("db", "v1", "one");
    time.pass(OLD);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
    permit.complete(failure(ErrorKind::Timeout), time.now);
    assert_eq!(outcome(&waiter), Some(Ok("one".to_owned())));
    time.pass(OLD);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
    permit.complete(failure(ErrorKind::AccessDenied), time.now);
    assert_eq!(outcome(&waiter), Some(Err(ErrorKind::AccessDenied)));
    assert!(matches!(time.read("db"), Read::Failed(ErrorKind::AccessDenied)));
    assert!(time.cache.peek("db", Selector::CURRENT, time.now).is_none());
}

#[test]
fn a_denial_of_a_secret_forgotten_meanwhile_does_not_bring_its_value_back() {
    let mut time = Timeline::with(|config| config.stale_on_denied = false);
    time.fill("db", "v1", "one");
    time.pass(OLD);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
    time.cache.invalidate("db");
    permit.complete(failure(ErrorKind::AccessDenied), time.now);
    assert_eq!(outcome(&waiter), Some(Err(ErrorKind::AccessDenied)));
}

#[test]
fn a_failure_after_max_stale_does_not_bring_an_evicted_value_back() {
    let mut time = Timeline::with(|config| {
        config.max_stale = Some(Duration::from_secs(200));
        config.max_size = 1;
    });
    time.fill("db", "v1", "one");
    time.pass(300);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
    time.fill("other", "v1", "other");
    permit.complete(failure(ErrorKind::Timeout), time.now);
    assert_eq!(outcome(&waiter), Some(Err(ErrorKind::Timeout)));
}

#[test]
fn once_the_awspending_label_is_gone_its_value_is_too() {
    let mut time = Timeline::new();
    let pending = Selector::stage(AWSPENDING);
    time.lead_version("db", pending).complete(answer("v2", "two"), time.now);
    time.pass(OLD);
    let Read::Lead(permit, waiter) = time.read_version("db", pending) else { panic!("no permit granted") };
    permit.complete(failure(ErrorKind::VersionNotFound), time.now);
    assert_eq!(outcome(&waiter), Some(Err(ErrorKind::VersionNotFound)));
    assert!(matches!(time.read_version("db", pending), Read::Failed(ErrorKind::VersionNotFound)));
}

#[test]
fn a_source_that_confirms_what_nobody_holds_is_reported_as_a_defect() {
    let time = Timeline::new();
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("nobody leads") };
    permit.complete(Ok(Answer::unchanged()), time.now);
    assert_eq!(outcome(&waiter), Some(Err(ErrorKind::Internal)));
}

#[test]
fn a_backoff_of_zero_asks_again_at_the_next_read() {
    let backoff = Backoff { base: Duration::ZERO, ..Backoff::default() };
    let time = Timeline::with(|config| config.backoff = backoff);
    for _ in 0..3 {
        time.lead("db").complete(failure(ErrorKind::Connection), time.now);
    }
}

#[test]
fn test_x1_an_answer_without_a_value_or_for_another_secret_is_not_believed() {
    const ARN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret";
    let of = |name: &str| answer_of(&format!("{ARN}:{name}"), "v2", "two");
    let empty = || Ok(Answer::value(Fetched::default()));
    for odd in [empty(), of("other-AbCdEf"), of("db2-AbCdEf")] {
        let mut time = Timeline::new();
        time.lead("db").complete(answer_of(&format!("{ARN}:db-AbCdEf"), "v1", "one"), time.now);
        time.pass(OLD);
        let Read::Lead(permit, waiter) = time.read("db") else { panic!("nobody leads") };
        permit.complete(odd, time.now);
        let waited = waiter.outcome().and_then(Outcome::for_reader).unwrap();
        assert_eq!(waited.unwrap().string().unwrap(), "one", "the last known value is served");
        let failures = time.cache.stats(time.now).failures;
        assert_eq!(failures.get("invalid_response"), Some(&1), "{failures:?}");
    }
    let time = Timeline::new();
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("nobody leads") };
    permit.complete(empty(), time.now);
    assert_eq!(outcome(&waiter), Some(Err(ErrorKind::InvalidResponse)));
}

#[test]
fn test_x1_a_secret_that_was_deleted_and_made_again_is_the_same_to_its_readers() {
    const ARN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:db";
    for id in ["db".to_owned(), format!("{ARN}-AbCdEf"), ARN.to_owned()] {
        let mut time = Timeline::new();
        time.lead(&id).complete(answer_of(&format!("{ARN}-AbCdEf"), "v1", "one"), time.now);
        time.pass(OLD);
        time.lead(&id).complete(answer_of(&format!("{ARN}-GhIjKl"), "v2", "two"), time.now);
        assert!(matches!(time.read(&id), Read::Hit(value) if value == "two"), "{id}");
    }
}

#[test]
fn s5_an_answer_larger_than_any_secret_is_refused_and_the_last_known_value_stays() {
    let mut time = Timeline::new();
    let (largest, too_large) = ("x".repeat(1 << 20), "x".repeat((1 << 20) + 1));
    time.fill("db", "v1", "one");
    time.pass(OLD);
    time.lead("db").complete(answer("v2", &too_large), time.now);
    assert!(time.take_events().contains(&"error invalid_response".to_owned()));
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
    time.lead("new").complete(answer("v1", &too_large), time.now);
    assert!(matches!(time.read("new"), Read::Failed(ErrorKind::InvalidResponse)));
    time.fill("large", "v1", &largest);
    assert!(matches!(time.read("large"), Read::Hit(value) if value == largest));
}

#[test]
fn p10_a_failure_that_the_caller_receives_deserves_no_warning_beside() {
    let mut time = Timeline::new();
    let warnings = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let inbox = std::sync::Arc::clone(&warnings);
    time.cache.listen(std::sync::Arc::new(move |event| inbox.lock().unwrap().push(event.should_warn())));
    time.lead("db").complete(failure(ErrorKind::SecretNotFound), time.now);
    assert_eq!(*warnings.lock().unwrap(), [false], "its reader has the error");
    time.pass(AFTER_BACKOFF);
    time.fill("db", "v1", "one");
    time.pass(OLD);
    time.lead("db").complete(failure(ErrorKind::AccessDenied), time.now);
    assert!(warnings.lock().unwrap()[1], "its reader gets the last known value");
}
