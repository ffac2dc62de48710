//! What a reader remembers: never more than the cache would give, and never longer than the cache has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use secretcache::{Answer, ErrorKind, Fetched, Lookup, Reader, Secret, Selector, Wanted};

use crate::timeline::{OLD, Timeline, answer, answer_of, failure, tracked};

/// One hit, if it is one.
fn hit(reader: &mut Reader, time: &Timeline, id: &str) -> Option<String> {
    let is_hit = reader.hit(&time.cache, id, Wanted::String, time.now.coarse);
    is_hit.then(|| reader.secret().unwrap().string().unwrap().to_owned())
}

/// A reader that remembers what is read: it has read from this cache before.
fn remembering(time: &Timeline, id: &str) -> Reader {
    let mut reader = Reader::default();
    for _ in 0..3 {
        assert!(hit(&mut reader, time, id).is_some());
    }
    assert!(is_remembered(&mut reader, time, id));
    reader
}

fn is_remembered(reader: &mut Reader, time: &Timeline, id: &str) -> bool {
    reader.hit_again(&time.cache, id.as_bytes(), Wanted::Anything, time.now.coarse)
}

fn held(reader: &Reader) -> Option<&str> {
    reader.secret().and_then(Secret::version_id)
}

#[test]
fn what_is_remembered_is_what_the_cache_would_give() {
    let mut time = Timeline::new();
    assert_eq!(hit(&mut Reader::default(), &time, "db"), None);
    time.fill("db", "v1", "one");
    let mut reader = remembering(&time, "db");
    assert!(!is_remembered(&mut reader, &time, "other"));
    assert!(!is_remembered(&mut reader, &time, ""));

    time.force("db").complete(answer("v2", "two"), time.now);
    assert!(!is_remembered(&mut reader, &time, "db"), "the version from before");
    assert_eq!(held(&reader), Some("v1"), "what it holds, it holds");
    assert_eq!(hit(&mut reader, &time, "db").as_deref(), Some("two"));
    assert_eq!(held(&reader), Some("v2"));

    time.pass(OLD);
    assert_eq!(hit(&mut reader, &time, "db"), None, "due for a look");
    time.lead("db").complete(answer("v2", "two"), time.now);
    assert!(is_remembered(&mut reader, &time, "db"), "confirmed");

    time.cache.invalidate("db");
    assert_eq!(hit(&mut reader, &time, "db"), None);
    time.fill("db", "v2", "two");
    assert!(!is_remembered(&mut reader, &time, "db"), "another copy");
    assert_eq!(hit(&mut reader, &time, "db").as_deref(), Some("two"));
    time.cache.close();
    assert_eq!(hit(&mut reader, &time, "db"), None);
    assert_eq!(held(&reader), Some("v2"));
}

#[test]
fn nothing_is_remembered_of_what_changed_while_it_was_read() {
    let time = Timeline::new();
    time.fill("db", "v1", "one");
    let mut reader = remembering(&time, "db");
    let changes = time.cache.changes();
    let old = time.cache.hit("db", Selector::CURRENT, time.now.coarse).unwrap().to_secret();
    time.force("db").complete(answer("v2", "two"), time.now);
    reader.hold_current(&time.cache, changes, "db", &old);
    assert_eq!(held(&reader), Some("v1"));
    assert!(!is_remembered(&mut reader, &time, "db"));
    assert_eq!(hit(&mut reader, &time, "db").as_deref(), Some("two"));
}

#[test]
fn what_is_not_wanted_is_not_held() {
    let time = Timeline::new();
    time.fill("string", "v1", "one");
    time.lead("binary").complete(Ok(Answer::value(Fetched::binary("v2", b"two"))), time.now);
    let mut reader = remembering(&time, "string");
    let mut read = |id, wanted| {
        let is_hit = reader.hit(&time.cache, id, wanted, time.now.coarse);
        (is_hit, held(&reader).unwrap().to_owned())
    };
    for _ in 0..3 {
        assert_eq!(read("string", Wanted::String), (true, "v1".to_owned()));
        assert_eq!(read("binary", Wanted::String), (false, "v1".to_owned()));
        assert_eq!(read("binary", Wanted::Binary), (true, "v2".to_owned()));
        assert_eq!(read("string", Wanted::Binary), (false, "v2".to_owned()));
        assert_eq!(read("none", Wanted::Anything), (false, "v2".to_owned()));
        assert_eq!(read("string", Wanted::Anything), (true, "v1".to_owned()));
    }
}

#[test]
fn hits_count_and_keep_a_secret_in_use() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    let mut reader = remembering(&time, "db");
    let before = time.cache.stats(time.now).hits;
    time.pass(OLD);
    for ticket in time.cache.due(time.now).tickets {
        ticket.complete(answer("v1", "one"), time.now);
    }
    (0..5).for_each(|_| assert!(is_remembered(&mut reader, &time, "db")));
    assert_eq!(time.cache.stats(time.now).hits, before + 5);
    time.pass(OLD);
    assert_eq!(time.cache.due(time.now).tickets.len(), 1, "it was in use");
}

#[test]
fn a_reader_keeps_in_memory_what_it_holds_and_nothing_else() {
    let time = Timeline::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = || dropped.load(SeqCst);
    for id in ["a", "b", "c"] {
        time.lead(id).complete(tracked(id, &dropped), time.now);
    }
    let mut reader = remembering(&time, "a");
    hit(&mut reader, &time, "b").unwrap();
    hit(&mut reader, &time, "c").unwrap();
    assert!(is_remembered(&mut reader, &time, "b"), "it remembers several");

    time.force("a").complete(answer("a2", "new"), time.now);
    assert_eq!(count(), 1, "replaced, and not held by anybody");
    time.cache.invalidate("c");
    assert_eq!(count(), 2, "forgotten, and not held by anybody");
    time.cache.invalidate("b");
    assert_eq!((count(), held(&reader)), (2, Some("b")), "held");
    let clone = reader.clone();
    hit(&mut reader, &time, "a").unwrap();
    assert_eq!(count(), 2, "held by a clone");
    drop(clone);
    assert_eq!(count(), 3);

    time.lead("d").complete(tracked("d", &dropped), time.now);
    hit(&mut reader, &time, "d").unwrap();
    time.cache.close();
    assert_eq!((count(), held(&reader)), (3, Some("d")));
    reader.clear();
    assert_eq!((count(), held(&reader)), (4, None));
}

#[test]
fn a_cache_that_goes_without_being_closed_takes_along_what_is_remembered() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let time = Timeline::new();
    for id in ["a", "b"] {
        time.lead(id).complete(tracked(id, &dropped), time.now);
    }
    let mut reader = remembering(&time, "a");
    hit(&mut reader, &time, "b").unwrap();
    drop(time);
    assert_eq!((dropped.load(SeqCst), held(&reader)), (1, Some("b")));
    // Another cache, at the same address for all one knows.
    let time = Timeline::new();
    assert_eq!(hit(&mut reader, &time, "a"), None);
    time.fill("a", "v1", "one");
    assert_eq!(hit(&mut reader, &time, "a").as_deref(), Some("one"));
    drop(reader);
    assert_eq!(dropped.load(SeqCst), 2);
}

#[test]
fn one_reader_for_two_caches() {
    let (one, other) = (Timeline::new(), Timeline::new());
    one.fill("db", "v1", "one");
    other.fill("db", "v2", "other");
    let mut reader = remembering(&one, "db");
    for _ in 0..200 {
        assert_eq!(hit(&mut reader, &other, "db").as_deref(), Some("other"));
        assert_eq!(held(&reader), Some("v2"));
        assert_eq!(hit(&mut reader, &one, "db").as_deref(), Some("one"));
        assert_eq!(held(&reader), Some("v1"));
    }
    for _ in 0..200 {
        hit(&mut reader, &other, "db");
    }
    assert!(is_remembered(&mut reader, &other, "db"), "the one it has turned to");
    one.cache.close();
    assert_eq!(held(&reader), Some("v2"));
}

#[test]
fn ids_of_one_secret_are_forgotten_together() {
    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";
    let time = Timeline::new();
    time.lead("db").complete(answer_of(ARN, "v1", "one"), time.now);
    let mut reader = remembering(&time, "db");
    hit(&mut reader, &time, ARN).unwrap();
    assert!(is_remembered(&mut reader, &time, ARN));
    time.cache.invalidate(ARN);
    for id in ["db", ARN] {
        assert!(!is_remembered(&mut reader, &time, id));
    }
    assert_eq!(held(&reader), Some("v1"));
}

#[test]
fn a_reader_of_more_secrets_than_it_remembers() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let time = Timeline::with(|config| config.max_size = 10_000);
    let ids: Vec<_> = (0..10_000).map(|number| format!("a-rather-long-name/{number}")).collect();
    let mut reader = Reader::default();
    for id in &ids {
        time.lead(id).complete(tracked(id, &dropped), time.now);
        assert_eq!(hit(&mut reader, &time, id).as_deref(), Some(id.as_str()));
    }
    for id in ids.iter().chain(ids.iter().rev()) {
        assert_eq!(hit(&mut reader, &time, id).as_deref(), Some(id.as_str()));
    }
    // What is taken out leaves no gap behind which others are lost.
    for id in ids.iter().step_by(3) {
        time.cache.invalidate(id);
        assert_eq!(hit(&mut reader, &time, id), None);
    }
    for id in ids.iter().skip(1).step_by(3) {
        assert_eq!(hit(&mut reader, &time, id).as_deref(), Some(id.as_str()));
    }
    drop(time);
    assert_eq!(dropped.load(SeqCst), 9_999, "all but the one in hand");
}

#[test]
fn a_failing_source_lets_go_of_what_may_not_be_served() {
    let mut time = Timeline::with(|config| config.stale_on_denied = false);
    time.fill("db", "v1", "one");
    let mut reader = remembering(&time, "db");
    time.pass(90);
    let Lookup::HitDue(_, ticket) = time.cache.lookup("db", Selector::CURRENT, time.now) else {
        panic!("not due")
    };
    assert!(is_remembered(&mut reader, &time, "db"), "while it is refreshed");
    ticket.complete(failure(ErrorKind::AccessDenied), time.now);
    assert_eq!(hit(&mut reader, &time, "db"), None);
}

/// Threads read, each into a reader of its own, while versions are replaced and forgotten: nobody gets a version from
/// before one that was there when the read began, and in the end every version has left the memory.
#[test]
fn readers_beside_changes() {
    const ROUNDS: usize = 3_000;
    let time = Timeline::new();
    let (dropped, newest, is_over) =
        (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0), AtomicBool::new(false));
    time.lead("db").complete(tracked("00000", &dropped), time.now);
    time.fill("other", "v1", "other");
    let made = thread::scope(|scope| {
        for number in 0..4 {
            let (time, newest, is_over) = (&time, &newest, &is_over);
            scope.spawn(move || {
                let mut reader = Reader::default();
                while !is_over.load(SeqCst) {
                    let at_least = newest.load(SeqCst);
                    if let Some(version) = hit(&mut reader, time, "db") {
                        assert!(version.parse::<usize>().unwrap() >= at_least, "{version} after {at_least}");
                        assert_eq!(held(&reader), Some(version.as_str()));
                    }
                    if number % 2 == 0 {
                        hit(&mut reader, time, "other");
                    }
                }
            });
        }
        let mut made = 1;
        for round in 1..=ROUNDS {
            if round % 3 == 0 {
                time.cache.invalidate("db");
            }
            time.force("db").complete(tracked(&format!("{round:05}"), &dropped), time.now);
            newest.store(round, SeqCst);
            made += 1;
            if round % 100 == 0 {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
        is_over.store(true, SeqCst);
        made
    });
    // What was replaced while readers were in the shared map is dropped with the next change of the map.
    time.cache.invalidate("other");
    assert_eq!(dropped.load(SeqCst), made - 1, "all but the current one");
    time.cache.close();
    assert_eq!(dropped.load(SeqCst), made);
}
