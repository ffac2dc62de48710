//! Values that expire on their own: tokens, and those of a source that sets an expiry.

use std::time::Duration;

use proptest::prelude::*;
use secretcache::host::{Action, Answer, ConnectAttempt};
use secretcache::{Error, ErrorKind, Fetched, Stage};

use crate::timeline::{Read, Timeline, failure};

const LOGIN: &str = "rds-db://app@db.example:5432";
/// How long each token here can be handed out.
const LASTING: Duration = Duration::from_secs(840);

fn lasting(version: &str, token: &str, expires_after: Duration) -> Result<Answer, Error> {
    let mut fetched = Fetched::string(version, token);
    fetched.expires_after = Some(expires_after);
    Ok(Answer::value(fetched))
}

fn token(number: u32) -> Result<Answer, Error> {
    lasting("AKIDEXAMPLE", &format!("token {number}"), LASTING)
}

/// A cache that would keep values for an hour, with a token signed now.
fn hourly() -> Timeline {
    let time = Timeline::with(|config| config.ttl = Duration::from_secs(3_600));
    time.lead(LOGIN).complete(token(1), time.now);
    time
}

#[test]
fn a_token_is_renewed_early_whatever_the_interval() {
    let time = hourly();
    assert!(time.due_in() >= LASTING / 2 && time.due_in() <= LASTING.mul_f64(0.7), "{:?}", time.due_in());
}

#[test]
fn a_token_is_served_until_it_ends_and_not_a_moment_longer() {
    let mut time = hourly();
    time.pass(LASTING.as_secs() - 1);
    let Read::Due(value, permit) = time.read(LOGIN) else { panic!("no permit granted") };
    assert_eq!(value, "token 1");
    permit.complete(failure(ErrorKind::NoCredentials), time.now);
    time.pass_for(Duration::from_millis(999));
    let (Read::Hit(value) | Read::Due(value, _)) = time.read(LOGIN) else { panic!("it has not ended") };
    assert_eq!(value, "token 1");
    time.pass(60);
    let Read::Lead(permit, waiter) = time.read(LOGIN) else { panic!("it has ended") };
    assert_eq!(waiter.patience(), None, "there is nothing to fall back to");
    permit.complete(failure(ErrorKind::NoCredentials), time.now);
    assert!(matches!(time.read(LOGIN), Read::Failed(ErrorKind::NoCredentials)));
}

#[test]
fn another_token_of_the_same_key_is_no_new_version() {
    let mut time = hourly();
    time.pass(600);
    let Read::Due(_, permit) = time.read(LOGIN) else { panic!("no permit granted") };
    permit.complete(token(2), time.now);
    assert!(matches!(time.read(LOGIN), Read::Hit(value) if value == "token 2"));
    assert!(!time.cache.is_outdated(LOGIN, "AKIDEXAMPLE"));
    assert_eq!(time.take_events(), [""; 0]);
    time.force(LOGIN).complete(lasting("ASIAEXAMPLE", "token 3", LASTING), time.now);
    assert!(time.cache.is_outdated(LOGIN, "AKIDEXAMPLE"));
    assert_eq!(time.take_events(), ["new_version AKIDEXAMPLE ASIAEXAMPLE"]);
}

#[test]
fn a_login_is_never_tried_with_a_token_that_has_ended() {
    let mut time = hourly();
    time.pass(LASTING.as_secs());
    let mut attempt = attempt(&time);
    assert!(matches!(attempt.next(time.now), Action::Read(Stage::Current)));
    time.lead(LOGIN).complete(token(2), time.now);
    attempt.read(Stage::Current, None, time.now);
    let Action::Try(secret, Stage::Current) = attempt.next(time.now) else { panic!("nothing to try") };
    assert_eq!(secret.string().unwrap(), "token 2");
}

#[test]
fn a_refused_token_is_replaced_and_no_other_version_requested() {
    let mut time = hourly();
    time.pass(2);
    let mut attempt = attempt(&time);
    let Action::Try(secret, stage) = attempt.next(time.now) else { panic!("nothing to try") };
    attempt.rejected(&secret, stage, time.now);
    assert!(matches!(attempt.next(time.now), Action::Refresh(Stage::Current)));
    time.force(LOGIN).complete(token(2), time.now);
    attempt.read(Stage::Current, None, time.now);
    // The key was refused a moment ago.
    let Action::Wait(wait) = attempt.next(time.now) else { panic!("no rest") };
    time.pass_for(wait.max(Duration::from_secs(1)));
    loop {
        match attempt.next(time.now) {
            Action::Try(secret, Stage::Current) => {
                assert_ne!(secret.string().unwrap(), "token 1");
                break;
            }
            Action::Refresh(Stage::Current) => {
                time.force(LOGIN).complete(token(3), time.now);
                attempt.read(Stage::Current, None, time.now);
            }
            Action::Wait(wait) => time.pass_for(wait),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_outage_of_the_service_holds_no_token_back() {
    let mut time = hourly();
    time.fill("db", "v1", "one");
    time.pass(580);
    let Read::Due(_, permit) = time.read(LOGIN) else { panic!("no permit granted") };
    time.force("db").complete(failure(ErrorKind::Connection), time.now);
    permit.complete(token(2), time.now);
    assert!(matches!(time.read(LOGIN), Read::Hit(value) if value == "token 2"));
    // A new token does not show that the service answers again, either.
    time.pass(600);
    time.force("db").complete(failure(ErrorKind::Connection), time.now);
    let due = time.cache.due(time.now).permits;
    assert!(due.iter().any(|permit| permit.id() == LOGIN), "{due:?}");
}

#[test]
fn an_id_that_lacks_something_is_refused_before_anybody_is_asked() {
    let time = Timeline::new();
    assert!(matches!(time.read("rds-db://app@db.example"), Read::Failed(ErrorKind::InvalidArgument)));
}

fn attempt(time: &Timeline) -> ConnectAttempt {
    ConnectAttempt::new(&time.cache, LOGIN, &Stage::ALL, Duration::from_secs(30), time.now)
}

proptest! {
    /// Readers, logins and refreshes at any time, with failures: no value that is handed out has expired.
    #[test]
    fn nothing_that_has_ended_is_handed_out(
        steps in prop::collection::vec((0u64..400, 0u8..4, prop::bool::weighted(0.3)), 1..60),
        interval in 1u64..5_000,
        lasting_for in 1u64..900,
    ) {
        let lasting_for = Duration::from_secs(lasting_for);
        let mut time = Timeline::with(|config| config.ttl = Duration::from_secs(interval));
        let made_at = |now: Duration| format!("{}", now.as_secs());
        let mut permits = Vec::new();
        for (seconds, what, fails) in steps {
            time.pass(seconds);
            let now = time.now.boot;
            let mut given = None;
            match what {
                0 | 1 => match time.read(LOGIN) {
                    Read::Hit(value) => given = Some(value),
                    Read::Due(value, permit) => {
                        given = Some(value);
                        permits.push(permit);
                    }
                    Read::Lead(permit, _) => permits.push(permit),
                    Read::Follow(_) | Read::Failed(_) => {}
                },
                2 => {
                    let mut attempt = attempt(&time);
                    if let Action::Try(secret, _) = attempt.next(time.now) {
                        given = Some(secret.string().unwrap().to_owned());
                    }
                }
                _ => permits.extend(time.cache.due(time.now).permits),
            }
            if let Some(given) = given {
                let age = now - Duration::from_secs(given.parse().unwrap());
                prop_assert!(age < lasting_for, "{age:?}");
            }
            for permit in permits.drain(..) {
                let answer = if fails { failure(ErrorKind::NoCredentials) } else {
                    lasting("key", &made_at(now), lasting_for)
                };
                permit.complete(answer, time.now);
            }
        }
    }
}
