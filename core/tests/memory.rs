//! The memory that secrets take, counted by the allocator: for each of many, and over time.
#![cfg(feature = "aws")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secretcache::host::{Answer, Cache, DescribeAnswer, Lookup, Now};
use secretcache::{
    BoxFuture, Config, Description, Error, ErrorKind, Fetched, SecretCache, SecretSource, Selector,
};

struct Counting;

/// Bytes in use, rounded as glibc does: eight for its header, in steps of sixteen, at least 32.
static IN_USE: AtomicIsize = AtomicIsize::new(0);

fn taken(layout: Layout) -> isize {
    isize::try_from((layout.size() + 8).next_multiple_of(16).max(32)).unwrap_or(isize::MAX)
}

// SAFETY: every call is passed on unchanged to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(taken(layout), Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(taken(layout), Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counter covers the whole process, so only one test runs at a time.
static TURN: Mutex<()> = Mutex::new(());

const VALUE: &str = r#"{"username":"app","password":"hunter2"}"#;

fn arn(id: &str) -> String {
    format!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:{id}-AbCdEf")
}

fn fetched(id: &str, version_id: &str) -> Fetched {
    let mut fetched = Fetched::string(version_id, VALUE);
    (fetched.arn, fetched.name) = (Some(arn(id)), Some(id.to_owned()));
    fetched.version_stages = vec!["AWSCURRENT".to_owned()];
    fetched
}

/// Takes some milliseconds.
#[test]
fn each_of_many_secrets_takes_a_kilobyte_at_most_besides_its_value() {
    const SECRETS: usize = 10_000;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = Cache::new(Config { max_size: SECRETS, ..Config::default() }, 7).unwrap();
    let now = Now::default().plus(Duration::from_secs(1));
    let ids: Vec<_> = (0..SECRETS).map(|number| format!("prod/{number}")).collect();
    let before = IN_USE.load(Relaxed);
    for (number, id) in ids.iter().enumerate() {
        let version_id = format!("{number:08}-1d5a-4b0c-8f5e-0123456789ab");
        let Lookup::Leader(permit, _) = cache.lookup(id, Selector::CURRENT, now) else { panic!("cached") };
        // With a description, as for every secret that has been refreshed.
        let description = Description::from_service(DescribeAnswer {
            arn: Some(arn(id)),
            versions: vec![(version_id.clone(), vec!["AWSCURRENT".to_owned()])],
            ..DescribeAnswer::default()
        });
        permit.complete(Ok(Answer::value(fetched(id, &version_id)).with_description(description)), now);
    }
    let each = (IN_USE.load(Relaxed) - before) / SECRETS.cast_signed();
    let value = taken(Layout::for_value(VALUE));
    assert!(each - value <= 1024, "{} bytes besides {value} for the value", each - value);
}

/// A source that answers at once, and fails for ids that start with "missing".
#[derive(Debug)]
struct Store;

impl SecretSource for Store {
    fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Description, Error>> {
        Box::pin(async { Err(Error::new(ErrorKind::AccessDenied, "no descriptions here")) })
    }

    fn fetch<'a>(&'a self, id: &'a str, _: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(async move {
            if id.starts_with("missing") {
                return Err(Error::new(ErrorKind::SecretNotFound, "no such secret"));
            }
            Ok(fetched(id, "version-1"))
        })
    }
}

/// Reads by name and by ARN, with ids that are built for each call and mostly evicted at once; then failures and forced
/// refreshes; then many fields.
fn work(cache: &SecretCache, fields: usize) {
    for step in 0..600 {
        let id = format!("db-{}", step % 12);
        let by_arn = arn(&id);
        assert_eq!(
            cache.get(if step % 2 == 0 { &id } else { &by_arn }).wait().unwrap().string().unwrap(),
            VALUE
        );
        let missing = format!("missing-{step}");
        assert_eq!(cache.get(&missing).wait().unwrap_err().kind(), ErrorKind::SecretNotFound);
        cache.refresh_wait(&id).unwrap();
    }
    for read in 0..fields {
        let id = ["d", "b-", if read % 2 == 0 { "1" } else { "2" }].concat();
        assert_eq!(cache.get(&id).wait().unwrap().field("password").unwrap(), "hunter2");
    }
}

/// Takes about a second.
#[test]
fn memory_stays_flat_over_evictions_failures_and_a_million_fields() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = SecretCache::builder().max_size(4).source(Store).build().unwrap();
    work(&cache, 100_000);
    let before = IN_USE.load(Relaxed);
    for _ in 0..4 {
        work(&cache, 250_000);
    }
    let grown = IN_USE.load(Relaxed) - before;
    assert!(grown < 16 * 1024, "{grown} bytes more after as much work again, four times over");
}
