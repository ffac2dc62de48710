//! A forked child starts over: it waits for no thread of its parent, and shares nothing with it.
#![cfg(all(unix, feature = "aws"))]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use secretcache::host::Driver as _;
use secretcache::{BoxFuture, Description, Error, ErrorKind, Fetched, SecretCache, SecretSource, Selector};
use tokio::sync::Notify;

/// A source that answers with the id of the calling process. In the process that created it, answers can be held back.
/// It has no lock that a fork could freeze.
#[derive(Clone, Debug)]
struct WhoAsks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parent: u32,
    held: AtomicBool,
    fails: AtomicBool,
    released: Notify,
    calls: AtomicUsize,
}

impl WhoAsks {
    fn new() -> Self {
        let parent = std::process::id();
        let (held, fails) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Inner { parent, held, fails, released: Notify::new(), calls: AtomicUsize::new(0) }))
    }

    fn cache(&self, interval: Duration) -> SecretCache {
        SecretCache::builder().refresh_interval(interval).source(self.clone()).build().unwrap()
    }

    fn until_calls(&self, count: usize) {
        while self.0.calls.load(SeqCst) < count {
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    fn release(&self) {
        self.0.held.store(false, SeqCst);
        self.0.released.notify_one();
    }
}

impl SecretSource for WhoAsks {
    fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Description, Error>> {
        Box::pin(async { Err(Error::new(ErrorKind::AccessDenied, "not here")) })
    }

    fn fetch<'a>(&'a self, _: &'a str, _: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(async {
            let me = std::process::id();
            self.0.calls.fetch_add(1, SeqCst);
            if me == self.0.parent && self.0.held.load(SeqCst) {
                self.0.released.notified().await;
            }
            if self.0.fails.load(SeqCst) {
                return Err(Error::new(ErrorKind::Throttled, "slow down"));
            }
            Ok(Fetched::string("v1", &me.to_string()))
        })
    }
}

/// Runs `check` in a forked child and returns its result. An alarm ends a child that hangs.
fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs `check` and ends with `_exit`, without unwinding into the test harness. Whether `check`
    // can use the library after a fork of a process with many threads is what these tests are about.
    unsafe {
        match libc::fork() {
            0 => {
                libc::alarm(30);
                let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
                libc::_exit(i32::from(!passed));
            }
            child => {
                assert!(child > 0, "fork failed");
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
            }
        }
    }
}

fn read(cache: &SecretCache) -> Option<u32> {
    cache.get("db").wait().ok()?.string().ok()?.parse().ok()
}

/// Enough forks to hit a lock that is only held briefly.
const FORKS: usize = 200;
const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_child_reads_for_itself_and_the_parent_goes_on_as_before() {
    let source = WhoAsks::new();
    let cache = source.cache(HOUR);
    let parent = std::process::id();
    assert_eq!(read(&cache), Some(parent));
    assert!(in_child(|| read(&cache) == Some(std::process::id())), "the child could not read");
    assert_eq!(read(&cache), Some(parent));
    assert_eq!(source.0.calls.load(SeqCst), 1);
}

#[test]
fn a_child_forked_before_the_first_read_reads_too() {
    let source = WhoAsks::new();
    let cache = source.cache(HOUR);
    assert!(in_child(|| read(&cache) == Some(std::process::id())));
}

#[test]
fn a_child_forked_while_a_refresh_runs_does_not_wait_for_it() {
    let source = WhoAsks::new();
    let cache = source.cache(HOUR);
    let parent = std::process::id();
    assert_eq!(read(&cache), Some(parent));
    source.0.held.store(true, SeqCst);
    let refresh = cache.start_refresh("db", Selector::CURRENT).unwrap();
    source.until_calls(2);
    assert!(in_child(|| {
        let forced = cache.refresh_wait("db").is_ok();
        forced && read(&cache) == Some(std::process::id())
    }));
    assert_eq!(read(&cache), Some(parent), "the parent's value");
    source.release();
    drop(refresh);
}

#[test]
fn a_child_forked_while_the_first_read_is_under_way_does_not_wait_for_it() {
    let source = WhoAsks::new();
    let cache = source.cache(HOUR);
    source.0.held.store(true, SeqCst);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(&cache));
        source.until_calls(1);
        assert!(in_child(|| read(&cache) == Some(std::process::id())));
        source.release();
        assert_eq!(reader.join().unwrap(), Some(std::process::id()));
    });
}

#[test]
fn children_forked_while_threads_read_and_refresh_all_read() {
    let source = WhoAsks::new();
    let cache = source.cache(Duration::from_millis(20));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    assert!(read(&cache).is_some());
                }
            });
        }
        let passed = (0..25).all(|_| {
            in_child(|| {
                let me = Some(std::process::id());
                read(&cache) == me && cache.refresh_wait("db").is_ok() && read(&cache) == me
            })
        });
        done.store(true, SeqCst);
        assert!(passed, "a child could not read");
    });
}

#[test]
fn children_forked_while_failures_are_reported_report_theirs() {
    let source = WhoAsks::new();
    source.0.fails.store(true, SeqCst);
    let cache = source.cache(HOUR);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    assert!(cache.refresh_wait("db").is_err());
                }
            });
        }
        let passed = (0..FORKS).all(|_| in_child(|| cache.refresh_wait("db").is_err()));
        done.store(true, SeqCst);
        assert!(passed, "a child hangs");
    });
}

#[test]
fn a_grandchild_reads_too_and_a_child_may_close_what_it_has() {
    let source = WhoAsks::new();
    let cache = source.cache(HOUR);
    assert!(read(&cache).is_some());
    assert!(in_child(|| {
        let child = read(&cache) == Some(std::process::id());
        let grandchild = in_child(|| read(&cache) == Some(std::process::id()));
        cache.close();
        child && grandchild && read(&cache).is_none()
    }));
    assert_eq!(read(&cache), Some(std::process::id()), "the parent's cache is open");
}
