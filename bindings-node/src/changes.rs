//! Counters that show JavaScript which of the values it keeps are no longer valid.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use napi::bindgen_prelude::Uint32Array;
use secretcache::Secret;
use secretcache::host::SecretExt as _;

/// The number of counters, which all values share: 16 KiB for each environment. A change of one value also invalidates
/// the others with the same counter.
const SLOTS: usize = 4096;

/// The counters of one environment. JavaScript reads them from shared memory.
#[derive(Clone)]
pub(crate) struct Changes(Arc<[AtomicU32]>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU32::new(0)).collect())
    }

    pub(crate) fn counters(&self) -> &Arc<[AtomicU32]> {
        &self.0
    }

    /// Returns the index of a value's counter, and its count. Call this before `servable_for`, so that a change in
    /// between is noticed.
    pub(crate) fn of(&self, secret: &Secret) -> (u32, u32) {
        let slot = secret.change_slot(SLOTS);
        let count = self.0.get(slot).map_or(0, |counter| counter.load(Ordering::Acquire));
        (u32::try_from(slot).unwrap_or_default(), count)
    }

    /// Returns the counters as an array, which shares their memory where that is allowed.
    pub(crate) fn array(&self) -> Uint32Array {
        let counters = Arc::clone(&self.0);
        let first = counters.as_ptr().cast::<u32>().cast_mut();
        // SAFETY: the closure keeps the counters alive until the array is garbage-collected. JavaScript only reads
        // them; the core writes them atomically, and a read of an aligned word is never torn.
        unsafe { Uint32Array::with_external_data(first, SLOTS, move |_, _| drop(counters)) }
    }

    /// Increments the first counter, to find out whether the memory is shared.
    pub(crate) fn touch(&self) {
        if let Some(counter) = self.0.first() {
            counter.fetch_add(1, Ordering::Release);
        }
    }
}
