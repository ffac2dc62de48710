//! The cache as Rust programs use it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::aws::AwsSource;
use super::builder::{Builder, Transport};
use super::clock::SystemClock;
use super::connect::Connect;
use super::listeners::Listeners;
use super::process::{PerProcess, fresh_seed};
use super::request::Request;
use super::{driver, log, refresher, runtime};
use crate::cache::cache::{Cache, Lookup};
use crate::cache::flight::Waiter;
use crate::cache::hit::Hit;
use crate::cache::permit::Ticket;
use crate::cache::stats::Stats;
use crate::cache::watch::{Watch, Watches};
use crate::config::Config;
use crate::connect::attempt::Plan;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::id::Selector;
use crate::secret::Secret;
use crate::source::SecretSource;
use crate::wire::Answer;

/// Secrets from memory, kept fresh in the background.
///
/// Cheap to clone; clones share one cache. Nothing is started and nobody is asked until the first read. Any number
/// of readers of one secret cause one request; while a value is in use it is refreshed beside its readers, and when
/// the service cannot be reached, the last-known value goes on being served.
///
/// ```no_run
/// use secretcache::SecretCache;
///
/// # async fn example() -> Result<(), secretcache::Error> {
/// let cache = SecretCache::builder().build()?;
///
/// // In asynchronous code:
/// let secret = cache.get("prod/checkout/db").await?;
/// let password = secret.field("password")?;
///
/// // In plain code:
/// let secret = cache.get("prod/checkout/db").wait()?;
/// println!("version {}", secret.version_id().unwrap_or("unknown"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SecretCache(Arc<Handle>);

struct Handle {
    config: Config,
    transport: Transport,
    listeners: Arc<Listeners>,
    watches: Watches,
    live: PerProcess<Arc<Live>>,
    closed: AtomicBool,
}

/// What one process has of a cache.
pub(super) struct Live {
    pub(super) cache: Cache,
    /// Something was completed, so the refresher's next look may have to come sooner.
    pub(super) news: Arc<Notify>,
    transport: Transport,
    source: tokio::sync::Mutex<Option<Arc<dyn SecretSource>>>,
    refreshing: AtomicBool,
    /// Until then, in seconds since boot, secrets are fetched one by one: `BatchGetSecretValue` was refused.
    pub(super) no_batch_until: AtomicU64,
}

/// How a read begins: see [`SecretCache::start`].
#[derive(Debug)]
pub enum Started<'a> {
    /// It is answered.
    Ready(Result<Hit<'a>, Error>),
    /// The answer is being fetched.
    Wait(Waiter),
}

impl SecretCache {
    /// Settings, to be finished with [`Builder::build`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn from_builder(config: Config, transport: Transport) -> Self {
        Self(Arc::new(Handle {
            config,
            transport,
            listeners: Arc::default(),
            watches: Watches::default(),
            live: PerProcess::new(),
            closed: AtomicBool::new(false),
        }))
    }

    /// A read of the secret's current version; see [`Request`] for other versions and for how to run it.
    pub fn get<'a>(&'a self, id: &'a str) -> Request<'a> {
        Request::new(self, id)
    }

    /// The last-known value, if there is one: never waits, never asks anybody.
    pub fn peek(&self, id: &str) -> Option<Hit<'_>> {
        self.peek_version(id, Selector::CURRENT)
    }

    /// As [`SecretCache::peek`], for another version.
    pub fn peek_version(&self, id: &str, selector: Selector<'_>) -> Option<Hit<'_>> {
        self.0.live.get()?.cache.peek(id, selector, SystemClock::now())
    }

    /// The value, if it is in memory and fresh. Takes no lock, allocates nothing.
    #[inline(always)]
    pub fn hit(&self, id: &str, selector: Selector<'_>) -> Option<Hit<'_>> {
        self.0.live.get()?.cache.hit(id, selector, SystemClock::coarse())
    }

    /// Whether a value that this cache gave is still what it would give. Counts as a hit if so. For bindings that keep
    /// the last value at hand.
    #[inline]
    pub fn hit_again(&self, secret: &Secret) -> bool {
        self.0.live.get().is_some_and(|live| live.cache.hit_again(secret, SystemClock::coarse()))
    }

    /// Notes hits that a binding answered on its own side: see [`Cache::note_hits`].
    pub fn note_hits(&self, id: &str, selector: Selector<'_>, count: u64) {
        if let Some(live) = self.0.live.get() {
            live.cache.note_hits(id, selector, count);
        }
    }

    /// Has a counter of the binding's own raised whenever a value handed out before must not be handed out again
    /// without a look: see [`Cache::count_changes_in`]. It counts in this process only.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the cache is closed.
    pub fn count_changes_in(&self, counter: &Arc<AtomicU32>) -> Result<(), Error> {
        self.live()?.cache.count_changes_in(counter);
        Ok(())
    }

    /// Begins a read, for drivers that wait in their own way: answers it, or sees to it that it is being fetched.
    /// When the wait is over, pass the outcome to [`Outcome::for_reader`]; when patience is, see
    /// [`SecretCache::give_up`].
    pub fn start(&self, id: &str, selector: Selector<'_>) -> Started<'_> {
        let live = match self.live() {
            Ok(live) => live,
            Err(error) => return Started::Ready(Err(error)),
        };
        match live.cache.lookup(id, selector, SystemClock::now()) {
            Lookup::Hit(hit) => Started::Ready(Ok(hit)),
            Lookup::HitDue(hit, ticket) => {
                live.spawn(ticket);
                Started::Ready(Ok(hit))
            }
            Lookup::Lead(ticket, waiter) => {
                live.spawn(ticket);
                Started::Wait(waiter)
            }
            Lookup::Follow(waiter) => Started::Wait(waiter),
            Lookup::Failed(error) => Started::Ready(Err(error)),
        }
    }

    /// What a reader gets that has waited for [`Waiter::patience`]: the last-known value.
    pub fn give_up(&self, id: &str, selector: Selector<'_>, waiter: &Waiter) -> Option<Secret> {
        self.0.live.get()?.cache.give_up(id, selector, waiter, SystemClock::now())
    }

    /// Connects to the resource that a secret is the credential of, also while it rotates.
    ///
    /// The cached current version is tried first. If the resource refuses that login, the version is fetched anew, then
    /// `AWSPENDING` is tried (the one that works while a rotation is between its steps), then `AWSPREVIOUS`, and after a
    /// wait all over again. What the resource took and refused is remembered for all callers, so that a rotation costs
    /// one refused login and not one for each connection.
    ///
    /// ```no_run
    /// # struct Connection;
    /// # #[derive(Debug)] enum DatabaseError { WrongPassword, Other }
    /// # async fn open(user: &str, password: &str) -> Result<Connection, DatabaseError> { Ok(Connection) }
    /// # async fn example(cache: secretcache::SecretCache) -> Result<(), secretcache::ConnectError<DatabaseError>> {
    /// let connection = cache
    ///     .connect("prod/checkout/db")
    ///     .run(
    ///         async |credential| {
    ///             let user = credential.username().unwrap_or_default();
    ///             open(user, credential.password().unwrap_or_default()).await
    ///         },
    ///         |error| matches!(error, DatabaseError::WrongPassword),
    ///     )
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect<'a>(&'a self, id: &'a str) -> Connect<'a> {
        Connect::new(self, id)
    }

    /// Has a secret count as in use until the result is dropped, as if somebody read it all the time: its current version
    /// is kept fresh once it has been read, and a new one is noticed and told to listeners. For connection pools, which
    /// read a credential only when they open a connection.
    ///
    /// ```no_run
    /// # fn example(cache: secretcache::SecretCache) {
    /// let watch = cache.watch("prod/checkout/db");
    /// // ... as long as the pool is open ...
    /// drop(watch);
    /// # }
    /// ```
    pub fn watch(&self, id: &str) -> Watch {
        let watch = self.0.watches.add(id);
        if let Some(live) = self.0.live.get() {
            live.news.notify_one();
        }
        watch
    }

    /// Whether a connection that was made with this version should be replaced when it is not in use: another version
    /// is current, or the resource has refused this one and takes another. For pools, at each check-in.
    ///
    /// ```
    /// let cache = secretcache::SecretCache::builder().build()?;
    /// assert!(!cache.is_outdated("prod/checkout/db", "nothing is known yet"));
    /// # Ok::<(), secretcache::Error>(())
    /// ```
    pub fn is_outdated(&self, id: &str, version_id: &str) -> bool {
        self.0.live.get().is_some_and(|live| live.cache.is_outdated(id, version_id))
    }

    /// Forgets a secret with all its versions: the next read fetches it.
    pub fn invalidate(&self, id: &str) {
        if let Some(live) = self.0.live.get() {
            live.cache.invalidate(id);
        }
    }

    /// What the cache has done so far in this process, and holds now.
    pub fn stats(&self) -> Stats {
        self.0.live.get().map(|live| live.cache.stats(SystemClock::now())).unwrap_or_default()
    }

    /// Has a function told of every [`Event`] from now on: new versions, stale values, failures. It is called on
    /// whichever thread noticed, so it must be quick.
    pub fn on_event(&self, listener: impl Fn(&Event) + Send + Sync + 'static) {
        self.0.listeners.add(Arc::new(listener));
    }

    /// Forgets every value, ends the background work, and refuses further reads.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        if let Some(live) = self.0.live.get() {
            live.cache.close();
            live.news.notify_one();
        }
    }

    /// The plan behind [`SecretCache::connect`], for drivers that log in and wait in their own way.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the cache is closed.
    pub fn plan(&self, id: &str, stages: &[&'static str], timeout: Duration) -> Result<Plan, Error> {
        Ok(Plan::new(&self.live()?.cache, id, stages, timeout, SystemClock::now()))
    }

    #[inline]
    pub(super) fn live(&self) -> Result<&Arc<Live>, Error> {
        match self.0.live.get() {
            Some(live) => Ok(live),
            None => self.come_alive(),
        }
    }

    #[cold]
    fn come_alive(&self) -> Result<&Arc<Live>, Error> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the cache has been closed"));
        }
        let live = self.0.live.get_or_try_make(|| {
            let watches = self.0.watches.clone();
            let cache = Cache::with_watches(self.0.config.clone(), fresh_seed(), watches)?;
            let listeners = Arc::clone(&self.0.listeners);
            cache.listen(log::tracing_listener());
            cache.listen(Arc::new(move |event| listeners.tell(event)));
            Ok::<_, Error>(Arc::new(Live {
                cache,
                news: Arc::default(),
                transport: self.0.transport.clone(),
                source: tokio::sync::Mutex::default(),
                refreshing: AtomicBool::new(false),
                no_batch_until: AtomicU64::new(0),
            }))
        })?;
        if self.0.closed.load(Ordering::Acquire) {
            live.cache.close(); // while it was made
        }
        Ok(live)
    }
}

impl Live {
    /// Has a ticket completed on the runtime, whoever else goes away.
    pub(super) fn spawn(self: &Arc<Self>, ticket: Ticket) {
        match runtime::handle() {
            Ok(handle) => {
                let live = Arc::clone(self);
                handle.spawn(async move { live.run(ticket).await });
                if !self.refreshing.swap(true, Ordering::AcqRel) {
                    handle.spawn(refresher::keep_fresh(Arc::downgrade(self)));
                }
            }
            Err(error) => ticket.complete(Err(error), SystemClock::now()),
        }
    }

    pub(super) async fn run(self: Arc<Self>, ticket: Ticket) {
        let mut thaws = 0;
        loop {
            let start = SystemClock::now();
            let result = driver::caught(self.ask(&ticket, thaws > 0)).await;
            let end = SystemClock::now();
            if driver::stood_still(&start, &end, self.transport.timeout()) && thaws < driver::MOST_THAWS {
                thaws += 1;
                continue;
            }
            ticket.complete(result, end);
            break;
        }
        self.news.notify_one();
    }

    async fn ask(&self, ticket: &Ticket, anew: bool) -> Result<Answer, Error> {
        let source = self.source(anew).await?;
        driver::ask(ticket, source.as_ref(), &self.cache).await
    }

    /// The source, connected if need be; `anew` drops its old connections.
    pub(super) async fn source(&self, anew: bool) -> Result<Arc<dyn SecretSource>, Error> {
        let mut source = self.source.lock().await;
        if let Some(source) = source.as_ref().filter(|_| !anew) {
            return Ok(Arc::clone(source));
        }
        let new: Arc<dyn SecretSource> = match &self.transport {
            Transport::Source(source, _) => Arc::clone(source),
            Transport::Aws(options) => Arc::new(AwsSource::connect(options).await?),
        };
        *source = Some(Arc::clone(&new));
        Ok(new)
    }
}

/// Waiting for the runtime on one of its own threads would never end.
pub(super) fn forbid_own_thread() -> Result<(), Error> {
    if runtime::is_own_thread() {
        let text = "a blocking call from the cache's own thread (an event listener) would never end; hand the \
                    event to another thread first";
        return Err(Error::new(ErrorKind::InvalidArgument, text));
    }
    Ok(())
}

pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Closed, "the process is shutting down")
}

impl Default for SecretCache {
    /// A cache with the default settings and the environment's Region and credentials.
    fn default() -> Self {
        Self::from_builder(Config::default(), Transport::Aws(Arc::default()))
    }
}

impl fmt::Debug for SecretCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handle = &self.0;
        f.debug_struct("SecretCache")
            .field("config", &handle.config)
            .field("transport", &handle.transport)
            .finish_non_exhaustive()
    }
}
