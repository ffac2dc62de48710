//! Reads, blocking and asynchronous, one at a time and ten thousand at once.

use std::future::IntoFuture;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use secretcache::host::Driver as _;
use secretcache::host::wait_for;
use secretcache::{ErrorKind, SecretCache, Selector};

use crate::script::{LONG, Script, events, read, read_async, runtime, until};

#[test]
fn the_first_read_asks_once_and_the_next_ones_not_at_all() {
    let script = Script::new();
    let cache = script.cache();
    for _ in 0..100 {
        assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    }
    assert_eq!(script.calls(), ["fetch db stage AWSCURRENT"]);
}

#[test]
fn nothing_is_asked_before_the_first_read() {
    let script = Script::new();
    let cache = script.cache();
    assert!(cache.peek("db").is_none());
    assert!(cache.hit("db", Selector::CURRENT).is_none());
    assert_eq!(cache.stats().hits, 0);
    cache.invalidate("db");
    assert_eq!(script.calls(), [""; 0]);
}

#[test]
fn stage_and_version_id_reach_the_source_as_given() {
    let script = Script::new();
    let cache = script.cache();
    let id = "11111111-1111-1111-1111-111111111111";
    cache.get("db").stage("AWSPENDING").wait().unwrap();
    cache.get("db").version_id(id).wait().unwrap();
    assert_eq!(script.calls(), ["fetch db stage AWSPENDING".to_owned(), format!("fetch db version id {id}")]);
}

#[test]
fn ten_thousand_asynchronous_first_reads_make_one_call() {
    let script = Script::new();
    let cache = script.cache();
    script.hold();
    runtime().block_on(async {
        let tasks: Vec<_> = (0..10_000)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move { read_async(&cache).await })
            })
            .collect();
        while cache.stats().coalesced < 9_999 {
            tokio::task::yield_now().await;
        }
        script.release();
        for task in tasks {
            assert_eq!(task.await.unwrap().as_deref(), Ok("value-1"));
        }
    });
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn threads_that_read_at_the_same_moment_make_one_call() {
    let script = Script::new();
    let cache = script.cache();
    script.hold();
    let barrier = Barrier::new(51);
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                barrier.wait();
                assert_eq!(read(&cache).as_deref(), Ok("value-1"));
            });
        }
        barrier.wait();
        until("49 threads follow", || cache.stats().coalesced == 49);
        script.release();
    });
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn cancelling_one_waiter_does_not_cancel_the_fetch_of_the_others() {
    let script = Script::new();
    let cache = script.cache();
    script.hold();
    runtime().block_on(async {
        let spawn = || {
            let cache = cache.clone();
            tokio::spawn(async move { read_async(&cache).await })
        };
        // The first one is the leader.
        let first = spawn();
        script.until_calls(1);
        let (second, third) = (spawn(), spawn());
        while cache.stats().coalesced < 2 {
            tokio::task::yield_now().await;
        }
        first.abort();
        second.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        script.release();
        assert_eq!(third.await.unwrap().as_deref(), Ok("value-1"));
    });
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn a_read_that_was_given_up_by_its_only_reader_is_there_for_the_next() {
    let script = Script::new();
    let cache = script.cache();
    script.hold();
    let mut reading = cache.get("db").into_future();
    assert!(wait_for(&mut reading, Duration::from_millis(1)).is_none());
    drop(reading);
    script.release();
    until("the value arrives", || cache.hit("db", Selector::CURRENT).is_some());
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn asynchronous_reads_run_on_any_executor() {
    let script = Script::new();
    let cache = script.cache();
    let mut reading = cache.get("db").into_future();
    let secret = wait_for(&mut reading, LONG).expect("no answer").unwrap();
    assert_eq!(secret.string().unwrap(), "value-1");
}

#[test]
fn blocking_reads_work_inside_a_tokio_runtime() {
    let script = Script::new();
    let cache = script.cache();
    let value = runtime().block_on(async { read(&cache) });
    assert_eq!(value.as_deref(), Ok("value-1"));
    let current = tokio::runtime::Builder::new_current_thread().build().unwrap();
    script.rotate();
    let refreshed = current.block_on(async { cache.refresh_wait("db").map(drop) });
    assert!(refreshed.is_ok());
}

#[test]
fn a_listener_that_reads_in_its_own_thread_gets_an_error_instead_of_hanging() {
    let script = Script::new();
    let cache = script.cache();
    let (sender, receiver) = std::sync::mpsc::channel();
    let inner = cache.clone();
    cache.on_event(move |_| {
        let error = inner.get("other").wait().map(|hit| hit.to_secret());
        sender.send(error.map_err(|error| error.kind())).unwrap();
    });
    script.fail(ErrorKind::Throttled);
    assert_eq!(read(&cache), Err(ErrorKind::Throttled));
    assert_eq!(receiver.recv_timeout(LONG).unwrap().unwrap_err(), ErrorKind::InvalidArgument);
    script.fail(None);
    cache.close();
}

#[test]
fn a_reader_with_a_last_known_value_waits_for_max_wait_and_no_longer() {
    let script = Script::new();
    let cache = script.cache_with(|builder| {
        builder.refresh_interval(Duration::from_millis(20)).max_wait(Duration::from_millis(50))
    });
    let received = events(&cache);
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    script.rotate();
    script.hold();
    until("the value is past its freshness", || is_old(&cache));
    // The source still holds its answer back, so this can only be the last known value.
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    assert_eq!(runtime().block_on(read_async(&cache)).as_deref(), Ok("value-1"));
    let event = received.recv_timeout(LONG).unwrap();
    assert!(matches!(event, secretcache::Event::Stale { .. }), "{event}");
    script.release();
    until("the new value arrives", || read(&cache).as_deref() == Ok("value-2"));
}

/// Past an interval of 20 ms and its grace.
fn is_old(cache: &SecretCache) -> bool {
    cache.stats().secrets[0].age.is_some_and(|age| age > Duration::from_millis(25))
}

#[test]
fn an_asynchronous_reader_too_waits_for_max_wait_and_no_longer() {
    let script = Script::new();
    let cache = script.cache_with(|builder| {
        builder.refresh_interval(Duration::from_millis(20)).max_wait(Duration::from_millis(50))
    });
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    script.rotate();
    script.hold();
    until("the value is past its freshness", || is_old(&cache));
    assert_eq!(runtime().block_on(read_async(&cache)).as_deref(), Ok("value-1"));
    script.release();
}

#[test]
fn a_source_that_panics_is_an_error_to_its_readers_and_not_a_hang() {
    let script = Script::new();
    let cache = script.cache();
    script.panic_from_now_on();
    let mut reading = cache.get("db").into_future();
    let result = wait_for(&mut reading, LONG).expect("the reader hangs");
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Internal);
    assert!(script.calls().len() < 5, "{} calls", script.calls().len());
}

#[test]
fn wrong_arguments_are_refused_before_anything_starts() {
    let script = Script::new();
    let cache = script.cache();
    let kind = |result: Result<_, secretcache::Error>| result.map(drop).unwrap_err().kind();
    assert_eq!(kind(cache.get("").wait().map(|hit| hit.to_secret())), ErrorKind::InvalidArgument);
    assert_eq!(kind(cache.get("db").stage("").wait().map(|hit| hit.to_secret())), ErrorKind::InvalidArgument);
    assert_eq!(kind(cache.refresh_wait("")), ErrorKind::InvalidArgument);
    assert_eq!(script.calls(), [""; 0]);
}

#[test]
fn a_read_may_say_how_old_its_value_may_be() {
    let script = Script::new();
    let cache = script.cache();
    let younger_than = |seconds| cache.get("db").max_age(std::time::Duration::from_secs(seconds));
    assert_eq!(younger_than(0).wait().unwrap().string().unwrap(), "value-1");
    assert_eq!(script.calls().len(), 1, "a value fetched just now is young enough");
    script.rotate();
    assert_eq!(younger_than(60).wait().unwrap().string().unwrap(), "value-1");
    assert_eq!(younger_than(0).wait().unwrap().string().unwrap(), "value-2");
    script.rotate();
    assert_eq!(runtime().block_on(younger_than(60).into_future()).unwrap().string().unwrap(), "value-2");
    assert_eq!(runtime().block_on(younger_than(0).into_future()).unwrap().string().unwrap(), "value-3");
    script.fail(ErrorKind::Connection);
    assert_eq!(younger_than(0).wait().unwrap_err().kind(), ErrorKind::Connection);
    assert_eq!(read(&cache).as_deref(), Ok("value-3"), "other reads still get the value");
}

#[test]
fn a_source_of_ones_own_is_asked_as_it_asks() {
    let role = "arn:aws:iam::111122223333:role/reads-secrets";
    let error = SecretCache::builder().role_for("db", role, None).source(Script::new()).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    assert!(error.message().contains("your own source"), "{error}");
}
