//! A source that a test scripts, and that lets the test wait for events instead of sleeping.
#![expect(clippy::disallowed_methods, reason = "a test that hangs must end, so there is a clock")]

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use secretcache::{
    Batch, BoxFuture, Builder, Description, Error, ErrorKind, Event, Fetched, SecretCache, SecretSource,
    Selector,
};
use tokio::sync::watch;

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// One secret, whatever its id. Version `n` has the value `value-n` and the version id `vn`.
#[derive(Clone, Debug)]
pub(crate) struct Script(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    called: Condvar,
    held: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    calls: Vec<String>,
    failure: Option<ErrorKind>,
    describe_failure: Option<ErrorKind>,
    panics: bool,
    /// The id that batches do not find; `None` if batches are denied.
    batches: Option<String>,
}

impl Script {
    pub(crate) fn new() -> Self {
        let state = Mutex::new(State { version: 1, ..State::default() });
        Self(Arc::new(Inner { state, called: Condvar::new(), held: watch::Sender::new(false) }))
    }

    /// A cache over this source whose values stay fresh for longer than any test.
    pub(crate) fn cache(&self) -> SecretCache {
        self.cache_with(|builder| builder)
    }

    pub(crate) fn cache_with(&self, change: impl FnOnce(Builder) -> Builder) -> SecretCache {
        let builder = SecretCache::builder().refresh_interval(Duration::from_secs(3_600));
        change(builder).source(self.clone()).build().expect("a valid configuration")
    }

    pub(crate) fn rotate(&self) {
        self.lock().version += 1;
    }

    pub(crate) fn fail(&self, failure: impl Into<Option<ErrorKind>>) {
        self.lock().failure = failure.into();
    }

    pub(crate) fn fail_describe(&self, failure: ErrorKind) {
        self.lock().describe_failure = Some(failure);
    }

    pub(crate) fn panic_from_now_on(&self) {
        self.lock().panics = true;
    }

    /// Answers batches from now on, with every id found except this one.
    pub(crate) fn answer_batches_without(&self, missing: &str) {
        self.lock().batches = Some(missing.to_owned());
    }

    /// Answers nothing until [`Script::release`].
    pub(crate) fn hold(&self) {
        self.0.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.0.held.send_replace(false);
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// Waits until there have been this many calls in total.
    pub(crate) fn until_calls(&self, count: usize) {
        let state = self.lock();
        let (state, _) =
            self.0.called.wait_timeout_while(state, LONG, |state| state.calls.len() < count).unwrap();
        assert!(state.calls.len() >= count, "only {:?}", state.calls);
    }

    /// The number of other references to this source: the cache holds one as long as it exists.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Records a call, and returns the state of the source at this moment, before any delay.
    fn call(&self, call: String) -> (u64, Option<ErrorKind>, Option<ErrorKind>) {
        let mut state = self.lock();
        state.calls.push(call);
        self.0.called.notify_all();
        if state.panics {
            drop(state);
            std::panic::resume_unwind(Box::new("the source broke"));
        }
        (state.version, state.failure, state.describe_failure)
    }

    async fn held(&self) {
        let mut held = self.0.held.subscribe();
        held.wait_for(|held| !held).await.expect("the script lives as long as its calls");
    }
}

impl SecretSource for Script {
    fn describe<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Description, Error>> {
        Box::pin(async move {
            let (version, failure, describe_failure) = self.call(format!("describe {id}"));
            self.held().await;
            if let Some(kind) = describe_failure.or(failure) {
                return Err(Error::new(kind, "as scripted"));
            }
            let mut description = Description::default();
            description.versions.push((format!("v{version}"), vec!["AWSCURRENT".to_owned()]));
            Ok(description)
        })
    }

    fn fetch<'a>(&'a self, id: &'a str, selector: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(async move {
            let (version, failure, _) = self.call(format!("fetch {id} {selector}"));
            self.held().await;
            match failure {
                Some(kind) => Err(Error::new(kind, "as scripted")),
                None => Ok(Fetched::string(&format!("v{version}"), &format!("value-{version}"))),
            }
        })
    }

    fn fetch_batch<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Batch, Error>> {
        Box::pin(batch(self, ids))
    }
}

/// Denies batches until [`Script::answer_batches_without`] is called.
async fn batch(script: &Script, ids: &[&str]) -> Result<Batch, Error> {
    let (version, ..) = script.call(format!("batch of {}", ids.len()));
    script.held().await;
    let missing = script.lock().batches.clone();
    let missing = missing.ok_or_else(|| Error::new(ErrorKind::AccessDenied, "no batches here"))?;
    let mut batch = Batch::default();
    // In another order than requested.
    for id in ids.iter().rev() {
        if *id == missing {
            let error = Error::new(ErrorKind::SecretNotFound, "as scripted");
            batch.failed.push(((*id).to_owned(), error));
        } else {
            let mut fetched = Fetched::string(&format!("v{version}"), id);
            fetched.name = Some((*id).to_owned());
            batch.found.push(fetched);
        }
    }
    Ok(batch)
}

/// Receives the events of a cache from now on.
pub(crate) fn events(cache: &SecretCache) -> Receiver<Event> {
    let (sender, receiver) = channel();
    cache.on_event(move |event| drop(sender.send(event.clone())));
    receiver
}

/// Waits until a condition is true.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "timed out: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// A runtime such as a program might have.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Reads with a blocking call.
pub(crate) fn read(cache: &SecretCache) -> Result<String, ErrorKind> {
    let hit = cache.get("db").wait().map_err(|error| error.kind())?;
    Ok(hit.string().expect("a string").to_owned())
}

/// Reads asynchronously.
pub(crate) async fn read_async(cache: &SecretCache) -> Result<String, ErrorKind> {
    let secret = cache.get("db").await.map_err(|error| error.kind())?;
    Ok(secret.string().expect("a string").to_owned())
}
