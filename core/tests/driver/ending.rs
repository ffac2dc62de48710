//! How a cache ends: closed or dropped, also with requests in progress.
#![expect(clippy::disallowed_methods, reason = "programs that end have a variable and threads of their own")]

use std::process::Command;
use std::thread;
use std::time::Duration;

use secretcache::host::Driver as _;
use secretcache::{Credentials, ErrorKind, SecretCache, Selector};

use crate::script::{LONG, Script, events, read, runtime, until};

#[test]
fn a_closed_cache_refuses_reads_and_says_so() {
    let script = Script::new();
    let cache = script.cache();
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    let clone = cache.clone();
    cache.close();
    assert_eq!(read(&clone), Err(ErrorKind::Closed));
    assert!(clone.peek("db").is_none());
    assert_eq!(clone.refresh_wait("db").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(runtime().block_on(clone.refresh("db")).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(script.calls().len(), 1);
}

#[test]
fn a_cache_closed_before_its_first_read_stays_closed() {
    let script = Script::new();
    let cache = script.cache();
    cache.close();
    assert_eq!(read(&cache), Err(ErrorKind::Closed));
    assert_eq!(script.calls(), [""; 0]);
}

#[test]
fn a_reader_who_waits_when_the_cache_is_closed_is_answered() {
    let script = Script::new();
    let cache = script.cache();
    script.hold();
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(&cache));
        script.until_calls(1);
        cache.close();
        script.release();
        assert_eq!(reader.join().unwrap().as_deref(), Ok("value-1"));
    });
    assert_eq!(read(&cache), Err(ErrorKind::Closed));
}

#[test]
fn closing_ends_the_background_work() {
    let script = Script::new();
    let cache = script.cache_with(|builder| builder.refresh_interval(Duration::from_millis(20)));
    read(&cache).unwrap();
    script.until_calls(2);
    cache.close();
    drop(cache);
    until("the refresher lets go of the source", || script.holders() == 0);
}

#[test]
fn a_cache_dropped_while_a_refresh_runs_ends_with_that_refresh() {
    let script = Script::new();
    let cache = script.cache();
    read(&cache).unwrap();
    script.hold();
    drop(cache.start_refresh("db", Selector::CURRENT).unwrap());
    script.until_calls(2);
    drop(cache);
    assert!(script.holders() > 0);
    script.release();
    until("the request lets go of the source", || script.holders() == 0);
}

#[test]
fn a_cache_dropped_inside_a_tokio_runtime_harms_nobody() {
    let script = Script::new();
    runtime().block_on(async {
        let cache = script.cache();
        cache.get("db").await.unwrap();
        drop(cache);
    });
    until("nobody holds the source", || script.holders() == 0);
}

#[test]
fn listeners_hear_what_happens_from_the_moment_they_are_added() {
    let script = Script::new();
    let cache = script.cache();
    let early = events(&cache);
    read(&cache).unwrap();
    script.rotate();
    cache.refresh_wait("db").unwrap();
    let late = events(&cache);
    script.rotate();
    cache.refresh_wait("db").unwrap();
    early.recv_timeout(LONG).unwrap();
    assert!(early.recv_timeout(LONG).unwrap().to_string().contains("v3"));
    assert!(late.recv_timeout(LONG).unwrap().to_string().contains("v3"));
}

#[test]
fn a_forgotten_secret_is_fetched_again() {
    let script = Script::new();
    let cache = script.cache();
    read(&cache).unwrap();
    script.rotate();
    cache.invalidate("db");
    assert!(cache.peek("db").is_none());
    assert_eq!(read(&cache).as_deref(), Ok("value-2"));
}

/// What a program leaves unfinished when it ends.
const ENDS: [&str; 5] =
    ["a read that waits", "a read that failed", "refreshes", "a prefetch", "requests to AWS"];
const VARIABLE: &str = "SECRETCACHE_TEST_ENDS";

#[test]
fn p3_a_program_ends_two_hundred_times_with_its_own_status() {
    if let Ok(what) = std::env::var(VARIABLE) {
        end_with(&what);
    }
    for round in 0..200 {
        let what = ENDS[round % ENDS.len()];
        let program = std::env::current_exe().unwrap();
        let this = "ending::p3_a_program_ends_two_hundred_times_with_its_own_status";
        let ended = Command::new(program).args(["--exact", this, "--nocapture"]).env(VARIABLE, what).output();
        let ended = ended.unwrap();
        let problems = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{what}, round {round}: {problems}");
        assert!(!problems.contains("panicked"), "{what}, round {round}: {problems}");
    }
}

fn end_with(what: &str) -> ! {
    let script = Script::new();
    let cache = script.cache_with(|builder| builder.refresh_interval(Duration::from_millis(20)));
    match what {
        "a read that waits" => {
            script.hold();
            let reading = cache.clone();
            thread::spawn(move || read(&reading));
            script.until_calls(1);
        }
        "a read that failed" => {
            script.fail(ErrorKind::Connection);
            read(&cache).unwrap_err();
        }
        "refreshes" => {
            read(&cache).unwrap();
            script.until_calls(2);
        }
        "a prefetch" => {
            script.answer_batches_without("");
            script.hold();
            let prefetching = cache.clone();
            thread::spawn(move || drop(prefetching.prefetch_wait((0..100).map(|number| number.to_string()))));
            script.until_calls(1);
        }
        _ => {
            let mut options = secretcache::host::Options::default();
            options.endpoint_url = Some("http://127.0.0.1:1".into());
            options.region = Some("us-east-1".into());
            options.credentials = Some(Credentials::new("test", "test", None));
            let cache = SecretCache::builder().options(options).build().unwrap();
            thread::spawn(move || drop(cache.get("db").wait()));
        }
    }
    std::process::exit(3);
}
