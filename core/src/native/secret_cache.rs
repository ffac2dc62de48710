//! The cache as Rust programs use it.

use std::fmt;
use std::sync::Arc;

use super::clock::SystemClock;
use super::connect::Connect;
use super::handle::Handle;
use super::request::Request;
use super::transport::Transport;
use super::wait::{forbid_own_thread, stopped, wait_for};
use crate::cache::hit::Hit;
use crate::cache::stats::Stats;
use crate::cache::watch::Watch;
use crate::config::Config;
use crate::error::Error;
use crate::event::Event;
use crate::id::Selector;
use crate::secret::Secret;

/// A cache that returns secrets from memory and refreshes them in the background.
///
/// Cheap to clone; clones share one cache. It starts no thread and sends no request before the first read. Any number
/// of concurrent reads of one secret make one request. A value in use is refreshed in the background; if the service is
/// unreachable, reads get the last known value.
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
pub struct SecretCache(pub(super) Arc<Handle>);

impl SecretCache {
    pub(super) fn over(config: Config, transport: Transport) -> Self {
        Self(Arc::new(Handle::new(config, transport)))
    }

    /// Reads the secret's current version. [`Request`] says how to run the read, and how to read other versions.
    pub fn get<'a>(&'a self, id: &'a str) -> Request<'a> {
        Request::new(&self.0, id)
    }

    /// Returns the last known value, if there is one. Never waits and makes no request.
    pub fn peek(&self, id: &str) -> Option<Hit<'_>> {
        self.0.peek(id, Selector::CURRENT)
    }

    /// Connects to the database (or other server) that the secret is for, even during a rotation.
    ///
    /// It tries the cached current version first. If that login is refused, it fetches the version again, then tries
    /// `AWSPENDING` (which works in the middle of a rotation), then `AWSPREVIOUS`, then pauses and starts again.
    /// Accepted and refused versions are remembered for all callers, so a rotation costs one refused login, not one for
    /// each connection.
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
        Connect::new(&self.0, id)
    }

    /// Makes a secret count as in use until the result is dropped, as if it were read all the time: after its first
    /// read it is kept fresh, and listeners get events about new versions. For connection pools, which read a
    /// credential only when they open a connection.
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
        if let Some(inner) = self.0.made() {
            inner.wake.notify_one();
        }
        watch
    }

    /// Whether to replace a connection made with this version when it is idle, because another version is current or
    /// this one was refused. For pools, at each check-in.
    ///
    /// ```
    /// let cache = secretcache::SecretCache::builder().build()?;
    /// assert!(!cache.is_outdated("prod/checkout/db", "nothing is known yet"));
    /// # Ok::<(), secretcache::Error>(())
    /// ```
    pub fn is_outdated(&self, id: &str, version_id: &str) -> bool {
        self.0.made().is_some_and(|inner| inner.cache.is_outdated(id, version_id))
    }

    /// Forgets a secret with all its versions: the next read fetches it.
    pub fn invalidate(&self, id: &str) {
        if let Some(inner) = self.0.made() {
            inner.cache.invalidate(id);
        }
    }

    /// Fetches the secret's current version now, whatever its age, and clears its backoffs. For another version, see
    /// [`Request::refresh`].
    ///
    /// # Errors
    ///
    /// The reason why it could not be fetched. Reads still get the last known value, if there is one.
    pub async fn refresh(&self, id: &str) -> Result<Secret, Error> {
        self.get(id).refresh().await
    }

    /// Like [`SecretCache::refresh`], but waits on this thread.
    ///
    /// # Errors
    ///
    /// As [`SecretCache::refresh`].
    pub fn refresh_wait(&self, id: &str) -> Result<Secret, Error> {
        self.get(id).refresh_wait()
    }

    /// Fetches secrets before they are read, twenty per call, and returns the errors of those that failed. Secrets that
    /// are cached and not due are skipped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the cache is closed.
    pub async fn prefetch<I>(&self, ids: I) -> Result<Vec<(String, Error)>, Error>
    where
        I: IntoIterator<Item: Into<String>>,
    {
        let ids = ids.into_iter().map(Into::into).collect();
        self.0.start_prefetch(ids)?.await
    }

    /// Like [`SecretCache::prefetch`], but waits on this thread.
    ///
    /// # Errors
    ///
    /// As [`SecretCache::prefetch`].
    pub fn prefetch_wait<I>(&self, ids: I) -> Result<Vec<(String, Error)>, Error>
    where
        I: IntoIterator<Item: Into<String>>,
    {
        let mut task = self.0.start_prefetch(ids.into_iter().map(Into::into).collect())?;
        forbid_own_thread()?;
        wait_for(&mut task, None).unwrap_or_else(|| Err(stopped()))
    }

    /// Returns the statistics of the cache in this process.
    pub fn stats(&self) -> Stats {
        self.0.made().map(|inner| inner.cache.stats(SystemClock::now())).unwrap_or_default()
    }

    /// Calls a function with every [`Event`] from now on: new versions, stale values, failures. It can run on any
    /// thread, and must return quickly.
    pub fn on_event(&self, listener: impl Fn(&Event) + Send + Sync + 'static) {
        self.0.listeners.add(Arc::new(listener));
    }

    /// Forgets every value, ends the background work, and refuses further reads.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Default for SecretCache {
    /// A cache with the default settings, and the Region and credentials of the environment.
    fn default() -> Self {
        Self::over(Config::default(), Transport::Aws(Arc::default()))
    }
}

impl fmt::Debug for SecretCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
