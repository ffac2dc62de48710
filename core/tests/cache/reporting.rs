//! Statistics and events: what the cache reports, and how often.

use std::sync::{Arc, Mutex};

use secretcache::host::{Forced, Operation};
use secretcache::{AWSPREVIOUS, ErrorKind, Selector};

use crate::timeline::{OLD, Read, TTL, Timeline, answer, failure};

#[test]
fn statistics_add_up() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    for _ in 0..10 {
        time.read("db");
    }
    time.pass(OLD);
    let Read::Lead(permit, _) = time.read("db") else { panic!("no permit granted") };
    time.read("db");
    permit.complete(answer("v2", "two"), time.now);
    time.pass(OLD);
    let Read::Lead(permit, _) = time.read("db") else { panic!("no permit granted") };
    permit.complete(failure(ErrorKind::Throttled), time.now);
    time.read("db");
    time.cache.count_call(Operation::DescribeSecret);
    time.cache.count_call(Operation::DescribeSecret);

    let stats = time.cache.stats(time.now);
    assert_eq!((stats.hits, stats.stale_served), (11, 1));
    assert_eq!((stats.misses_absent, stats.misses_expired, stats.coalesced), (1, 3, 1));
    assert_eq!((stats.refreshes, stats.rotations_observed, stats.evictions), (1, 1, 0));
    assert_eq!(stats.failures.into_iter().collect::<Vec<_>>(), [("throttled", 1)]);
    assert_eq!(stats.api_calls.into_iter().collect::<Vec<_>>(), [("DescribeSecret", 2)]);
    let [secret] = &stats.secrets[..] else { panic!("one secret is held") };
    assert_eq!((secret.secret_id.as_str(), secret.version_id.as_deref()), ("db", Some("v2")));
    assert_eq!((secret.last_error, secret.failures), (Some(ErrorKind::Throttled), 1));
    assert_eq!(secret.age.map(|age| age.as_secs()), Some(OLD));
}

#[test]
fn hits_of_many_threads_are_all_counted() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    assert!(time.cache.hit("db", Selector::CURRENT, time.now.coarse).is_some());
                }
            });
        }
    });
    assert_eq!(time.cache.stats(time.now).hits, 40_000);
}

#[test]
fn a_value_handed_out_again_counts_as_a_hit_while_it_may_be() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    let secret = time.cache.hit("db", Selector::CURRENT, time.now.coarse).unwrap().to_secret();
    assert!(time.cache.hit_again(&secret, time.now.coarse));
    assert_eq!(time.cache.stats(time.now).hits, 2);
    time.pass(TTL);
    assert!(!time.cache.hit_again(&secret, time.now.coarse));
    time.force("db").complete(answer("v2", "two"), time.now);
    assert!(!time.cache.hit_again(&secret, time.now.coarse), "replaced");
}

#[test]
fn a_value_is_handed_out_again_by_its_own_cache_alone() {
    let (time, other) = (Timeline::new(), Timeline::new());
    time.fill("db", "v1", "one");
    other.fill("db", "v1", "one");
    let secret = time.cache.hit("db", Selector::CURRENT, time.now.coarse).unwrap().to_secret();
    assert!(!other.cache.hit_again(&secret, time.now.coarse));
    assert_eq!(other.cache.stats(other.now).hits, 0);
    assert!(time.cache.hit_again(&secret, time.now.coarse));
}

#[test]
fn a_confirmed_version_is_no_news() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    for _ in 0..3 {
        time.force("db").complete(answer("v1", "one"), time.now);
    }
    assert_eq!(time.take_events(), Vec::<String>::new());
    let stats = time.cache.stats(time.now);
    assert_eq!((stats.refreshes, stats.rotations_observed), (3, 0));
}

#[test]
fn every_spell_of_staleness_is_reported_once_and_its_end_begins_a_new_one() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    for _ in 0..2 {
        time.pass(OLD);
        for _ in 0..5 {
            let Read::Lead(permit, _) = time.read("db") else { panic!("no permit granted") };
            permit.complete(failure(ErrorKind::Connection), time.now);
            for _ in 0..5 {
                assert!(matches!(time.read("db"), Read::Hit(_)));
            }
            time.pass(60);
        }
        let events = time.take_events();
        assert_eq!(events.iter().filter(|event| *event == "stale").count(), 1, "{events:?}");
        assert_eq!(events.iter().filter(|event| *event == "error connection").count(), 5, "{events:?}");
        time.force("db").complete(answer("v1", "one"), time.now);
    }
}

#[test]
fn a_spell_is_reported_even_if_a_reader_lost_patience_just_before() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(OLD);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
    permit.complete(answer("v1", "one"), time.now);
    time.cache.give_up("db", Selector::CURRENT, &waiter, time.now);
    time.take_events();
    time.pass(OLD);
    let Read::Lead(permit, _) = time.read("db") else { panic!("no permit granted") };
    permit.complete(failure(ErrorKind::Connection), time.now);
    assert_eq!(time.take_events(), ["error connection", "stale"]);
}

#[test]
fn listeners_may_call_the_cache() {
    let time = Timeline::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (cache, now, inbox) = (time.cache.clone(), time.now, Arc::clone(&seen));
    time.cache.listen(Arc::new(move |event| {
        let failures = cache.stats(now).failures.len();
        cache.invalidate(event.secret_id());
        inbox.lock().unwrap().push(failures);
    }));
    time.lead("db").complete(failure(ErrorKind::Timeout), time.now);
    assert_eq!(*seen.lock().unwrap(), [1]);
    assert!(matches!(time.read("db"), Read::Lead(..)), "forgotten with its backoff");
}

#[test]
fn events_name_the_secret_as_the_program_does() {
    let time = Timeline::new();
    let names = Arc::new(Mutex::new(Vec::new()));
    let inbox = Arc::clone(&names);
    time.cache.listen(Arc::new(move |event| inbox.lock().unwrap().push(event.secret_id().to_owned())));
    time.fill("prod/db", "v1", "one");
    time.force("prod/db").complete(answer("v2", "two"), time.now);
    time.force("prod/db").complete(failure(ErrorKind::Timeout), time.now);
    assert_eq!(*names.lock().unwrap(), ["prod/db", "prod/db"]);
}

/// Requests a version for a login, as `connect` does.
#[track_caller]
fn recheck(time: &Timeline, selector: Selector<'_>, version: &str) {
    let Forced::Leader(permit, _) = time.cache.recheck("db", selector, time.cache.mark(), time.now) else {
        panic!("another request is in progress")
    };
    permit.complete(answer(version, version), time.now);
}

#[test]
fn new_versions_are_reported_for_labels_that_the_program_reads_not_for_those_that_only_logins_request() {
    let previous = Selector::stage(AWSPREVIOUS);
    let read = |time: &Timeline| assert!(matches!(time.read_version("db", previous), Read::Hit(_)));
    let peek = |time: &Timeline| assert!(time.cache.peek("db", previous, time.now).is_some());
    let refresh = |time: &Timeline| {
        let forced = time.cache.force("db", previous, time.cache.mark(), time.now);
        let Forced::Leader(permit, _) = forced else { panic!("another request is in progress") };
        permit.complete(answer("v2", "v2"), time.now);
    };
    for read in [&read as &dyn Fn(&Timeline), &peek, &refresh] {
        let time = Timeline::new();
        recheck(&time, previous, "v1");
        recheck(&time, previous, "v2");
        assert_eq!(time.take_events(), [""; 0]);
        assert_eq!(time.cache.stats(time.now).rotations_observed, 0);
        read(&time);
        recheck(&time, previous, "v3");
        assert_eq!(time.take_events(), ["new_version v2 v3"]);
        assert_eq!(time.cache.stats(time.now).rotations_observed, 1);
    }
}

#[test]
fn a_value_that_a_login_requested_is_a_hit_from_the_second_read_on() {
    let previous = Selector::stage(AWSPREVIOUS);
    let time = Timeline::new();
    recheck(&time, previous, "v1");
    assert!(time.cache.hit("db", previous, time.now.coarse).is_none());
    assert!(matches!(time.read_version("db", previous), Read::Hit(value) if value == "v1"));
    assert!(time.cache.hit("db", previous, time.now.coarse).is_some());
}

#[test]
fn a_new_current_version_is_reported_even_if_only_logins_request_it() {
    let time = Timeline::new();
    recheck(&time, Selector::CURRENT, "v1");
    recheck(&time, Selector::CURRENT, "v2");
    assert_eq!(time.take_events(), ["new_version v1 v2"]);
}
