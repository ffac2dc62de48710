//! Shares one cache among all threads of a process, although each thread loads the module for itself.
//!
//! Caches with the same settings in different environments (the main thread, workers) are one cache. Two caches with
//! the same settings in one environment stay separate, because the program created two on purpose. Its first one is
//! shared with the first of each other environment, its second one with their second.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use secretcache::host::{LogLimiter, SystemClock};
use secretcache::{Error, Event, SecretCache};
use zeroize::Zeroizing;

use crate::delivery::{Message, Sender, SharedSender};

/// A cache, and its users in this process.
pub(crate) struct SharedCache {
    pub(crate) core: SecretCache,
    settings: Option<Zeroizing<String>>,
    users: Mutex<Vec<User>>,
    limiter: LogLimiter,
}

struct User {
    environment: usize,
    sender: Weak<Sender>,
}

static CACHES: Mutex<Vec<Weak<SharedCache>>> = Mutex::new(Vec::new());

/// Returns a cache with these settings that this environment does not use yet, or a new one from `make`.
pub(crate) fn join(
    settings: Option<Zeroizing<String>>,
    environment: usize,
    sender: &SharedSender,
    make: impl FnOnce() -> Result<SecretCache, Error>,
) -> Result<Arc<SharedCache>, Error> {
    let user = User { environment, sender: Arc::downgrade(sender) };
    let mut caches = lock(&CACHES);
    caches.retain(|cache| cache.strong_count() > 0);
    let is_same = |cache: &SharedCache| cache.settings.is_some() && cache.settings == settings;
    let found = caches.iter().filter_map(Weak::upgrade).filter(|cache| is_same(cache)).find(|cache| {
        let users = lock(&cache.users);
        // A cache without users is being closed.
        !users.is_empty() && users.iter().all(|user| user.environment != environment)
    });
    if let Some(cache) = found {
        lock(&cache.users).push(user);
        return Ok(cache);
    }
    let cache = Arc::new(SharedCache {
        core: make()?,
        settings,
        users: Mutex::new(vec![user]),
        limiter: LogLimiter::default(),
    });
    let weak = Arc::downgrade(&cache);
    cache.core.on_event(move |event| {
        if let Some(cache) = weak.upgrade() {
            cache.notify(event);
        }
    });
    caches.push(Arc::downgrade(&cache));
    Ok(cache)
}

impl SharedCache {
    /// Removes a user. The last one closes the cache.
    pub(crate) fn leave(&self, sender: &SharedSender) {
        let _one_at_a_time = lock(&CACHES);
        let mut users = lock(&self.users);
        let before = users.len();
        users.retain(|user| !std::ptr::eq(user.sender.as_ptr(), Arc::as_ptr(sender)));
        let is_last = before > 0 && users.is_empty();
        drop(users);
        if is_last {
            self.core.close();
        }
    }

    fn notify(&self, event: &Event) {
        let should_warn = self.limiter.admits(event, SystemClock::now());
        let senders: Vec<_> = lock(&self.users).iter().filter_map(|user| user.sender.upgrade()).collect();
        for sender in senders {
            sender.send(Message::Event(event.clone(), should_warn));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
