//! A source and readers of one secret, for tests whose threads shuttle schedules.

use std::sync::Arc;
use std::time::Duration;

use secretcache::host::{Answer, Cache, FetchPermit, Forced, Lookup, Now, Watches};
use secretcache::{Config, Error, ErrorKind, Fetched, Selector};
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use shuttle::thread::{self, JoinHandle};

pub const TTL: Duration = Duration::from_secs(100);

/// Runs the test in many schedules. Half of them are random, and half use priorities that change at a few points (PCT),
/// which finds failures that need a few events in a rare order. A failure prints its schedule and how to replay it.
pub fn in_all_orders(test: impl Fn() + Send + Sync + 'static) {
    let test = Arc::new(test);
    let again = Arc::clone(&test);
    shuttle::check_random(move || test(), 1_000);
    shuttle::check_pct(move || again(), 1_000, 3);
}

/// A cache, and the source behind it.
#[derive(Clone)]
pub struct World {
    pub cache: Cache,
    pub now: Now,
    source: Arc<Source>,
}

struct Source {
    version: AtomicUsize,
    requests: AtomicUsize,
}

impl World {
    pub fn new() -> Self {
        Self::with(Config::default(), Watches::default())
    }

    pub fn with(config: Config, watches: Watches) -> Self {
        let cache = Cache::with_watches(Config { ttl: TTL, ..config }, 7, watches).expect("good settings");
        let source = Source { version: AtomicUsize::new(1), requests: AtomicUsize::new(0) };
        Self { cache, now: Now::default().plus(Duration::from_secs(1_000)), source: Arc::new(source) }
    }

    /// The same world, some time later.
    pub fn later(&self, span: Duration) -> Self {
        Self { now: self.now.plus(span), ..self.clone() }
    }

    pub fn rotate(&self) {
        self.source.version.fetch_add(1, SeqCst);
    }

    pub fn requests(&self) -> usize {
        self.source.requests.load(SeqCst)
    }

    /// Asks the source, which yields to other threads before it answers.
    pub fn ask(&self) -> Answer {
        self.source.requests.fetch_add(1, SeqCst);
        let version = self.source.version.load(SeqCst);
        thread::yield_now();
        Answer::value(Fetched::string(&format!("v{version}"), &version.to_string()))
    }

    /// Reads the secret as a driver does, with a source that answers.
    pub fn read(&self, id: &str) -> Result<usize, ErrorKind> {
        self.read_through(id, |permit| permit.complete(Ok(self.ask()), self.now))
    }

    pub fn read_through(&self, id: &str, mut fetch: impl FnMut(FetchPermit)) -> Result<usize, ErrorKind> {
        loop {
            let waiter = match self.cache.lookup(id, Selector::CURRENT, self.now) {
                Lookup::Hit(hit) => return number(&hit),
                Lookup::HitDue(hit, permit) => {
                    let value = number(&hit);
                    drop(hit);
                    fetch(permit);
                    return value;
                }
                Lookup::Leader(permit, waiter) => {
                    fetch(permit);
                    waiter
                }
                Lookup::Follower(waiter) => waiter,
                Lookup::Failed(error) => return Err(error.kind()),
            };
            if let Some(outcome) = block_on(waiter).for_reader() {
                return outcome.map_err(|error| error.kind()).and_then(|secret| number(&secret));
            }
        }
    }

    /// Forces a refresh as a driver does.
    pub fn refresh(&self, id: &str) -> Result<usize, ErrorKind> {
        let mark = self.cache.mark();
        loop {
            let waiter = match self.cache.force(id, Selector::CURRENT, mark, self.now) {
                Forced::Leader(permit, waiter) => {
                    permit.complete(Ok(self.ask()), self.now);
                    waiter
                }
                Forced::Follower(waiter) => waiter,
                Forced::Superseded(waiter) => {
                    block_on(waiter);
                    continue;
                }
                Forced::Failed(error) => return Err(error.kind()),
            };
            if let Some(outcome) = block_on(waiter).for_reader() {
                return outcome.map_err(|error| error.kind()).and_then(|secret| number(&secret));
            }
        }
    }

    pub fn start<T: Send + 'static>(&self, act: impl FnOnce(&Self) -> T + Send + 'static) -> JoinHandle<T> {
        let world = self.clone();
        thread::spawn(move || act(&world))
    }
}

pub fn ended<T>(threads: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
}

pub fn failure() -> Result<Answer, Error> {
    Err(Error::new(ErrorKind::Throttled, "slow down"))
}

fn number(secret: &secretcache::Secret) -> Result<usize, ErrorKind> {
    Ok(secret.string().expect("a string").parse().expect("a number"))
}
