//! The refresher polls more often when a rotation is expected or in progress.

use std::time::{Duration, SystemTime};

use secretcache::host::{Action, Answer, Cache, ConnectAttempt, ConnectFailure, FetchPermit, Lookup};
use secretcache::{AWSCURRENT, AWSPENDING, Description, Fetched, Selector, Stage};

use crate::timeline::{Read, TTL, Timeline, answer};

fn described(versions: &[(&str, &str)]) -> Description {
    let mut description = Description::default();
    description.versions =
        versions.iter().map(|(version, stage)| ((*version).to_owned(), vec![(*stage).to_owned()])).collect();
    description
}

fn confirm(time: &Timeline, permit: FetchPermit, description: Description) {
    permit.complete(Ok(Answer::unchanged().with_description(description)), time.now);
}

fn next_refresh(cache: &Cache, time: &Timeline) -> Duration {
    let stats = cache.stats(time.now);
    stats
        .secrets
        .iter()
        .find(|secret| secret.version_stage.as_deref() == Some(AWSCURRENT))
        .unwrap()
        .next_refresh_in
        .unwrap()
}

/// Reads the secret, as a program does all the time, and runs the refreshes that are due.
fn refresh(time: &Timeline, description: impl Fn() -> Description) -> usize {
    let _hit = time.cache.peek("db", Selector::CURRENT, time.now);
    let due = time.cache.due(time.now).permits;
    let count = due.len();
    due.into_iter().for_each(|permit| confirm(time, permit, description()));
    count
}

#[test]
fn a_secret_is_refreshed_more_often_while_its_window_is_open_and_less_before() {
    const HALF: u64 = 1_800;
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    let closes = SystemTime::UNIX_EPOCH + time.now.wall + Duration::from_secs(8 * HALF);
    let describe = || {
        let mut description = described(&[("v1", AWSCURRENT)]);
        description.next_rotation_date = Some(closes);
        description.rotation_rules.duration = Some("1h".to_owned());
        description
    };
    let refreshes: Vec<_> = (0..7)
        .map(|_| {
            let mut in_this_half_hour = 0;
            for _ in 0..HALF {
                time.pass(1);
                in_this_half_hour += refresh(&time, describe);
            }
            in_this_half_hour
        })
        .collect();
    // Plain refreshing would make 24 requests.
    assert!(refreshes[1..6].iter().all(|count| (19..=22).contains(count)), "{refreshes:?}");
    assert!(refreshes[6] >= 30, "{refreshes:?}");
}

#[test]
fn after_a_refused_login_the_end_of_the_rotation_is_noticed_within_seconds() {
    let mut time = Timeline::new();
    time.fill("db", "v1", r#"{"password": "one"}"#);
    time.pass(10);
    let mut plan =
        ConnectAttempt::new(&time.cache, "db", &[Stage::Current], Duration::from_secs(30), time.now);
    let Action::Try(secret, stage) = plan.next(time.now) else { panic!("nothing to try") };
    plan.rejected(&secret, stage, time.now);
    assert_eq!(next_refresh(&time.cache, &time), Duration::from_secs(2));
    let mut looks = 0;
    for _ in 0..20 {
        time.pass(1);
        looks += refresh(&time, || described(&[("v1", AWSCURRENT), ("v2", AWSPENDING)]));
    }
    assert!((4..=10).contains(&looks), "{looks} looks in 20 s");
    for second in 0.. {
        time.pass(1);
        assert!(second < 10, "not noticed");
        let _hit = time.cache.peek("db", Selector::CURRENT, time.now);
        let due = time.cache.due(time.now).permits.pop();
        if let Some(permit) = due {
            let value = Answer::value(Fetched::string("v2", r#"{"password": "two"}"#));
            permit.complete(Ok(value.with_description(described(&[("v2", AWSCURRENT)]))), time.now);
            break;
        }
    }
    assert!(next_refresh(&time.cache, &time) >= Duration::from_secs(TTL / 2));
}

#[test]
fn n7_a_login_that_the_deadline_cuts_short_after_a_refusal_is_a_refusal() {
    let mut time = Timeline::new();
    time.fill("db", "v1", r#"{"password": "one"}"#);
    let mut attempt =
        ConnectAttempt::new(&time.cache, "db", &[Stage::Current], Duration::from_secs(600), time.now);
    let Action::Try(secret, stage) = attempt.next(time.now) else { panic!("nothing to try") };
    assert!(matches!(attempt.failure(), ConnectFailure::Secret(_)), "the login has not finished");
    attempt.rejected(&secret, stage, time.now);
    loop {
        match attempt.next(time.now) {
            Action::Try(..) => break,
            Action::Read(stage) | Action::Refresh(stage) => attempt.read(stage, None, time.now),
            Action::Wait(_) => time.pass(1),
            Action::Stop => panic!("not tried again"),
        }
    }
    let ConnectFailure::Rejected { tried, .. } = attempt.failure() else { panic!("no refusal") };
    assert_eq!(tried.iter().map(|tried| tried.times).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_version_that_was_refused_before_its_password_was_set_is_tried_again_once_it_is_current() {
    let time = Timeline::new();
    time.fill("db", "v1", r#"{"password": "one"}"#);
    time.lead_version("db", Selector::stage(AWSPENDING)).complete(answer("v2", "{}"), time.now);
    let attempt = |time: &Timeline| {
        ConnectAttempt::new(&time.cache, "db", &[Stage::Current], Duration::from_secs(600), time.now)
    };
    let pending = time.cache.peek("db", Selector::stage(AWSPENDING), time.now).unwrap().to_secret();
    attempt(&time).rejected(&pending, Stage::Pending, time.now);
    time.force("db").complete(answer("v2", r#"{"password": "two"}"#), time.now);
    let mut next = attempt(&time);
    let Action::Try(secret, Stage::Current) = next.next(time.now) else { panic!("not tried") };
    assert_eq!(secret.version_id(), Some("v2"));
    next.rejected(&secret, Stage::Current, time.now);
    assert!(!matches!(attempt(&time).next(time.now), Action::Try(..)), "once is enough");
}

#[test]
fn a_login_is_a_use() {
    let mut time = Timeline::new();
    time.fill("db", "v1", r#"{"password": "one"}"#);
    time.pass(TTL);
    refresh(&time, || described(&[("v1", AWSCURRENT)]));
    let mut plan =
        ConnectAttempt::new(&time.cache, "db", &[Stage::Current], Duration::from_secs(30), time.now);
    let Action::Try(secret, _) = plan.next(time.now) else { panic!("nothing to try") };
    plan.accepted(&secret);
    time.pass(TTL);
    assert_eq!(time.cache.due(time.now).permits.len(), 1);
}

#[test]
fn a_label_that_a_description_no_longer_shows_is_dropped_without_a_call() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.lead_version("db", Selector::stage(AWSPENDING)).complete(answer("v2", "two"), time.now);
    time.pass(TTL);
    let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
    confirm(&time, permit, described(&[("v1", AWSCURRENT)]));
    assert!(time.cache.due(time.now).permits.is_empty());
    assert!(matches!(time.cache.lookup("db", Selector::stage(AWSPENDING), time.now), Lookup::Leader(..)));
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
}
