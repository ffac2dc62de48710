//! Clocks that are set, and processes that sleep: nothing old is served as fresh, and no clock stops refreshes for
//! long.

use std::time::Duration;

use secretcache::host::Now;
use secretcache::{ErrorKind, Selector};

use crate::timeline::{OLD, Read, TTL, Timeline, answer, failure, outcome};

/// Sets the wall clock; nothing else happens.
fn set_wall(now: &mut Now, change: i64) {
    let seconds = u64::try_from(i64::try_from(now.wall.as_secs()).unwrap() + change).unwrap();
    now.wall = Duration::from_secs(seconds);
    now.coarse.wall = seconds * 1_000_000_000;
}

/// Suspends the machine: the monotonic clock stops, while the time since boot and the wall clock continue.
fn suspend(now: &mut Now, seconds: u64) {
    let monotonic = now.coarse.monotonic;
    *now = now.plus(Duration::from_secs(seconds));
    now.coarse.monotonic = monotonic;
}

/// Restores a snapshot: only the wall clock shows it.
fn restore(now: &mut Now, seconds: u64) {
    set_wall(now, i64::try_from(seconds).unwrap());
}

#[test]
fn a_clock_set_back_by_a_day_neither_stops_refreshes_nor_causes_one() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    set_wall(&mut time.now, -86_400);
    assert!(matches!(time.read("db"), Read::Hit(_)));
    time.pass(TTL);
    let Read::Due(_, permit) = time.read("db") else { panic!("no refresh for a day") };
    permit.complete(answer("v1", "one"), time.now);
    assert!(matches!(time.read("db"), Read::Hit(_)));
}

#[test]
fn a_clock_set_forward_by_a_day_costs_one_refresh() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    set_wall(&mut time.now, 86_400);
    let Read::Lead(permit, _) = time.read("db") else { panic!("the value was not rechecked") };
    permit.complete(answer("v1", "one"), time.now);
    for _ in 0..TTL / 2 - 1 {
        time.pass(1);
        assert!(matches!(time.read("db"), Read::Hit(_)));
    }
}

#[test]
fn a_clock_set_forward_and_back_again_serves_nothing_longer_than_it_should() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    set_wall(&mut time.now, 86_400);
    let Read::Lead(permit, _) = time.read("db") else { panic!("the value was not rechecked") };
    permit.complete(answer("v1", "one"), time.now);
    set_wall(&mut time.now, -86_400);
    time.pass(TTL);
    assert!(matches!(time.read("db"), Read::Due(..)), "no refresh for a day");
}

#[test]
fn after_a_suspension_nothing_old_is_served_as_fresh() {
    for sleep in [suspend, restore] {
        let mut time = Timeline::new();
        time.fill("db", "v1", "one");
        sleep(&mut time.now, 3_600);
        assert!(time.cache.hit("db", Selector::CURRENT, time.now.coarse).is_none());
        let Read::Lead(permit, waiter) = time.read("db") else { panic!("served as fresh") };
        permit.complete(answer("v2", "two"), time.now);
        assert_eq!(outcome(&waiter), Some(Ok("two".to_owned())));
    }
}

#[test]
fn a_short_nap_within_the_grace_makes_nobody_wait() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    suspend(&mut time.now, TTL + 5);
    assert!(matches!(time.read("db"), Read::Due(..)));
}

#[test]
fn a_reader_back_from_a_suspension_with_a_request_in_flight_waits_for_it() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(TTL);
    let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
    suspend(&mut time.now, 3_600);
    let Read::Follow(waiter) = time.read("db") else { panic!("served as if no time had passed") };
    permit.complete(answer("v2", "two"), time.now);
    assert_eq!(outcome(&waiter), Some(Ok("two".to_owned())));
}

#[test]
fn a_suspension_counts_towards_max_stale() {
    let mut time = Timeline::with(|config| config.max_stale = Some(Duration::from_secs(1_000)));
    time.fill("db", "v1", "one");
    suspend(&mut time.now, 1_000);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("served past max_stale") };
    assert_eq!(waiter.patience(), None);
    permit.complete(failure(ErrorKind::Connection), time.now);
    assert_eq!(outcome(&waiter), Some(Err(ErrorKind::Connection)));
}

#[test]
fn a_backoff_ends_on_time_whichever_clock_is_set() {
    for change in [-86_400, 86_400] {
        let mut time = Timeline::new();
        time.lead("db").complete(failure(ErrorKind::Connection), time.now);
        set_wall(&mut time.now, change);
        time.pass(1);
        assert!(matches!(time.read("db"), Read::Lead(..)), "clock set by {change} s");
    }
}

#[test]
fn the_refresher_sees_suspended_time_too() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    assert!(time.cache.due(time.now).permits.is_empty());
    suspend(&mut time.now, OLD);
    assert_eq!(time.cache.due(time.now).permits.len(), 1);
}
