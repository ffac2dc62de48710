//! The counters for bindings that keep values themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use secretcache::host::{Answer, Cache, Lookup, Now, SecretExt as _};
use secretcache::{Config, Error, ErrorKind, Fetched, Selector};

fn start() -> Now {
    Now::default().plus(Duration::from_secs(1000))
}

fn put(cache: &Cache, id: &str, version: &str, now: Now) {
    let secretcache::host::Forced::Leader(permit, _) = cache.force(id, Selector::CURRENT, cache.mark(), now)
    else {
        panic!("another reader leads");
    };
    permit.complete(Ok(Answer::value(Fetched::string(version, version))), now);
}

/// How many counters a binding has.
const SLOTS: usize = 4096;

fn counted(config: Config) -> (Cache, Arc<[AtomicU32]>) {
    let cache = Cache::new(config, 7).unwrap();
    let counters: Arc<[AtomicU32]> = (0..SLOTS).map(|_| AtomicU32::new(0)).collect();
    cache.count_changes_in(&counters);
    (cache, counters)
}

fn sum(counters: &[AtomicU32]) -> u32 {
    counters.iter().map(|counter| counter.load(Ordering::Acquire)).sum()
}

#[test]
fn whatever_takes_a_value_back_is_counted() {
    let (cache, counters) = counted(Config { max_size: 2, ..Config::default() });
    let now = start();
    let mut last = 0;
    let mut rises = |what: &str| {
        let count = sum(&counters);
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
    let (cache, counters) = counted(Config { stale_on_denied: false, ..Config::default() });
    let now = start();
    put(&cache, "db", "v-1", now);
    let before = sum(&counters);
    let later = now.plus(Duration::from_secs(290));
    let Lookup::HitDue(_, permit) = cache.lookup("db", Selector::CURRENT, later) else { panic!("not due") };
    permit.complete(Err(Error::new(ErrorKind::AccessDenied, "no")), later);
    assert!(sum(&counters) > before);
}

#[test]
fn n14_an_eviction_costs_its_own_entry_and_few_others() {
    const SIZE: usize = 500;
    let (cache, counters) = counted(Config { max_size: SIZE, ..Config::default() });
    let now = start();
    let id = |number: usize| format!("db-{number}");
    (0..SIZE).for_each(|number| put(&cache, &id(number), "v-1", now));
    let kept: Vec<_> = (0..SIZE)
        .map(|number| {
            let secret = cache.hit(&id(number), Selector::CURRENT, now.coarse).unwrap().to_secret();
            let counter = &counters[secret.change_slot(SLOTS)];
            (secret, counter, counter.load(Ordering::Acquire))
        })
        .collect();
    put(&cache, "another", "v-1", now);
    assert_eq!(cache.stats(now).evictions, 1);
    let changed = |(_, counter, before): &&(_, &AtomicU32, u32)| counter.load(Ordering::Acquire) != *before;
    let taken_back = kept.iter().filter(changed).count();
    assert!((1..10).contains(&taken_back), "{taken_back} of {SIZE} seem to have changed");
}

#[test]
fn a_value_says_how_long_it_may_be_handed_out_again() {
    let (cache, counters) = counted(Config::default());
    let now = start();
    put(&cache, "db", "v-1", now);
    let before = sum(&counters);
    let hit = cache.hit("db", Selector::CURRENT, now.coarse).unwrap();
    let left = hit.servable_for(now.coarse);
    assert!((Duration::from_secs(150)..=Duration::from_secs(300)).contains(&left), "{left:?}");
    let soon = now.plus(left - Duration::from_millis(1));
    assert!(cache.hit("db", Selector::CURRENT, soon.coarse).is_some());
    assert!(cache.hit("db", Selector::CURRENT, now.plus(left).coarse).is_none());
    assert_eq!(hit.servable_for(now.plus(left).coarse), Duration::ZERO);
    assert_eq!(sum(&counters), before, "nothing has changed");
}

#[test]
fn hits_of_a_binding_count_and_keep_a_secret_in_use() {
    let (cache, _counters) = counted(Config::default());
    let now = start();
    assert!(matches!(cache.prefetch("db", now), Some(Lookup::Leader(..))));
    cache.invalidate("db");
    let Some(Lookup::Leader(permit, _)) = cache.prefetch("db", now) else { panic!("another reader leads") };
    permit.complete(Ok(Answer::value(Fetched::string("v-1", "v-1"))), now);
    let later = now.plus(Duration::from_secs(301));
    assert!(cache.due(later).permits.is_empty(), "nobody has read it");
    cache.note_hits("db", Selector::CURRENT, 5);
    assert_eq!(cache.due(later).permits.len(), 1);
    assert_eq!(cache.stats(later).hits, 5);
}

#[test]
fn counters_that_are_gone_are_forgotten() {
    let (cache, counters) = counted(Config::default());
    drop(counters);
    cache.invalidate("db");
    put(&cache, "db", "v-1", start());
}
