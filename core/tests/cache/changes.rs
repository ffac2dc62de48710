//! What bindings are told that keep values on their own side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use secretcache::host::{Answer, Cache, Lookup, Now};
use secretcache::{Config, Error, ErrorKind, Fetched, Selector};

fn start() -> Now {
    Now::default().plus(Duration::from_secs(1000))
}

fn put(cache: &Cache, id: &str, version: &str, now: Now) {
    let secretcache::host::Forced::Leader(permit, _) = cache.force(id, Selector::CURRENT, cache.mark(), now)
    else {
        panic!("somebody else leads");
    };
    permit.complete(Ok(Answer::value(Fetched::string(version, version))), now);
}

fn counted(config: Config) -> (Cache, Arc<AtomicU32>) {
    let cache = Cache::new(config, 7).unwrap();
    let counter = Arc::new(AtomicU32::new(0));
    cache.count_changes_in(&counter);
    (cache, counter)
}

#[test]
fn whatever_takes_a_value_back_is_counted() {
    let (cache, counter) = counted(Config { max_size: 2, ..Config::default() });
    let now = start();
    let mut last = 0;
    let mut rises = |what: &str| {
        let count = counter.load(Ordering::Acquire);
        assert!(count > last, "{what} was not counted");
        last = count;
    };
    put(&cache, "db", "v-1", now);
    put(&cache, "db", "v-2", now);
    rises("a new version");
    cache.invalidate("db");
    rises("invalidation");
    (0..3).for_each(|number| put(&cache, &format!("db-{number}"), "v-1", now));
    rises("eviction");
    cache.close();
    rises("closing");
}

#[test]
fn a_denial_that_ends_serving_is_counted() {
    let (cache, counter) = counted(Config { stale_on_denied: false, ..Config::default() });
    let now = start();
    put(&cache, "db", "v-1", now);
    let before = counter.load(Ordering::Acquire);
    let later = now.plus(Duration::from_secs(290));
    let Lookup::HitDue(_, permit) = cache.lookup("db", Selector::CURRENT, later) else { panic!("not due") };
    permit.complete(Err(Error::new(ErrorKind::AccessDenied, "no")), later);
    assert!(counter.load(Ordering::Acquire) > before);
}

#[test]
fn a_value_tells_how_long_it_may_be_handed_out_again() {
    let (cache, counter) = counted(Config::default());
    let now = start();
    put(&cache, "db", "v-1", now);
    let before = counter.load(Ordering::Acquire);
    let hit = cache.hit("db", Selector::CURRENT, now.coarse).unwrap();
    let left = hit.servable_for(now.coarse);
    assert!((Duration::from_secs(150)..=Duration::from_secs(300)).contains(&left), "{left:?}");
    let soon = now.plus(left - Duration::from_millis(1));
    assert!(cache.hit("db", Selector::CURRENT, soon.coarse).is_some());
    assert!(cache.hit("db", Selector::CURRENT, now.plus(left).coarse).is_none());
    assert_eq!(hit.servable_for(now.plus(left).coarse), Duration::ZERO);
    assert_eq!(counter.load(Ordering::Acquire), before, "nothing has changed");
}

#[test]
fn hits_of_a_binding_count_and_keep_a_secret_in_use() {
    let (cache, _counter) = counted(Config::default());
    let now = start();
    assert!(matches!(cache.prefetch("db", now), Some(Lookup::Leader(..))));
    cache.invalidate("db");
    let Some(Lookup::Leader(permit, _)) = cache.prefetch("db", now) else { panic!("somebody else leads") };
    permit.complete(Ok(Answer::value(Fetched::string("v-1", "v-1"))), now);
    let later = now.plus(Duration::from_secs(301));
    assert!(cache.due(later).permits.is_empty(), "nobody has read it");
    cache.note_hits("db", Selector::CURRENT, 5);
    assert_eq!(cache.due(later).permits.len(), 1);
    assert_eq!(cache.stats(later).hits, 5);
}

#[test]
fn a_counter_that_is_gone_is_forgotten() {
    let (cache, counter) = counted(Config::default());
    drop(counter);
    cache.invalidate("db");
    put(&cache, "db", "v-1", start());
}
