//! Counters for bindings that keep values themselves. They show that a value returned earlier may be outdated.

use std::sync::{Arc, PoisonError, Weak};

use crate::secret::Secret;
use crate::secret::binding::SecretExt as _;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, Ordering};

/// The counters of all bindings. They are only touched when something changes, never by a hit.
#[derive(Default)]
pub(crate) struct Changes(Mutex<Vec<Weak<[AtomicU32]>>>);

impl Changes {
    pub(crate) fn count_in(&self, counters: &Arc<[AtomicU32]>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(counters));
    }

    /// Increments the counters for a version that must not be served again without a lookup.
    pub(crate) fn bump(&self, secret: &Secret) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|counters| {
            let Some(counters) = counters.upgrade() else { return false };
            // `Release`, after the value's own deadline has moved: a thread that sees the new count sees that too.
            if let Some(counter) = counters.get(secret.change_slot(counters.len())) {
                counter.fetch_add(1, Ordering::Release);
            }
            true
        });
    }
}
