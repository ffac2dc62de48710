//! How bindings drive a [`SecretCache`].

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::clock::SystemClock;
use super::inner::ReadState;
use super::secret_cache::SecretCache;
use super::task::Task;
use crate::cache::cache::Cache;
use crate::cache::flight::Waiter;
use crate::cache::hit::Hit;
use crate::connect::attempt::ConnectAttempt;
use crate::error::Error;
use crate::id::{Selector, Stage};
use crate::secret::Secret;

/// Operations on a [`SecretCache`] that only bindings need: they wait with their host's primitives, and keep their own
/// copies of values.
///
/// ```
/// use secretcache::host::Driver as _;
/// use secretcache::{SecretCache, Selector};
///
/// let cache = SecretCache::default();
/// assert!(cache.hit("prod/db", Selector::CURRENT).is_none(), "nothing has been read yet");
/// ```
pub trait Driver: sealed::Sealed {
    /// Returns the cached value if it is still fresh. Takes no lock, allocates nothing.
    fn hit(&self, id: &str, selector: Selector<'_>) -> Option<Hit<'_>>;

    /// Whether a value that this cache returned earlier can be served again; if so, this counts as a hit. For bindings
    /// that keep the last value.
    fn hit_again(&self, secret: &Secret) -> bool;

    /// Whether a read with this `max_age` must refresh the value first; see [`Cache::is_older`].
    fn is_older(&self, id: &str, selector: Selector<'_>, max_age: Duration) -> bool;

    /// Counts hits that a binding served itself; see [`Cache::note_hits`].
    fn note_hits(&self, id: &str, selector: Selector<'_>, count: u64);

    /// Increments one of the binding's counters whenever a value returned earlier must not be served again without a
    /// lookup; see [`Cache::count_changes_in`]. This covers changes in this process only.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the cache is closed.
    fn count_changes_in(&self, counters: &Arc<[AtomicU32]>) -> Result<(), Error>;

    /// Begins a read: answers it, or makes sure that a fetch is in progress. When the fetch has ended, pass its outcome
    /// to [`Outcome::for_reader`](crate::host::Outcome::for_reader). When the reader's patience runs out first, see
    /// [`Driver::give_up`].
    fn start(&self, id: &str, selector: Selector<'_>) -> ReadState<'_>;

    /// Returns the last known value to a reader that has waited for [`Waiter::patience`].
    fn give_up(&self, id: &str, selector: Selector<'_>, waiter: &Waiter) -> Option<Secret>;

    /// Begins a forced refresh.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the cache is closed.
    fn start_refresh(&self, id: &str, selector: Selector<'_>) -> Result<Task<Secret>, Error>;

    /// Begins the [`Action::Refresh`](crate::host::Action::Refresh) of a [`ConnectAttempt`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the cache is closed.
    fn start_recheck(&self, id: &str, selector: Selector<'_>) -> Result<Task<Secret>, Error>;

    /// Begins a prefetch.
    ///
    /// # Errors
    ///
    /// As [`SecretCache::prefetch`].
    fn start_prefetch(&self, ids: Vec<String>) -> Result<Task<Vec<(String, Error)>>, Error>;

    /// Creates the attempt that [`SecretCache::connect`] is based on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the cache is closed.
    fn connect_attempt(&self, id: &str, stages: &[Stage], timeout: Duration)
    -> Result<ConnectAttempt, Error>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::SecretCache {}
}

impl Driver for SecretCache {
    #[inline(always)]
    fn hit(&self, id: &str, selector: Selector<'_>) -> Option<Hit<'_>> {
        self.0.hit(id, selector)
    }

    #[inline]
    fn hit_again(&self, secret: &Secret) -> bool {
        self.0.made().is_some_and(|inner| inner.cache.hit_again(secret, SystemClock::coarse()))
    }

    fn is_older(&self, id: &str, selector: Selector<'_>, max_age: Duration) -> bool {
        self.0.is_older(id, selector, max_age)
    }

    fn note_hits(&self, id: &str, selector: Selector<'_>, count: u64) {
        if let Some(inner) = self.0.made() {
            inner.cache.note_hits(id, selector, count);
        }
    }

    fn count_changes_in(&self, counters: &Arc<[AtomicU32]>) -> Result<(), Error> {
        self.0.inner()?.cache.count_changes_in(counters);
        Ok(())
    }

    fn start(&self, id: &str, selector: Selector<'_>) -> ReadState<'_> {
        self.0.start(id, selector)
    }

    fn give_up(&self, id: &str, selector: Selector<'_>, waiter: &Waiter) -> Option<Secret> {
        self.0.give_up(id, selector, waiter)
    }

    fn start_refresh(&self, id: &str, selector: Selector<'_>) -> Result<Task<Secret>, Error> {
        self.0.start_asking(id, selector, Cache::force)
    }

    fn start_recheck(&self, id: &str, selector: Selector<'_>) -> Result<Task<Secret>, Error> {
        self.0.start_asking(id, selector, Cache::recheck)
    }

    fn start_prefetch(&self, ids: Vec<String>) -> Result<Task<Vec<(String, Error)>>, Error> {
        self.0.start_prefetch(ids)
    }

    fn connect_attempt(
        &self,
        id: &str,
        stages: &[Stage],
        timeout: Duration,
    ) -> Result<ConnectAttempt, Error> {
        Ok(ConnectAttempt::new(&self.0.inner()?.cache, id, stages, timeout, SystemClock::now()))
    }
}
