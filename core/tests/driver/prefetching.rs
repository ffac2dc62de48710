//! Prefetching: many secrets in few calls, before they are read.

use secretcache::host::Driver as _;
use secretcache::{ErrorKind, Selector};

use crate::script::{Script, read, runtime};

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("secret-{number}")).collect()
}

#[test]
fn a_hundred_secrets_take_five_calls_and_then_none() {
    let script = Script::new();
    script.answer_batches_without("");
    let cache = script.cache();
    assert!(cache.prefetch_wait(ids(100)).unwrap().is_empty());
    assert_eq!(script.calls(), ["batch of 20"; 5]);
    for id in ids(100) {
        let hit = cache.hit(&id, Selector::CURRENT).expect("a hit");
        assert_eq!(hit.string().unwrap(), id, "another secret's value");
    }
    assert!(runtime().block_on(cache.prefetch(ids(100))).unwrap().is_empty());
    assert_eq!(script.calls().len(), 5, "what is cached and not due is left alone");
    assert_eq!(cache.stats().api_calls["BatchGetSecretValue"], 5);
}

#[test]
fn what_could_not_be_had_is_named_and_the_rest_is_there() {
    let script = Script::new();
    script.answer_batches_without("secret-3");
    let cache = script.cache();
    let failed = cache.prefetch_wait(ids(10)).unwrap();
    let failed: Vec<_> = failed.iter().map(|(id, error)| (id.as_str(), error.kind())).collect();
    assert_eq!(failed, [("secret-3", ErrorKind::SecretNotFound)]);
    assert!(cache.hit("secret-9", Selector::CURRENT).is_some());
    assert_eq!(script.calls(), ["batch of 10"]);
}

#[test]
fn where_batches_are_denied_secrets_are_fetched_singly_and_batches_not_tried_again() {
    let script = Script::new();
    let cache = script.cache();
    assert!(cache.prefetch_wait(ids(25)).unwrap().is_empty());
    assert!(cache.prefetch_wait(["one", "two", "three"]).unwrap().is_empty());
    let calls = script.calls();
    assert_eq!(calls.iter().filter(|call| call.starts_with("batch")).count(), 1, "{calls:?}");
    assert_eq!(calls.iter().filter(|call| call.starts_with("fetch")).count(), 28, "{calls:?}");
}

#[test]
fn readers_who_come_during_a_prefetch_wait_for_it_instead_of_asking_themselves() {
    let script = Script::new();
    script.answer_batches_without("");
    let cache = script.cache();
    script.hold();
    let prefetch = cache.start_prefetch(vec!["db".into(), "other".into()]).unwrap();
    script.until_calls(1);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&cache));
        crate::script::until("the reader follows", || cache.stats().coalesced == 1);
        script.release();
        assert_eq!(reader.join().unwrap().as_deref(), Ok("db"));
    });
    assert!(runtime().block_on(prefetch).unwrap().is_empty());
    assert_eq!(script.calls(), ["batch of 2"]);
}

#[test]
fn wrong_ids_and_a_closed_cache_are_errors() {
    let script = Script::new();
    let cache = script.cache();
    let failed = cache.prefetch_wait(["", "db"]).unwrap();
    assert_eq!((failed.len(), failed[0].1.kind()), (1, ErrorKind::InvalidArgument));
    cache.close();
    assert_eq!(cache.prefetch_wait(["db"]).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_source_that_panics_in_a_batch_is_not_taken_for_a_shutdown() {
    let script = Script::new();
    script.answer_batches_without("");
    let cache = script.cache();
    script.panic_from_now_on();
    let failed = cache.prefetch_wait(["one", "two"]).expect("the process is not shutting down");
    let kinds: Vec<_> = failed.iter().map(|(_, error)| error.kind()).collect();
    assert_eq!(kinds, [ErrorKind::Internal, ErrorKind::Internal]);
}
