//! Forced refreshes: whatever the age or the backoff, and never with an answer from before.

use secretcache::host::Forced;
use secretcache::{AWSPENDING, ErrorKind, Selector};

use crate::timeline::{Read, Timeline, answer, failure, outcome};

#[test]
fn a_forced_refresh_of_a_fresh_value_brings_the_newest() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    time.force("db").complete(answer("v2", "two"), time.now);
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "two"));
    assert_eq!(time.take_events(), ["new_version v1 v2"]);
}

#[test]
fn a_forced_refresh_asks_for_the_value_itself_and_takes_nobodys_word_for_it() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    let permit = time.force("db");
    assert!(permit.known().is_none());
    assert!(permit.held("v1").is_none());
    assert!(permit.description().is_none());
}

#[test]
fn a_forced_refresh_clears_the_backoff_of_every_version() {
    let time = Timeline::new();
    let pending = Selector::stage(AWSPENDING);
    time.lead("db").complete(failure(ErrorKind::KeyUnavailable), time.now);
    time.lead_version("db", pending).complete(failure(ErrorKind::KeyUnavailable), time.now);
    assert!(matches!(time.read("db"), Read::Failed(_)));
    time.force("db").complete(answer("v1", "one"), time.now);
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
    time.lead_version("db", pending).complete(answer("v2", "two"), time.now);
}

#[test]
fn a_forced_refresh_does_not_take_the_answer_of_a_request_that_began_before() {
    let time = Timeline::new();
    let older = time.lead("db");
    let mark = time.cache.mark();
    let Forced::Superseded(waiter) = time.cache.force("db", Selector::CURRENT, mark, time.now) else {
        panic!("joined a request that may have read the value from before");
    };
    older.complete(answer("v1", "one"), time.now);
    assert_eq!(outcome(&waiter), Some(Ok("one".to_owned())));
    let Forced::Leader(permit, _) = time.cache.force("db", Selector::CURRENT, mark, time.now) else {
        panic!("nobody leads");
    };
    let Forced::Follower(follower) = time.cache.force("db", Selector::CURRENT, mark, time.now) else {
        panic!("two requests for one refresh");
    };
    permit.complete(answer("v2", "two"), time.now);
    assert_eq!(outcome(&follower), Some(Ok("two".to_owned())));
}

#[test]
fn a_thousand_forced_refreshes_at_once_make_two_requests_at_most() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    let marks: Vec<u64> = (0..1_000).map(|_| time.cache.mark()).collect();
    let mut requests = 0;
    let mut permit = None;
    for mark in &marks {
        match time.cache.force("db", Selector::CURRENT, *mark, time.now) {
            Forced::Leader(lead, _) => {
                requests += 1;
                permit = Some(lead);
            }
            Forced::Follower(_) => {}
            other => panic!("{other:?}"),
        }
    }
    permit.unwrap().complete(answer("v2", "two"), time.now);
    assert_eq!(requests, 1);
}

#[test]
fn readers_go_on_being_served_while_a_forced_refresh_runs() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    let permit = time.force("db");
    for _ in 0..10 {
        assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
    }
    permit.complete(answer("v2", "two"), time.now);
}

#[test]
fn a_failed_forced_refresh_is_reported_and_the_value_goes_on_being_served() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    let Forced::Leader(permit, waiter) =
        time.cache.force("db", Selector::CURRENT, time.cache.mark(), time.now)
    else {
        panic!("nobody leads")
    };
    permit.complete(failure(ErrorKind::Throttled), time.now);
    let Some(secretcache::host::Outcome::Failed { error, last_known }) = waiter.outcome() else {
        panic!("no failure")
    };
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(last_known.unwrap().string().unwrap(), "one");
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
}

#[test]
fn wrong_arguments_are_refused_without_a_request() {
    let time = Timeline::new();
    for id in ["", "prod/db\n", &"x".repeat(2_049)] {
        assert!(matches!(time.read(id), Read::Failed(ErrorKind::InvalidArgument)));
        let forced = time.cache.force(id, Selector::CURRENT, 0, time.now);
        assert!(matches!(forced, Forced::Failed(error) if error.kind() == ErrorKind::InvalidArgument));
    }
    let stages = [Selector::stage(""), Selector::version_id("AWSPREVIOUS"), Selector::version_id("")];
    for selector in stages {
        assert!(matches!(time.read_version("db", selector), Read::Failed(ErrorKind::InvalidArgument)));
    }
    assert!(time.cache.stats(time.now).secrets.is_empty(), "an invalid id makes no entry");
}
