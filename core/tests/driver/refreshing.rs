//! Refreshes: background, forced and failing.

use std::time::Duration;

use secretcache::host::Driver as _;
use secretcache::host::ReadState;
use secretcache::{ErrorKind, Event, Selector};

use crate::script::{LONG, Script, events, read, read_async, runtime, until};

fn short(millis: u64) -> impl FnOnce(secretcache::Builder) -> secretcache::Builder {
    move |builder| builder.refresh_interval(Duration::from_millis(millis))
}

#[test]
fn a_new_version_arrives_without_anybody_asking_for_it() {
    let script = Script::new();
    let cache = script.cache_with(short(50));
    let received = events(&cache);
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    script.rotate();
    let event = received.recv_timeout(LONG).expect("no refresh came");
    let Event::NewVersion { secret_id, old_version_id, new_version_id, .. } = event else {
        panic!("{event}");
    };
    assert_eq!(
        (&*secret_id, old_version_id.as_deref(), new_version_id.as_deref()),
        ("db", Some("v1"), Some("v2"))
    );
    assert_eq!(cache.peek("db").unwrap().string().unwrap(), "value-2");
    assert_eq!(script.calls()[1..], ["describe db", "fetch db stage AWSCURRENT"]);
}

#[test]
fn no_reader_of_a_secret_in_use_is_delayed_by_its_refresh_however_slow() {
    let script = Script::new();
    let cache = script.cache_with(short(4_000));
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    script.rotate();
    script.hold();
    let (mut reads_during, mut value) = (0, String::new());
    until("the new value arrives", || {
        match cache.start("db", Selector::CURRENT) {
            ReadState::Ready(hit) => hit.unwrap().string().unwrap().clone_into(&mut value),
            ReadState::Wait(_) => panic!("a reader was made to wait"),
        }
        reads_during += usize::from(script.calls().len() > 1);
        if reads_during == 300 {
            script.release();
        }
        value == "value-2"
    });
    assert!(reads_during >= 300);
}

#[test]
fn an_unchanged_secret_is_confirmed_by_its_description_alone() {
    let script = Script::new();
    let cache = script.cache_with(short(30));
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    until("five refreshes", || {
        read(&cache).unwrap();
        cache.stats().refreshes >= 5
    });
    let calls = script.calls();
    assert!(calls[1..].iter().all(|call| call == "describe db"), "{calls:?}");
    assert_eq!(cache.stats().api_calls["GetSecretValue"], 1);
}

#[test]
fn where_describing_is_denied_values_are_fetched_and_the_denied_call_is_not_repeated() {
    let script = Script::new();
    script.fail_describe(ErrorKind::AccessDenied);
    let cache = script.cache_with(short(30));
    let received = events(&cache);
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    until("five refreshes", || {
        read(&cache).unwrap();
        cache.stats().refreshes >= 5
    });
    let denied = script.calls().iter().filter(|call| call.starts_with("describe")).count();
    assert_eq!(denied, 1);
    assert!(received.try_recv().is_err(), "there is nothing to fix");
}

#[test]
fn an_idle_secret_is_refreshed_once_and_then_left_alone() {
    let script = Script::new();
    let cache = script.cache_with(short(30));
    let received = events(&cache);
    cache.get("idle").wait().unwrap();
    // Another one, in use, shows that time passes and the refresher works.
    until("twenty refreshes of the other", || {
        read(&cache).unwrap();
        script.calls().iter().filter(|call| *call == "describe db").count() >= 20
    });
    let idle = script.calls().iter().filter(|call| call.ends_with("idle")).count();
    assert!(idle <= 1, "{idle} refreshes of a secret that nobody reads");
    drop(received);
}

#[test]
fn a_forced_refresh_brings_the_newest_value_now() {
    let script = Script::new();
    let cache = script.cache();
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    script.rotate();
    assert_eq!(cache.refresh_wait("db").unwrap().string().unwrap(), "value-2");
    assert_eq!(read(&cache).as_deref(), Ok("value-2"));
    script.rotate();
    let secret = runtime().block_on(cache.refresh("db")).unwrap();
    assert_eq!(secret.string().unwrap(), "value-3");
}

#[test]
fn a_forced_refresh_does_not_take_the_answer_of_an_older_request() {
    let script = Script::new();
    let cache = script.cache();
    script.hold();
    runtime().block_on(async {
        let reader = tokio::spawn({
            let cache = cache.clone();
            async move { read_async(&cache).await }
        });
        script.until_calls(1);
        // The request in progress has already read the old value.
        script.rotate();
        let refresh = cache.start_refresh("db", Selector::CURRENT).unwrap();
        script.release();
        assert_eq!(refresh.await.unwrap().string().unwrap(), "value-2");
        assert_eq!(reader.await.unwrap().as_deref(), Ok("value-1"));
    });
    assert_eq!(read(&cache).as_deref(), Ok("value-2"));
}

#[test]
fn a_forced_refresh_goes_on_when_its_caller_goes_away() {
    let script = Script::new();
    let cache = script.cache();
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    script.rotate();
    script.hold();
    let mut refresh = Box::pin(cache.refresh("db"));
    assert!(secretcache::host::wait_for(&mut refresh, Duration::from_millis(1)).is_none());
    drop(refresh);
    script.release();
    until("the new value arrives", || read(&cache).as_deref() == Ok("value-2"));
}

#[test]
fn a_forced_refresh_ends_a_backoff() {
    let script = Script::new();
    let cache = script.cache();
    script.fail(ErrorKind::KeyUnavailable);
    assert_eq!(read(&cache), Err(ErrorKind::KeyUnavailable));
    assert_eq!(read(&cache), Err(ErrorKind::KeyUnavailable));
    assert_eq!(script.calls().len(), 1, "the second read was answered by the backoff");
    script.fail(None);
    assert!(cache.refresh_wait("db").is_ok());
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
}

#[test]
fn a_failing_refresh_is_reported_and_the_value_goes_on_being_served() {
    let script = Script::new();
    let cache = script.cache();
    let received = events(&cache);
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    script.fail(ErrorKind::Throttled);
    assert_eq!(cache.refresh_wait("db").unwrap_err().kind(), ErrorKind::Throttled);
    let event = received.recv_timeout(LONG).unwrap();
    assert!(matches!(&event, Event::Error { error, .. } if error.kind() == ErrorKind::Throttled), "{event}");
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    assert_eq!(cache.stats().failures["throttled"], 1);
}

#[test]
fn an_outage_longer_than_the_interval_is_not_seen_by_readers() {
    let script = Script::new();
    let cache = script.cache_with(short(20));
    let received = events(&cache);
    assert_eq!(read(&cache).as_deref(), Ok("value-1"));
    script.fail(ErrorKind::Connection);
    until("the value is stale", || {
        assert_eq!(read(&cache).as_deref(), Ok("value-1"));
        cache.stats().stale_served > 0
    });
    script.fail(None);
    script.rotate();
    until("the new value arrives", || read(&cache).as_deref() == Ok("value-2"));
    let stales = received.try_iter().filter(|event| matches!(event, Event::Stale { .. })).count();
    assert_eq!(stales, 1);
}

#[test]
fn an_interval_of_zero_asks_on_every_read() {
    let script = Script::new();
    let cache = script.cache_with(|builder| builder.refresh_interval(Duration::ZERO));
    for version in 1..5 {
        assert_eq!(read(&cache), Ok(format!("value-{version}")));
        script.rotate();
    }
    assert_eq!(runtime().block_on(read_async(&cache)).as_deref(), Ok("value-5"));
}
