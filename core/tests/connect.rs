//! Programs stay connected while their secret rotates: a scripted store and a scripted database, real threads.
#![cfg(feature = "aws")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use secretcache::{
    AWSCURRENT, AWSPENDING, AWSPREVIOUS, BoxFuture, ConnectError, Credential, Description, Error, ErrorKind,
    Event, Fetched, SecretCache, SecretSource, Selector,
};

/// A secret, and the database that it logs in to.
#[derive(Debug, Default)]
struct World {
    labels: BTreeMap<&'static str, String>,
    /// The one password that the database accepts.
    password: String,
    may_read_pending: bool,
    is_down: bool,
    logins: usize,
    refused: usize,
    calls: usize,
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn new(version: &str) -> Self {
        let shared = Self::default();
        shared.with(|world| {
            world.labels.insert(AWSCURRENT, version.to_owned());
            world.password = version.to_owned();
            world.may_read_pending = true;
        });
        shared
    }

    fn with<R>(&self, look: impl FnOnce(&mut World) -> R) -> R {
        look(&mut self.0.lock().unwrap())
    }

    fn cache(&self) -> SecretCache {
        SecretCache::builder().source(self.clone()).build().unwrap()
    }

    fn log_in(&self, credential: &Credential) -> Result<(), Refused> {
        self.with(|world| {
            world.logins += 1;
            if credential.password() == Some(&world.password) {
                return Ok(());
            }
            world.refused += 1;
            Err(Refused::Login)
        })
    }

    /// Runs a single-user rotation with a gap between its steps, in which the current version does not log in.
    fn rotate(&self, version: &str, gap: Duration) {
        self.with(|world| world.labels.insert(AWSPENDING, version.to_owned()));
        pause(gap / 4);
        self.with(|world| version.clone_into(&mut world.password));
        pause(gap);
        self.with(|world| {
            let old = world.labels.insert(AWSCURRENT, version.to_owned()).unwrap();
            world.labels.insert(AWSPREVIOUS, old);
            world.labels.remove(AWSPENDING);
        });
        pause(gap / 4);
    }
}

impl SecretSource for Shared {
    fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Description, Error>> {
        self.with(|world| world.calls += 1);
        Box::pin(async { Err(Error::new(ErrorKind::AccessDenied, "not allowed")) })
    }

    fn fetch<'a>(&'a self, _: &'a str, selector: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
        let stage = selector.as_stage().unwrap_or_default();
        let answer = self.with(|world| {
            world.calls += 1;
            match world.labels.get(stage) {
                _ if world.is_down => Err(Error::new(ErrorKind::Connection, "down")),
                Some(_) if stage == AWSPENDING && !world.may_read_pending => {
                    Err(Error::new(ErrorKind::AccessDenied, "not allowed"))
                }
                Some(version) => {
                    let json = format!(r#"{{"username":"app","password":"{version}"}}"#);
                    Ok(Fetched::string(version, &json))
                }
                None => Err(Error::new(ErrorKind::VersionNotFound, "no such label")),
            }
        });
        Box::pin(async { answer })
    }
}

#[derive(Debug, PartialEq)]
enum Refused {
    Login,
    Network,
}

fn is_rejected(error: &Refused) -> bool {
    *error == Refused::Login
}

#[expect(
    clippy::disallowed_methods,
    reason = "a rotation takes its time, and the readers must run meanwhile"
)]
fn pause(time: Duration) {
    thread::sleep(time);
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a rotation took decides how many refusals it may cost"
)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[test]
fn nobody_notices_a_rotation() {
    const THREADS: usize = 4;
    const ROTATIONS: usize = 3;
    let world = Shared::new("v-0");
    let cache = world.cache();
    let (ended, connected) = (AtomicBool::new(false), AtomicUsize::new(0));
    let start = now();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !ended.load(Relaxed) {
                    cache.connect("db").wait(|credential| world.log_in(credential), is_rejected).unwrap();
                    connected.fetch_add(1, Relaxed);
                }
            });
        }
        for rotation in 1..=ROTATIONS {
            world.rotate(&format!("v-{rotation}"), Duration::from_millis(400));
        }
        ended.store(true, Relaxed);
    });
    assert!(connected.load(Relaxed) > 10 * ROTATIONS);
    // One for each rotation, and one for each login in progress at that moment. A refused version is tried again after
    // a second at the earliest.
    let (refused, seconds) = (world.with(|world| world.refused), start.elapsed().as_secs() as usize);
    assert!(refused <= ROTATIONS * THREADS + seconds, "{refused} logins were refused in {seconds} s");
}

#[test]
fn one_refused_login_is_enough_for_all_connections() {
    let world = Shared::new("v-0");
    let cache = world.cache();
    let connect = || cache.connect("db").wait(|credential| world.log_in(credential), is_rejected).unwrap();
    connect();
    world.with(|world| {
        world.labels.insert(AWSPENDING, "v-1".into());
        world.password = "v-1".into();
    });
    (0..50).for_each(|_| connect());
    assert_eq!(world.with(|world| world.refused), 1);
}

#[test]
fn a_version_that_others_found_refused_is_waited_out() {
    let world = Shared::new("v-0");
    let cache = world.cache();
    let connect = || cache.connect("db").wait(|credential| world.log_in(credential), is_rejected);
    connect().unwrap();
    // The password is wrong only for a moment, and there is no other version. The first attempt has a short deadline.
    world.with(|world| world.password = "for a moment".into());
    let first = cache.connect("db").timeout(Duration::from_millis(50));
    first.wait(|credential| world.log_in(credential), is_rejected).unwrap_err();
    world.with(|world| world.password = "v-0".into());
    // The next attempt knows that the version is resting, and has tried nothing itself: it must wait, not give up.
    connect().unwrap();
}

#[test]
fn where_pending_may_not_be_read_the_connection_comes_with_the_new_version() {
    let world = Shared::new("v-0");
    world.with(|world| world.may_read_pending = false);
    let cache = world.cache();
    cache.connect("db").wait(|credential| world.log_in(credential), is_rejected).unwrap();
    thread::scope(|scope| {
        let rotation = scope.spawn(|| world.rotate("v-1", Duration::from_millis(800)));
        while world.with(|world| world.password == "v-0") {
            thread::yield_now();
        }
        cache.connect("db").wait(|credential| world.log_in(credential), is_rejected).unwrap();
        rotation.join().unwrap();
    });
}

#[test]
fn a_login_that_is_truly_wrong_fails_in_time_and_without_hammering() {
    let world = Shared::new("v-0");
    world.with(|world| world.password = "changed behind our back".into());
    let result = world
        .cache()
        .connect("db")
        .timeout(Duration::from_millis(900))
        .wait(|credential| world.log_in(credential), is_rejected);
    let Err(ConnectError::Rejected { last: Some(Refused::Login), tried, .. }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(tried[0].to_string(), "AWSCURRENT v-0");
    world.with(|world| {
        assert!(world.logins <= 5, "{world:?}");
        assert!(world.calls <= 3, "{world:?}");
    });
}

#[test]
fn test_n7_who_connects_after_the_refusals_learns_what_was_refused() {
    let world = Shared::new("v-0");
    world.with(|world| world.password = "changed behind our back".into());
    let cache = world.cache();
    let connect = || {
        let connect = cache.connect("db").timeout(Duration::from_millis(200));
        connect.wait(|credential| world.log_in(credential), is_rejected).unwrap_err()
    };
    connect();
    for _ in 0..2 {
        let error = connect();
        let ConnectError::Rejected { last: None, tried, text } = &error else { panic!("{error:?}") };
        assert_eq!((tried.len(), tried[0].times), (1, 0));
        assert_eq!(text, "every version of secret \"db\" was refused (AWSCURRENT v-0, refused before)");
    }
}

#[test]
fn a_login_that_hangs_is_dropped_when_the_time_is_up() {
    let world = Shared::new("v-0");
    let connecting = async {
        let cache = world.cache();
        let connect = cache.connect("db").timeout(Duration::from_millis(50));
        connect.run(async |_| std::future::pending::<Result<(), Refused>>().await, is_rejected).await
    };
    let mut connecting = Box::pin(connecting);
    let result = secretcache::host::wait_for(&mut connecting, None).unwrap();
    let Err(ConnectError::Secret(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("v-0"), "{error}");
}

#[test]
fn a_callback_may_use_the_cache_it_was_called_by() {
    let world = Shared::new("v-0");
    let cache = world.cache();
    let inner = |_: &Credential| cache.connect("db").wait(|credential| world.log_in(credential), is_rejected);
    let outer = cache.connect("db").wait(
        |credential| {
            cache.get("db").wait().unwrap();
            inner(credential).map_err(|_| Refused::Network)
        },
        is_rejected,
    );
    outer.unwrap();
}

#[test]
fn a_connection_is_outdated_once_another_version_is_known_to_work() {
    let world = Shared::new("v-0");
    let cache = world.cache();
    let connect = || cache.connect("db").wait(|credential| world.log_in(credential), is_rejected).unwrap();
    connect();
    assert!(!cache.is_outdated("db", "v-0"));
    world.with(|world| {
        world.labels.insert(AWSPENDING, "v-1".into());
        world.password = "v-1".into();
    });
    // No login has shown it yet.
    assert!(!cache.is_outdated("db", "v-0"));
    connect();
    assert!(cache.is_outdated("db", "v-0") && !cache.is_outdated("db", "v-1"));
    world.with(|world| {
        world.labels.remove(AWSPENDING);
        world.labels.insert(AWSCURRENT, "v-1".into());
    });
    cache.refresh_wait("db").unwrap();
    assert!(cache.is_outdated("db", "v-0") && !cache.is_outdated("db", "v-1"));
}

#[test]
fn logins_are_counted_and_the_first_with_another_version_is_reported() {
    let world = Shared::new("v-0");
    let cache = world.cache();
    let messages = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&messages);
    cache.on_event(move |event| {
        if let Event::FallbackLogin { .. } = event {
            sink.lock().unwrap().push(event.to_string());
        }
    });
    let connect = || cache.connect("db").wait(|credential| world.log_in(credential), is_rejected).unwrap();
    connect();
    world.with(|world| {
        world.labels.insert(AWSPENDING, "v-1".into());
        world.password = "v-1".into();
    });
    (0..3).for_each(|_| connect());
    let logins = cache.stats().logins;
    assert_eq!((logins.accepted, logins.fallback_logins, logins.rejected), (4, 3, 1));
    let messages = messages.lock().unwrap();
    assert!(messages.len() == 1 && messages[0].contains("AWSPENDING version v-1"), "{messages:?}");
}

#[test]
fn other_failures_pass_through_untouched_and_start_nothing() {
    let world = Shared::new("v-0");
    let cache = world.cache();
    let result = cache.connect("db").wait(|_| Err::<(), _>(Refused::Network), is_rejected);
    assert!(matches!(result, Err(ConnectError::Resource(Refused::Network))));
    assert_eq!(world.with(|world| world.calls), 1);
}

#[test]
fn a_secret_that_does_not_exist_is_not_waited_for() {
    let world = Shared::default();
    let result = world.cache().connect("db").wait(|credential| world.log_in(credential), is_rejected);
    let Err(ConnectError::Secret(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.kind(), ErrorKind::VersionNotFound);
}

#[test]
fn what_is_cached_connects_while_the_service_is_down() {
    let world = Shared::new("v-0");
    let cache = world.cache();
    cache.get("db").wait().unwrap();
    world.with(|world| world.is_down = true);
    cache.refresh_wait("db").unwrap_err();
    cache.connect("db").wait(|credential| world.log_in(credential), is_rejected).unwrap();
}
