//! Single flight: one request for any number of readers, whatever happens to the leader.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use secretcache::host::Outcome;
use secretcache::{ErrorKind, Selector};

use crate::timeline::{OLD, Read, TTL, Timeline, answer, failure, is_abandoned, outcome};

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn ten_thousand_first_reads_make_one_request() {
    let time = Timeline::new();
    let (mut permits, mut waiters) = (Vec::new(), Vec::new());
    for _ in 0..10_000 {
        match time.read("db") {
            Read::Lead(permit, waiter) => {
                permits.push(permit);
                waiters.push(waiter);
            }
            Read::Follow(waiter) => waiters.push(waiter),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((permits.len(), waiters.len()), (1, 10_000));
    permits.remove(0).complete(answer("v1", "one"), time.now);
    assert!(waiters.iter().all(|waiter| outcome(waiter) == Some(Ok("one".to_owned()))));
    assert_eq!(time.cache.stats(time.now).coalesced, 9_999);
}

#[test]
fn threads_that_read_at_the_same_moment_make_one_request() {
    let time = Timeline::new();
    let (barrier, permits) = (Barrier::new(16), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..625 {
                    if let Read::Lead(permit, _) = time.read("db") {
                        permits.lock().unwrap().push(permit);
                    }
                }
            });
        }
    });
    assert_eq!(permits.into_inner().unwrap().len(), 1);
}

#[test]
fn readers_who_wait_all_fail_when_the_request_does_and_later_ones_without_a_request() {
    let time = Timeline::new();
    let permit = time.lead("db");
    let Read::Follow(follower) = time.read("db") else { panic!("two requests for one secret") };
    permit.complete(failure(ErrorKind::SecretNotFound), time.now);
    assert_eq!(outcome(&follower), Some(Err(ErrorKind::SecretNotFound)));
    for _ in 0..100 {
        assert!(matches!(time.read("db"), Read::Failed(ErrorKind::SecretNotFound)));
    }
}

#[test]
fn when_the_leader_goes_away_a_follower_leads() {
    let time = Timeline::new();
    let permit = time.lead("db");
    let Read::Follow(mut first) = time.read("db") else { panic!("two requests for one secret") };
    let Read::Follow(second) = time.read("db") else { panic!("two requests for one secret") };
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(Arc::clone(&woken));
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(permit);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(is_abandoned(&first) && is_abandoned(&second));

    let Read::Lead(permit, waiter) = time.read("db") else { panic!("nobody leads") };
    let Read::Follow(again) = time.read("db") else { panic!("two requests for one secret") };
    permit.complete(answer("v1", "one"), time.now);
    assert_eq!(outcome(&waiter), Some(Ok("one".to_owned())));
    assert_eq!(outcome(&again), Some(Ok("one".to_owned())));
    assert_eq!(time.take_events(), Vec::<String>::new(), "an abandoned request is not a failure");
}

#[test]
fn when_a_due_refresh_goes_away_the_next_reader_has_it_done() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(TTL);
    let Read::Due(_, permit) = time.read("db") else { panic!("no permit granted") };
    drop(permit);
    time.pass(1);
    assert!(matches!(time.read("db"), Read::Due(..)), "the value would never be refreshed again");
}

#[test]
fn a_leader_that_panics_leaves_nothing_behind() {
    let time = Timeline::new();
    let permit = time.lead("db");
    let Read::Follow(follower) = time.read("db") else { panic!("two requests for one secret") };
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _ticket = permit;
        std::panic::resume_unwind(Box::new("the source broke"));
    }));
    assert!(unwound.is_err());
    assert!(is_abandoned(&follower));
    time.fill("db", "v1", "one");
    assert!(matches!(time.read("db"), Read::Hit(value) if value == "one"));
}

#[test]
fn a_listener_that_panics_does_not_spoil_the_cache() {
    let time = Timeline::new();
    let permit = time.lead("db");
    let Read::Follow(follower) = time.read("db") else { panic!("two requests for one secret") };
    time.cache.listen(Arc::new(|_| std::panic::resume_unwind(Box::new("the listener broke"))));
    let unwound = catch_unwind(AssertUnwindSafe(|| permit.complete(failure(ErrorKind::Throttled), time.now)));
    assert!(unwound.is_err(), "the program sees the panic");
    assert_eq!(outcome(&follower), Some(Err(ErrorKind::Throttled)));
    assert!(matches!(time.read("db"), Read::Failed(ErrorKind::Throttled)));
}

#[test]
fn a_reader_that_stops_waiting_disturbs_nobody_and_is_not_woken() {
    let time = Timeline::new();
    let permit = time.lead("db");
    let mut woken = Vec::new();
    let mut waiters = Vec::new();
    for _ in 0..3 {
        let Read::Follow(mut waiter) = time.read("db") else { panic!("two requests for one secret") };
        let count = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&count));
        assert!(Pin::new(&mut waiter).poll(&mut Context::from_waker(&waker)).is_pending());
        woken.push(count);
        waiters.push(waiter);
    }
    drop(waiters.remove(1));
    permit.complete(answer("v1", "one"), time.now);
    let counts: Vec<_> = woken.iter().map(|count| count.0.load(Ordering::SeqCst)).collect();
    assert_eq!(counts, [1, 0, 1]);
    assert!(waiters.iter().all(|waiter| outcome(waiter) == Some(Ok("one".to_owned()))));
}

#[test]
fn a_waiter_that_moves_between_tasks_is_woken_where_it_is_now() {
    let time = Timeline::new();
    let Read::Lead(permit, mut waiter) = time.read("db") else { panic!("nobody leads") };
    let tasks = [Arc::<Woken>::default(), Arc::<Woken>::default()];
    for task in &tasks {
        let waker = Waker::from(Arc::clone(task));
        assert!(Pin::new(&mut waiter).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    permit.complete(answer("v1", "one"), time.now);
    let counts: Vec<_> = tasks.iter().map(|task| task.0.load(Ordering::SeqCst)).collect();
    assert_eq!(counts, [0, 1]);
    let waker = Waker::noop();
    let polled = Pin::new(&mut waiter).poll(&mut Context::from_waker(waker));
    assert!(matches!(polled, Poll::Ready(Outcome::Value(_))));
}

#[test]
fn patience_that_ends_as_the_answer_arrives_gives_the_answer_and_raises_no_alarm() {
    let mut time = Timeline::new();
    time.fill("db", "v1", "one");
    time.pass(OLD);
    let Read::Lead(permit, waiter) = time.read("db") else { panic!("no permit granted") };
    time.pass(2);
    permit.complete(answer("v2", "two"), time.now);
    time.take_events();
    let secret = time.cache.give_up("db", Selector::CURRENT, &waiter, time.now).unwrap();
    assert_eq!(secret.string().unwrap(), "two");
    assert_eq!(time.take_events(), Vec::<String>::new(), "a fresh value was reported as stale");
    assert_eq!(time.cache.stats(time.now).stale_served, 0);
}
