//! The cache as Rust programs use it.

use std::fmt;
use std::sync::Arc;

use super::builder::Builder;
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
pub struct SecretCache(pub(super) Arc<Handle>);

impl SecretCache {
    /// Settings, to be finished with [`Builder::build`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn from_builder(config: Config, transport: Transport) -> Self {
        Self(Arc::new(Handle::new(config, transport)))
    }

    /// A read of the secret's current version; see [`Request`] for other versions and for how to run it.
    pub fn get<'a>(&'a self, id: &'a str) -> Request<'a> {
        Request::new(&self.0, id)
    }

    /// The last-known value, if there is one: never waits, never asks anybody.
    pub fn peek(&self, id: &str) -> Option<Hit<'_>> {
        self.0.peek(id, Selector::CURRENT)
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
        Connect::new(&self.0, id)
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
        if let Some(inner) = self.0.made() {
            inner.wake.notify_one();
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
    /// Why it could not be fetched. The last-known value, if there is one, goes on being served.
    pub async fn refresh(&self, id: &str) -> Result<Secret, Error> {
        self.get(id).refresh().await
    }

    /// As [`SecretCache::refresh`], waiting on this thread.
    ///
    /// # Errors
    ///
    /// As [`SecretCache::refresh`].
    pub fn refresh_wait(&self, id: &str) -> Result<Secret, Error> {
        self.get(id).refresh_wait()
    }

    /// Fetches secrets before they are read, twenty in a call, and gives those that could not be had. What is cached
    /// and not due is left alone.
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

    /// As [`SecretCache::prefetch`], waiting on this thread.
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

    /// What the cache has done so far in this process, and holds now.
    pub fn stats(&self) -> Stats {
        self.0.made().map(|inner| inner.cache.stats(SystemClock::now())).unwrap_or_default()
    }

    /// Has a function told of every [`Event`] from now on: new versions, stale values, failures. It is called on
    /// whichever thread noticed, so it must be quick.
    pub fn on_event(&self, listener: impl Fn(&Event) + Send + Sync + 'static) {
        self.0.listeners.add(Arc::new(listener));
    }

    /// Forgets every value, ends the background work, and refuses further reads.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Default for SecretCache {
    /// A cache with the default settings and the environment's Region and credentials.
    fn default() -> Self {
        Self::from_builder(Config::default(), Transport::Aws(Arc::default()))
    }
}

impl fmt::Debug for SecretCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
