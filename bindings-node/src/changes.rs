//! Counters that say what was handed out to JavaScript and has become wrong since.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use napi::bindgen_prelude::Uint32Array;
use secretcache::Secret;

/// So many counters share the changes of all values: 16 KiB for each environment. Values of one counter seem to change
/// together.
const SLOTS: usize = 4096;

/// The counters of one environment. JavaScript reads them from memory.
#[derive(Clone)]
pub(crate) struct Changes(Arc<[AtomicU32]>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU32::new(0)).collect())
    }

    pub(crate) fn counters(&self) -> &Arc<[AtomicU32]> {
        &self.0
    }

    /// Which counter is a value's, and its count: to be read before how long the value may be handed out.
    pub(crate) fn of(&self, secret: &Secret) -> (u32, u32) {
        let slot = secret.change_slot(SLOTS);
        let count = self.0.get(slot).map_or(0, |counter| counter.load(Ordering::Acquire));
        (u32::try_from(slot).unwrap_or_default(), count)
    }

    /// The counters as an array, which shares their memory where that is allowed.
    pub(crate) fn array(&self) -> Uint32Array {
        let counters = Arc::clone(&self.0);
        let first = counters.as_ptr().cast::<u32>().cast_mut();
        // SAFETY: the closure keeps the counters alive until the array is collected. JavaScript only reads them; the core
        // writes them atomically, and an aligned word is read whole.
        unsafe { Uint32Array::with_external_data(first, SLOTS, move |_, _| drop(counters)) }
    }

    /// Raises the first one, to find out whether the memory is shared.
    pub(crate) fn touch(&self) {
        if let Some(counter) = self.0.first() {
            counter.fetch_add(1, Ordering::Release);
        }
    }
}
