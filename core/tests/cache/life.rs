//! From the first read to the last: peek, invalidate, close, and what bindings keep with a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use secretcache::host::{Answer, Forced, Lookup, SecretExt as _, Watches};
use secretcache::{ErrorKind, Fetched, Secret, Selector};

use crate::timeline::{OLD, Read, TTL, Timeline, answer, answer_of, described, failure, outcome, tracked};

#[test]
fn peeking_neither_waits_nor_asks() {
    let mut time = Timeline::new();
    let peek = |time: &Timeline| {
        let hit = time.cache.peek("db", Selector::CURRENT, time.now)?;
        Some(hit.string().unwrap().to_owned())
    };
    assert_eq!(peek(&time), None);
    time.fill("db", "v1", "one");
    assert_eq!(peek(&time).as_deref(), Some("one"));
    time.pass(OLD * 100);
    assert_eq!(peek(&time).as_deref(), Some("one"), "the last known value");
    assert!(matches!(time.read("db"), Read::Lead(..)), "peeking began a request");
}

/// Returns how many refreshes the refresher would start now.
fn refreshes(time: &Timeline) -> usize {
    time.cache.due(time.now).permits.len()
}

#[test]
fn a_watched_secret_is_kept_fresh_without_being_read() {
    let watches = Watches::default();
    let mut time = Timeline::watched(watches.clone());
    for id in ["watched", "unread"] {
        time.fill(id, "v1", "one");
    }
    let watch = watches.add("watched");
    let again = watch.clone();
    let mut refreshed = Vec::new();
    for _ in 0..3 {
        time.pass(OLD);
        for permit in time.cache.due(time.now).permits {
            refreshed.push(permit.id().to_owned());
            permit.complete(answer("v1", "one"), time.now);
        }
    }
    refreshed.sort();
    assert_eq!(refreshed, ["unread", "watched", "watched", "watched"]);
    drop(watch);
    time.pass(OLD);
    assert_eq!(time.cache.due(time.now).permits.len(), 1, "a clone still watches");
    drop(again);
    assert_eq!(refreshes(&time), 0, "no watch is left");
}

#[test]
fn with_an_interval_of_zero_nothing_is_refreshed_beside_the_readers() {
    let time = Timeline::with(|config| config.ttl = std::time::Duration::ZERO);
    time.fill("db", "v1", "one");
    assert!(matches!(time.read("db"), Read::Lead(..)), "every read asks the source");
    time.lead("other").complete(answer("v1", "one"), time.now);
    assert_eq!(refreshes(&time), 0);
}

#[test]
fn a_watch_is_by_any_of_the_secrets_names_and_outlives_forgetting_and_eviction() {
    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";
    let watches = Watches::default();
    let mut time = Timeline::watched(watches.clone());
    let _watch = watches.add("db");
    time.lead(ARN).complete(answer_of(ARN, "v1", "one"), time.now);
    time.lead("db").complete(answer_of(ARN, "v1", "one"), time.now);
    time.pass(OLD);
    assert_eq!(refreshes(&time), 1);
    time.cache.invalidate("db");
    assert_eq!(refreshes(&time), 0, "an invalidated secret is not fetched before it is read");
    time.fill("db", "v1", "one");
    for number in 0..2_000 {
        time.fill(&format!("other-{number}"), "v1", "other");
    }
    assert!(matches!(time.read("db"), Read::Hit(_)), "evicted while it was watched");
}

#[test]
fn a_forgotten_secret_is_fetched_again() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    time.fill("other", "v1", "other");
    time.cache.invalidate("db");
    time.cache.invalidate("unknown");
    assert!(matches!(time.read("db"), Read::Lead(..)));
    assert!(matches!(time.read("other"), Read::Hit(_)));
}

#[test]
fn a_request_under_way_when_its_secret_is_forgotten_answers_its_readers_and_is_not_kept() {
    let time = Timeline::new();
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("nobody leads") };
    time.cache.invalidate("db");
    permit.complete(answer("v1", "one"), time.now);
    assert_eq!(outcome(&waiter), Some(Ok("one".to_owned())));
    assert!(matches!(time.read("db"), Read::Lead(..)), "the answer from before was kept");
}

#[test]
fn forgetting_a_secret_ends_its_backoff() {
    let time = Timeline::new();
    time.lead("db").complete(failure(ErrorKind::AccessDenied), time.now);
    time.cache.invalidate("db");
    assert!(matches!(time.read("db"), Read::Lead(..)));
}

#[test]
fn a_closed_cache_serves_nothing_and_says_why() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    let Read::Lead(permit, waiter) = time.read("other") else { panic!("nobody leads") };
    let held = time.cache.hit("db", Selector::CURRENT, time.now.coarse).unwrap().to_secret();
    time.cache.close();
    time.cache.close();
    assert!(time.cache.is_closed());
    assert!(matches!(time.read("db"), Read::Failed(ErrorKind::Closed)));
    assert!(time.cache.peek("db", Selector::CURRENT, time.now).is_none());
    assert!(!time.cache.hit_again(&held, time.now.coarse));
    assert!(time.cache.due(time.now).permits.is_empty());
    let forced = time.cache.force("db", Selector::CURRENT, time.cache.mark(), time.now);
    assert!(matches!(forced, Forced::Failed(error) if error.kind() == ErrorKind::Closed));
    permit.complete(answer("v1", "late"), time.now);
    assert_eq!(outcome(&waiter), Some(Ok("late".to_owned())), "a waiting reader is answered");
    assert!(matches!(time.read("other"), Read::Failed(ErrorKind::Closed)));
    assert_eq!(held.string().unwrap(), "one", "the program's copy is unaffected");
    assert!(time.cache.stats(time.now).secrets.is_empty());
}

#[test]
fn the_same_version_keeps_what_a_binding_made_of_it() {
    let mut time = Timeline::new();
    let made = AtomicUsize::new(0);
    let extension = |time: &Timeline| {
        let hit = time.cache.peek("db", Selector::CURRENT, time.now).unwrap();
        let extension = hit.extension(|| Box::new(made.fetch_add(1, Ordering::SeqCst)));
        *extension.downcast_ref::<usize>().unwrap()
    };
    time.fill("db", "v1", "one");
    assert_eq!((extension(&time), extension(&time)), (0, 0));
    time.pass(TTL);
    time.force("db").complete(answer("v1", "one"), time.now);
    assert_eq!(extension(&time), 0, "a confirmed version is the same object");
    time.force("db").complete(answer("v2", "two"), time.now);
    assert_eq!(extension(&time), 1);
}

#[test]
fn a_version_whose_labels_changed_keeps_what_a_binding_made_of_it() {
    let mut time = Timeline::new();
    let mut fetched = Fetched::string("v1", "one");
    fetched.version_stages = vec!["AWSCURRENT".to_owned(), "AWSPENDING".to_owned()];
    fetched.extension = Some(Box::new("made of v1"));
    time.lead("db").complete(Ok(secretcache::host::Answer::value(fetched)), time.now);
    for labels in [["AWSCURRENT"], ["AWSCURRENT"]] {
        time.pass(TTL);
        let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
        let description = described(&[("v1", labels[0])]);
        permit.complete(Ok(secretcache::host::Answer::unchanged().with_description(description)), time.now);
        let hit = time.cache.hit("db", Selector::CURRENT, time.now.coarse).unwrap();
        assert_eq!(hit.version_stages(), labels);
        assert_eq!(hit.filled_extension().unwrap().downcast_ref(), Some(&"made of v1"));
    }
}

#[test]
fn threads_that_fill_a_slot_at_the_same_time_agree_on_one() {
    let secret = Secret::from(Fetched::string("v1", "one"));
    assert!(secret.filled_extension().is_none());
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| secret.extension(|| Box::new(made.fetch_add(1, Ordering::SeqCst))).is::<usize>());
        }
    });
    assert_eq!(made.load(Ordering::SeqCst), 1);
    assert!(secret.filled_extension().is_some());
}

#[test]
fn a_tag_belongs_to_one_version() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    let first = time.cache.hit("db", Selector::CURRENT, time.now.coarse).unwrap().to_secret();
    assert_eq!(first.host_data(), 0);
    first.set_host_data(42);
    assert_eq!(time.cache.hit("db", Selector::CURRENT, time.now.coarse).unwrap().host_data(), 42);
    time.force("db").complete(answer("v2", "two"), time.now);
    assert_eq!(time.cache.hit("db", Selector::CURRENT, time.now.coarse).unwrap().host_data(), 0);
}

#[test]
fn values_that_were_replaced_forgotten_or_closed_away_leave_the_memory() {
    let time = Timeline::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = || dropped.load(Ordering::SeqCst);
    time.lead("db").complete(tracked("v1", &dropped), time.now);
    time.force("db").complete(tracked("v2", &dropped), time.now);
    assert_eq!(count(), 1, "the replaced version");
    time.cache.invalidate("db");
    assert_eq!(count(), 2, "the invalidated version");
    time.lead("db").complete(tracked("v3", &dropped), time.now);
    time.cache.close();
    assert_eq!(count(), 3, "the version in the closed cache");
}

#[test]
fn a_value_that_may_no_longer_be_served_leaves_the_memory() {
    let mut time = Timeline::with(|config| config.stale_on_denied = false);
    let dropped = Arc::new(AtomicUsize::new(0));
    time.lead("db").complete(tracked("v1", &dropped), time.now);
    time.pass(OLD);
    time.lead("db").complete(failure(ErrorKind::AccessDenied), time.now);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_value_in_hand_outlives_its_replacement() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    let Lookup::Hit(hit) = time.cache.lookup("db", Selector::CURRENT, time.now) else { panic!("no hit") };
    time.force("db").complete(answer("v2", "two"), time.now);
    time.cache.invalidate("db");
    assert_eq!(hit.string().unwrap(), "one");
}

#[test]
fn s8_a_slot_whose_drop_panics_takes_no_value_from_a_reader() {
    struct Defect;
    impl Drop for Defect {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "a bug in the binding");
        }
    }
    let time = Timeline::new();
    let mut fetched = Fetched::string("v1", "one");
    fetched.extension = Some(Box::new(Defect));
    time.lead("db").complete(Ok(Answer::value(fetched)), time.now);
    let hit = time.cache.hit("db", Selector::CURRENT, time.now.coarse).unwrap();
    let replace = || time.force("db").complete(answer("v2", "two"), time.now);
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(replace));
    assert_eq!(hit.string().unwrap(), "one", "the reader still holds it");
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(hit)));
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "two"));
}
