//! The four ages of a value: fresh, due, stale, too old to serve.

use std::time::Duration;

use secretcache::ErrorKind;

use crate::timeline::{OLD, Read, TTL, Timeline, answer, failure, outcome};

#[test]
fn a_fresh_value_is_served_without_asking() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(TTL / 2 - 1);
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
}

#[test]
fn a_due_value_is_served_and_exactly_one_reader_has_it_refreshed() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(TTL);
    let Read::Due(value, permit) = time.read("db") else { panic!("no permit granted") };
    assert_eq!(value, "one");
    for _ in 0..1_000 {
        assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
        time.pass_for(Duration::from_millis(5));
    }
    permit.complete(answer("v2", "two"), time.now);
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "two"));
}

#[test]
fn the_reader_of_a_value_past_its_grace_waits_but_only_for_max_wait() {
    let mut time = Timeline::with(|config| config.max_wait = Duration::from_millis(700));
    time.fill("db", "v1", "one");
    time.pass(OLD);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
    assert_eq!(waiter.patience(), Some(Duration::from_millis(700)));
    let Read::Follow(follower) = time.read("db") else { panic!("two requests for one secret") };
    assert_eq!(follower.patience(), Some(Duration::from_millis(700)));
    permit.complete(answer("v2", "two"), time.now);
    assert_eq!(outcome(&follower), Some(Ok("two".to_owned())));
}

#[test]
fn once_one_reader_has_waited_in_vain_the_others_get_the_last_known_value_at_once() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(OLD);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
    time.pass(2);
    let secret = time.cache.give_up("db", permit.selector(), &waiter, time.now).unwrap();
    assert_eq!(secret.string().unwrap(), "one");
    assert_eq!(time.take_events(), ["stale"]);
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
    time.pass(60);
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"), "one wait per request is enough");
    permit.complete(answer("v2", "two"), time.now);
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "two"));
    assert_eq!(time.take_events(), ["new_version v1 v2"]);
}

#[test]
fn readers_who_never_stop_reading_do_not_wait_for_a_slow_refresh_beyond_the_grace() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(TTL);
    let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
    for _ in 0..300 {
        time.pass_for(Duration::from_millis(100));
        assert!(matches!(time.read("db"), Read::Hit(_)), "a reader was made to wait");
    }
    assert_eq!(time.take_events(), ["stale"]);
    drop(permit);
}

#[test]
fn after_max_stale_there_is_the_error_and_no_value() {
    let mut time = Timeline::with(|config| config.max_stale = Some(Duration::from_secs(200)));
    time.fill("db", "v1", "one");
    time.pass(199);
    let Read::Lead(permit, _) = time.read("db") else { panic!("no permit granted") };
    permit.complete(failure(ErrorKind::Connection), time.now);
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
    time.pass(1);
    assert!(!matches!(time.read("db"), Read::Hit(_) | Read::Due(..)), "served past max_stale");
    assert!(time.cache.peek("db", secretcache::Selector::CURRENT, time.now).is_none());
    time.pass(60);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
    assert_eq!(waiter.patience(), None, "there is nothing to fall back to");
    permit.complete(failure(ErrorKind::Connection), time.now);
    assert_eq!(outcome(&waiter), Some(Err(ErrorKind::Connection)));
    assert!(matches!(time.read("db"), Read::Failed(ErrorKind::Connection)));
}

#[test]
fn max_stale_holds_for_a_secret_with_an_interval_of_its_own() {
    let own = [("db".to_owned(), Duration::from_secs(10_000))];
    let config = secretcache::Config {
        ttl: Duration::from_secs(TTL),
        ttl_of: own.into(),
        max_stale: Some(Duration::from_secs(1_000)),
        ..secretcache::Config::default()
    };
    let error = config.validate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    assert!(error.message().contains("max_stale"), "{error}");
}

#[test]
fn an_interval_of_zero_asks_on_every_read() {
    let mut time = Timeline::with(|config| config.ttl = Duration::ZERO);
    time.fill("db", "v1", "one");
    for version in ["v2", "v3", "v4"] {
        let Read::Lead(permit, waiter) = time.read("db") else { panic!("served without asking") };
        permit.complete(answer(version, version), time.now);
        assert_eq!(outcome(&waiter), Some(Ok(version.to_owned())));
        time.pass_for(Duration::from_millis(1));
    }
}

#[test]
fn refresh_times_are_spread_over_the_second_half_of_the_interval() {
    let due: Vec<Duration> = (0..200)
        .map(|seed| {
            let time = Timeline::seeded(|_| {}, seed);
            time.fill("db", "v1", "one");
            time.due_in()
        })
        .collect();
    let (half, whole) = (Duration::from_secs(TTL / 2), Duration::from_secs(TTL));
    assert!(due.iter().all(|due| (half..=whole).contains(due)));
    let early = due.iter().filter(|due| **due < half.mul_f64(1.5)).count();
    assert!((60..140).contains(&early), "{early} of 200 in the first half");
}

#[test]
fn a_secret_in_use_is_refreshed_by_the_refresher_alone_and_an_idle_one_is_left_alone() {
    let mut time = Timeline::new();
    time.fill("used", "v1", "one");
    time.fill("idle", "v1", "one");
    time.pass(TTL);
    for permit in time.cache.due(time.now).permits {
        // Both were read once, by the first read.
        permit.complete(answer("v1", "one"), time.now);
    }
    assert!(matches!(time.read("used"), Read::Hit(_)));
    time.pass(TTL);
    let due = time.cache.due(time.now);
    let ids: Vec<_> = due.permits.iter().map(secretcache::host::FetchPermit::id).collect();
    assert_eq!(ids, ["used"]);
}

#[test]
fn a_secret_read_once_a_day_is_not_served_a_day_old() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(86_400);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("served a day old") };
    permit.complete(answer("v2", "two"), time.now);
    assert_eq!(outcome(&waiter), Some(Ok("two".to_owned())));
}

#[test]
fn secrets_in_use_cost_about_one_and_a_third_requests_per_interval() {
    let mut time = Timeline::new();
    for id in 0..10 {
        time.fill(&format!("secret-{id}"), "v1", "one");
    }
    let (mut requests, hours) = (0, 6);
    let end = time.now.plus(Duration::from_secs(hours * 3_600));
    while !time.now.until(&end).is_zero() {
        for permit in time.cache.due(time.now).permits {
            requests += 1;
            permit.complete(Ok(secretcache::host::Answer::unchanged()), time.now);
        }
        for id in 0..10 {
            assert!(
                matches!(time.read(&format!("secret-{id}")), Read::Hit(_)),
                "a reader of a used secret waited"
            );
        }
        time.pass(1);
    }
    let least = hours * 3_600 / TTL * 10;
    assert!((least..least * 2).contains(&requests), "{requests} requests, at least {least} expected");
}
