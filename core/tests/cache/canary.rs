//! No public type, event or error ever shows a secret, however it is formatted.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[cfg(feature = "aws")]
use secretcache::host::Driver as _;
use secretcache::host::{
    Answer, Cache, ErrorExt as _, Forced, Lookup, Now, Outcome, OwnedSelector, SecretExt as _,
};
use secretcache::{Config, Error, ErrorKind, Event, Fetched, Secret, Selector, ServiceFault, Stage};

/// The text that no output may contain.
const CANARY: &str = "hunter2-canary";

/// Public types that can reach a value or a key; all of them are formatted below.
#[rustfmt::skip]
const WATCHED: &[&str] = &[
    "Answer", "Batch", "Builder", "Cache", "Config", "Connect", "ConnectError", "Credential",
    "Credentials", "Description", "Due", "Error", "Event", "Fetched", "Forced", "Get", "Hit",
    "Lookup", "Action", "Options", "Outcome", "ConnectAttempt", "Request", "Secret", "SecretCache",
    "SecretStatus", "ReadState", "Stats", "FetchPermit", "Value", "Waiter",
];

/// Public names that cannot.
#[rustfmt::skip]
const HARMLESS: &[&str] = &[
    "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "Backoff", "BlockingPool", "BoxFuture", "Brake", "brake_of", "check_size",
    "closed", "parse_credentials",
    "Coarse", "ErrorExt", "ErrorKind", "IamLogin", "Listener", "SecretExt",
    "LogLimiter", "LoginStats", "Moment", "MOST_THREADS", "Now", "Operation", "OwnedSelector",
    "PerProcess", "Retry", "RotationRules", "SecretSource", "Selector", "ServiceFault", "Extension",
    "SystemClock", "RejectedVersion", "Role", "Watch", "Watches", "WipingAllocator", "ConnectFailure", "DescribeAnswer", "Stage", "Task", "Driver", "fresh_seed", "generation", "run_on_event_thread", "end_event_thread", "login_refused",
    "service_error", "VersionLabels",
    "set_threads", "shutdown", "sign_token", "spawn", "spawn_thread", "wait_for",
];

/// The names that a file exports.
fn exports(file: &'static str) -> Vec<&'static str> {
    let names = file.split("pub use ").skip(1).flat_map(|rest| {
        let names = rest.split(';').next().unwrap_or_default().rsplit("::").next().unwrap_or_default();
        names.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|name| !name.is_empty())
    });
    names.collect()
}

const FACES: [&str; 2] = [include_str!("../../src/lib.rs"), include_str!("../../src/host.rs")];

#[test]
fn a_new_public_name_is_either_watched_or_harmless() {
    let names = FACES.into_iter().flat_map(exports);
    let unknown: Vec<_> = names.filter(|name| !WATCHED.contains(name) && !HARMLESS.contains(name)).collect();
    assert!(unknown.is_empty(), "format these with a canary inside, or list them as harmless: {unknown:?}");
}

/// Programs use the root; `host` is the one additional name.
#[test]
fn the_face_for_programs_is_small() {
    let names = exports(FACES[0]);
    assert!(names.len() <= 36, "{} names, which a program has to read: {names:?}", names.len());
}

/// Everything that was formatted, each with the name of its type.
#[derive(Default)]
struct Cage(Vec<(String, String)>);

impl Cage {
    fn debug(&mut self, what: &str, value: &dyn Debug) {
        self.0.push((what.to_owned(), format!("{value:?} {value:#?}")));
    }

    fn check(self) {
        for (what, text) in self.0 {
            assert!(!text.contains("canary"), "{what} shows the secret: {text}");
            let bytes = format!("{:?}", CANARY.as_bytes());
            assert!(
                !text.contains(bytes.trim_matches(['[', ']'])),
                "{what} shows the secret's bytes: {text}"
            );
        }
    }
}

fn fetched() -> Fetched {
    let mut fetched = Fetched::string("v1", &format!(r#"{{"password":"{CANARY}","port":1}}"#));
    fetched.arn = Some("arn:aws:secretsmanager:us-east-1:111122223333:secret:db-AbCdEf".to_owned());
    fetched.name = Some("db".to_owned());
    fetched.extension = Some(Box::new(CANARY));
    fetched
}

#[test]
fn values_show_everything_but_their_bytes() {
    let mut cage = Cage::default();
    cage.debug("Fetched", &fetched());
    let mut description = secretcache::Description::default();
    description.extension = Some(Box::new(CANARY));
    cage.debug("Description", &description);
    #[cfg(feature = "aws")]
    {
        let mut batch = secretcache::Batch::default();
        batch.found.push(fetched());
        cage.debug("Batch", &batch);
    }
    cage.debug("Answer", &Answer::value(fetched()));
    cage.debug("binary Fetched", &Fetched::binary("v1", CANARY.as_bytes()));
    for secret in [Secret::from(fetched()), Secret::from(Fetched::binary("v1", CANARY.as_bytes()))] {
        secret.set_host_data(7);
        cage.debug("Secret", &secret);
        cage.debug("Value", secret.value());
        let shown = format!("{secret:?}");
        assert!(shown.contains("v1") && shown.contains("redacted"), "{shown}");
    }
    cage.check();
}

#[test]
fn errors_about_a_value_never_quote_it() {
    let mut cage = Cage::default();
    let string = Secret::from(Fetched::string("v1", CANARY));
    let binary = Secret::from(Fetched::binary("v1", CANARY.as_bytes()));
    let json = Secret::from(fetched());
    let quoted = Secret::from(Fetched::string("v1", &format!("\"{CANARY}\"")));
    let errors = [
        string.json::<u32>().unwrap_err(),
        string.field("password").unwrap_err(),
        string.binary().unwrap_err(),
        binary.string().unwrap_err(),
        binary.json::<u32>().unwrap_err(),
        json.field("user").unwrap_err(),
        json.json::<Vec<u8>>().unwrap_err(),
        quoted.json::<u32>().unwrap_err(),
        quoted.field("password").unwrap_err(),
    ];
    for error in errors {
        cage.debug("Error", &error);
        cage.0.push(("Error's Display".to_owned(), error.to_string()));
    }
    cage.check();
}

#[test]
fn what_a_cache_gives_out_shows_no_value() {
    let mut cage = Cage::default();
    let now = Now::default().plus(Duration::from_secs(1_000));
    let config = Config { stale_on_denied: false, ..Config::default() };
    let cache = Cache::new(config, 7).unwrap();
    let events = Arc::<Mutex<Vec<Event>>>::default();
    let inbox = Arc::clone(&events);
    cache.listen(Arc::new(move |event| inbox.lock().unwrap().push(event.clone())));

    let lookup = cache.lookup("db", Selector::CURRENT, now);
    cage.debug("Lookup::Leader", &lookup);
    let Lookup::Leader(permit, waiter) = lookup else { panic!("nobody leads") };
    cage.debug("Lookup::Follower", &cache.lookup("db", Selector::CURRENT, now));
    cage.debug("FetchPermit", &permit);
    permit.complete(Ok(Answer::value(fetched())), now);
    cage.debug("Waiter", &waiter);
    cage.debug("Outcome", &waiter.outcome());
    cage.debug("Lookup::Hit", &cache.lookup("db", Selector::CURRENT, now));
    cage.debug("Hit", &cache.hit("db", Selector::CURRENT, now.coarse).unwrap());
    cage.debug("Cache", &cache);
    cage.debug("Config", cache.config());

    let late = now.plus(Duration::from_secs(300));
    let lookup = cache.lookup("db", Selector::CURRENT, late);
    cage.debug("Lookup::HitDue", &lookup);
    let Lookup::HitDue(_, permit) = lookup else { panic!("no permit granted") };
    cage.debug("FetchPermit with a known version", &permit);
    cage.debug("FetchPermit::known", &permit.known());
    permit.complete(Err(Error::new(ErrorKind::Throttled, "slow down")), late);
    let late = late.plus(Duration::from_secs(300));
    cage.debug("Due", &cache.due(late));
    let forced = cache.force("db", Selector::CURRENT, cache.mark(), late);
    cage.debug("Forced", &forced);
    let Forced::Leader(permit, waiter) = forced else { panic!("nobody leads") };
    let fault = ServiceFault::new("GetSecretValue", "AccessDeniedException", "not yours");
    let denied =
        Error::new(ErrorKind::AccessDenied, "not yours").with_fault(fault).with_host(Box::new(CANARY));
    permit.complete(Err(denied), late);
    let Some(outcome @ Outcome::Failed { .. }) = waiter.outcome() else { panic!("no failure") };
    cage.debug("Outcome::Failed", &outcome);
    cage.debug("Lookup::Failed", &cache.lookup("db", Selector::CURRENT, late));
    cage.debug("Stats", &cache.stats(late));
    cage.debug("OwnedSelector", &OwnedSelector::from(Selector::CURRENT));
    for event in &*events.lock().unwrap() {
        cage.debug("Event", event);
        cage.0.push(("Event's Display".to_owned(), event.to_string()));
    }
    assert!(events.lock().unwrap().len() >= 2);
    cage.check();
}

#[test]
fn credentials_and_plans_show_no_value() {
    use secretcache::Credential;
    use secretcache::host::{Action, ConnectAttempt};

    let mut cage = Cage::default();
    let now = Now::default().plus(Duration::from_secs(1_000));
    let cache = Cache::new(Config::default(), 7).unwrap();
    let Lookup::Leader(permit, _) = cache.lookup("db", Selector::CURRENT, now) else {
        panic!("nobody leads")
    };
    permit.complete(Ok(Answer::value(fetched())), now);
    let mut attempt = ConnectAttempt::new(&cache, "db", &Stage::ALL, Duration::from_secs(30), now);
    cage.debug("ConnectAttempt", &attempt);
    let next = attempt.next(now);
    cage.debug("Action", &next);
    let Action::Try(secret, stage) = next else { panic!("nothing to try") };
    let credential = Credential::new(secret.clone(), stage).unwrap();
    assert_eq!(credential.password(), Some(CANARY));
    cage.debug("Credential", &credential);
    attempt.rejected(&secret, stage, now);
    cage.debug("ConnectAttempt after a refusal", &attempt);
    cage.debug("RejectedVersion", &attempt.tried());
    let error = Credential::new(Secret::from(Fetched::string("v1", CANARY)), stage).unwrap_err();
    cage.debug("Credential's error", &error);
    cage.check();
}

#[cfg(feature = "aws")]
#[test]
fn how_aws_is_reached_is_shown_without_its_keys() {
    use secretcache::host::Options;
    use secretcache::{Credentials, SecretCache};

    let mut cage = Cage::default();
    let credentials = Credentials::new("AKIDEXAMPLE", CANARY, Some(CANARY.to_owned()));
    cage.debug("Credentials", &credentials);
    let mut options = Options::default();
    options.credentials = Some(credentials.clone());
    cage.debug("Options", &options);
    let builder = SecretCache::builder().credentials(credentials).region("eu-central-1");
    cage.debug("Builder", &builder);
    let cache = builder.build().unwrap();
    cage.debug("SecretCache", &cache);
    cage.debug("Request", &cache.get("db"));
    cage.check();
}

#[cfg(feature = "aws")]
#[test]
fn reads_of_the_native_driver_show_no_value() {
    use std::future::IntoFuture;

    use secretcache::host::wait_for;
    use secretcache::{BoxFuture, Description, SecretCache, SecretSource};

    #[derive(Debug)]
    struct Store;

    impl SecretSource for Store {
        fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Description, Error>> {
            Box::pin(async { Err(Error::new(ErrorKind::Throttled, "slow down")) })
        }

        fn fetch<'a>(&'a self, _: &'a str, _: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
            Box::pin(async { Ok(fetched()) })
        }
    }

    let mut cage = Cage::default();
    let cache = SecretCache::builder().source(Store).build().unwrap();
    cage.debug("ReadState::Wait", &cache.start("db", Selector::CURRENT));
    let mut get = cache.get("db").into_future();
    cage.debug("Get", &get);
    let secret = wait_for(&mut get, None).unwrap().unwrap();
    cage.debug("Get, ended", &get);
    cage.debug("ReadState::Ready", &cache.start("db", Selector::CURRENT));
    cage.debug("Request", &cache.get("db"));
    cage.debug("SecretCache", &cache);
    cage.debug("Secret", &secret);
    cage.debug("Connect", &cache.connect("db"));
    let refused = cache.connect("db").timeout(Duration::ZERO).wait(|_| Err::<(), _>("refused"), |_| true);
    cage.debug("ConnectError", &refused);
    cage.check();
}
