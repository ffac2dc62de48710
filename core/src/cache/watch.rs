//! Use of secrets without reads: by pools with open connections, and by listeners that wait for a new version.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::sync::{Mutex, MutexGuard, yield_now};

/// While it exists, its secret counts as in use: it is refreshed without being read, so new versions are noticed, and
/// it is not evicted.
///
/// Refreshes start with the first read of the secret. Clones are one watch. Made by [`Watches::add`] or
/// `SecretCache::watch`.
#[derive(Clone)]
#[must_use = "it ends when it is dropped"]
pub struct Watch(Arc<str>);

impl Watch {
    /// The id of the secret.
    pub fn secret_id(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0).finish()
    }
}

/// The watches of a cache. Clones share them: a driver that recreates its cache in a forked child gives the new cache
/// the same list, because the pools that watch live on in the child.
///
/// ```
/// use secretcache::host::{Cache, Watches};
/// use secretcache::Config;
///
/// let watches = Watches::default();
/// let cache = Cache::with_watches(Config::default(), 7, watches.clone())?;
/// let watch = watches.add("prod/db");
/// # drop(watch);
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Watches(Arc<Mutex<Vec<Weak<str>>>>);

/// The number of attempts to take the lock, which is only held briefly. If all of them fail, it was held during a fork.
const TRIES: usize = 10_000;

impl Watches {
    /// Makes a secret count as in use until the result is dropped.
    pub fn add(&self, secret_id: &str) -> Watch {
        // A separate allocation: dropping it ends the watch, without a lock and on any thread.
        let watch: Arc<str> = secret_id.into();
        if let Some(mut list) = self.lock() {
            list.retain(|other| other.strong_count() > 0);
            list.push(Arc::downgrade(&watch));
        } // else this child was forked while the lock was held: only the secrets it reads count as in use
        Watch(watch)
    }

    /// The ids watched now.
    pub(crate) fn current(&self) -> Vec<Arc<str>> {
        self.lock().map_or_else(Vec::new, |list| list.iter().filter_map(Weak::upgrade).collect())
    }

    fn lock(&self) -> Option<MutexGuard<'_, Vec<Weak<str>>>> {
        (0..TRIES).find_map(|_| {
            let guard = self.0.try_lock().ok();
            if guard.is_none() {
                yield_now();
            }
            guard
        })
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.current()).finish()
    }
}
