//! One cache for all threads of a process, although each thread loads the module for itself.
//!
//! Caches of the same settings in different environments (the main thread, workers) are one. Two caches of the same
//! settings in one environment are two: a program that makes two means two, and its first is shared with the first of
//! the other environments, its second with their second.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use secretcache::host::{LogLimiter, SystemClock};
use secretcache::{Error, ErrorKind, Event, SecretCache};
use zeroize::Zeroizing;

use crate::outbox::{Message, Outbox, SharedOutbox};

/// A cache, and everyone in this process who uses it.
pub(crate) struct Slot {
    pub(crate) core: SecretCache,
    settings: Option<Zeroizing<String>>,
    users: Mutex<Vec<User>>,
    limiter: LogLimiter,
}

struct User {
    environment: usize,
    outbox: Weak<Outbox>,
}

static SLOTS: Mutex<Vec<Weak<Slot>>> = Mutex::new(Vec::new());

/// The cache of these settings that this environment does not use yet, made by `make` if there is none.
pub(crate) fn join(
    settings: Option<Zeroizing<String>>,
    environment: usize,
    outbox: &SharedOutbox,
    make: impl FnOnce() -> Result<SecretCache, Error>,
) -> Result<Arc<Slot>, Error> {
    let user = User { environment, outbox: Arc::downgrade(outbox) };
    let mut slots = lock(&SLOTS);
    slots.retain(|slot| slot.strong_count() > 0);
    let is_same = |slot: &Slot| slot.settings.is_some() && slot.settings == settings;
    let found = slots.iter().filter_map(Weak::upgrade).filter(|slot| is_same(slot)).find(|slot| {
        let users = lock(&slot.users);
        // With no users left it is being closed.
        !users.is_empty() && users.iter().all(|user| user.environment != environment)
    });
    if let Some(slot) = found {
        lock(&slot.users).push(user);
        return Ok(slot);
    }
    let slot = Arc::new(Slot {
        core: make()?,
        settings,
        users: Mutex::new(vec![user]),
        limiter: LogLimiter::default(),
    });
    let weak = Arc::downgrade(&slot);
    slot.core.on_event(move |event| {
        if let Some(slot) = weak.upgrade() {
            slot.tell(event);
        }
    });
    slots.push(Arc::downgrade(&slot));
    Ok(slot)
}

impl Slot {
    /// This user is done with it. The last one closes it.
    pub(crate) fn leave(&self, outbox: &SharedOutbox) {
        let _one_at_a_time = lock(&SLOTS);
        let mut users = lock(&self.users);
        let before = users.len();
        users.retain(|user| !std::ptr::eq(user.outbox.as_ptr(), Arc::as_ptr(outbox)));
        let is_last = before > 0 && users.is_empty();
        drop(users);
        if is_last {
            self.core.close();
        }
    }

    fn tell(&self, event: &Event) {
        // It is no news to anybody that the program has closed the cache.
        let is_ordinary = matches!(event, Event::Error { error, .. } if error.kind() == ErrorKind::Closed);
        let loud = !is_ordinary && self.limiter.admits(event, SystemClock::now());
        let outboxes: Vec<_> = lock(&self.users).iter().filter_map(|user| user.outbox.upgrade()).collect();
        for outbox in outboxes {
            outbox.send(Message::Event(event.clone(), loud));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
