//! Eviction: hot secrets stay, and no race returns a wrong value.

use std::sync::Barrier;
use std::thread;

use secretcache::host::{Answer, Lookup};
use secretcache::{Fetched, Selector};

use crate::timeline::{Read, Timeline, answer, outcome};

#[test]
fn secrets_in_use_survive_a_scan_of_a_thousand_others() {
    let time = Timeline::with(|config| config.max_size = 50);
    let hot: Vec<String> = (0..25).map(|number| format!("hot-{number}")).collect();
    for id in &hot {
        time.fill(id, "v1", id);
    }
    for number in 0..1_000 {
        for id in &hot {
            assert!(matches!(time.read(id), Read::Hit(value) if value == *id), "{id} was dropped");
        }
        time.fill(&format!("cold-{number}"), "v1", "cold");
    }
    let stats = time.cache.stats(time.now);
    assert_eq!((stats.secrets.len(), stats.evictions), (50, 975));
}

#[test]
fn a_secret_nobody_reads_again_goes_first() {
    let time = Timeline::with(|config| config.max_size = 3);
    for id in ["a", "b", "c"] {
        time.fill(id, "v1", id);
    }
    for id in ["a", "c"] {
        assert!(matches!(time.read(id), Read::Hit(_)));
    }
    time.fill("d", "v1", "d");
    assert!(matches!(time.read("b"), Read::Lead(..)), "the wrong one went");
}

#[test]
fn a_request_whose_secret_was_evicted_meanwhile_still_answers_its_readers() {
    let time = Timeline::with(|config| config.max_size = 1);
    let Read::Lead(permit, waiter) = time.read("a") else { panic!("nobody leads") };
    time.fill("b", "v1", "value of b");
    permit.complete(answer("v1", "value of a"), time.now);
    assert_eq!(outcome(&waiter), Some(Ok("value of a".to_owned())));
    assert!(matches!(time.read("b"), Read::Hit(value) if value == "value of b"));
    assert_eq!(time.cache.stats(time.now).secrets.len(), 1);
}

#[test]
fn an_evicted_secret_that_is_read_again_does_not_get_the_answer_of_its_first_request() {
    let time = Timeline::with(|config| config.max_size = 1);
    let first = time.lead("a");
    drop(time.lead("b"));
    let Read::Lead(second, waiter) = time.read("a") else { panic!("nobody leads") };
    first.complete(answer("v1", "one"), time.now);
    assert_eq!(outcome(&waiter), None, "the second request was ended by the first");
    second.complete(answer("v2", "two"), time.now);
    assert!(matches!(time.read("a"), Read::Hit(value) if value == "two"));
}

#[test]
fn eight_threads_on_a_cache_of_one_never_see_a_wrong_value() {
    let time = Timeline::with(|config| config.max_size = 1);
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for thread in 0..8_usize {
            let (time, barrier) = (&time, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for round in 0..3_000 {
                    let id = format!("secret-{}", (thread + round) % 5);
                    assert_eq!(read_through(time, &id), id);
                }
            });
        }
    });
    let stats = time.cache.stats(time.now);
    assert!(stats.secrets.len() <= 1, "{stats:?}");
    assert!(stats.evictions > 0);
}

/// Reads as a driver does; the value of every secret is its id.
fn read_through(time: &Timeline, id: &str) -> String {
    loop {
        let waiter = match time.cache.lookup(id, Selector::CURRENT, time.now) {
            Lookup::Hit(hit) => return hit.string().unwrap().to_owned(),
            Lookup::Leader(permit, waiter) => {
                let value = permit.id().to_owned();
                permit.complete(Ok(Answer::value(Fetched::string("v1", &value))), time.now);
                waiter
            }
            Lookup::Follower(waiter) => waiter,
            other => panic!("{other:?}"),
        };
        let outcome = loop {
            match waiter.outcome() {
                Some(outcome) => break outcome,
                None => thread::yield_now(),
            }
        };
        if let Some(result) = outcome.for_reader() {
            return result.unwrap().string().unwrap().to_owned();
        }
    }
}

#[test]
fn values_are_shared_by_threads_while_others_replace_them() {
    let time = Timeline::new();
    time.fill("db", "v0", "value-0");
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                barrier.wait();
                let mut last = 0;
                while last < 499 {
                    let Some(hit) = time.cache.hit("db", Selector::CURRENT, time.now.coarse) else {
                        thread::yield_now();
                        continue;
                    };
                    let version: u32 = hit.version_id().unwrap()[1..].parse().unwrap();
                    assert_eq!(hit.string().unwrap(), format!("value-{version}"), "a torn value");
                    assert!(version >= last, "an older value after a newer one");
                    last = version;
                }
            });
        }
        barrier.wait();
        for version in 1..500 {
            time.force("db").complete(answer(&format!("v{version}"), &format!("value-{version}")), time.now);
        }
    });
}
