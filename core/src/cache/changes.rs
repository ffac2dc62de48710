//! Counters for bindings that keep values themselves: a value returned earlier may be wrong now.

use std::sync::{Arc, PoisonError, Weak};

use crate::secret::Secret;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, Ordering};

/// The counters of all who want to know. They are only looked at when something changes, never by a hit.
#[derive(Default)]
pub(crate) struct Changes(Mutex<Vec<Weak<[AtomicU32]>>>);

impl Changes {
    pub(crate) fn count_in(&self, counters: &Arc<[AtomicU32]>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(counters));
    }

    /// This version must not be served again without a lookup.
    pub(crate) fn bump(&self, secret: &Secret) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|counters| {
            let Some(counters) = counters.upgrade() else { return false };
            // Released after the value's own deadline was moved: whoever sees the count sees that too.
            if let Some(counter) = counters.get(secret.change_slot(counters.len())) {
                counter.fetch_add(1, Ordering::Release);
            }
            true
        });
    }
}
